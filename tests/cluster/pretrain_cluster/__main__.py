"""`python -m pretrain_cluster up | down | load ARCHIVE… | tools | prepare`; the last line of `up` is for the shell."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from . import packages
from .definitions import prometheus_operator_definitions
from .errors import ClusterError
from .host import why_not
from .progress import Progress
from .project_images import build_project_images, load_project_images
from .selection import select
from .tools import CLUSTER_MODULES, MORE_MODULES, build
from .topology import tools_directory

_MODULES = {module.name: module for module in (*CLUSTER_MODULES, *MORE_MODULES)}


def main() -> int:
    """Do what the command line says; 0 done, 1 failed."""
    options = _parser().parse_args()
    progress = Progress()
    try:
        if options.command == "tools":
            _build(options.modules, progress)
            return 0
        if options.command == "prepare":
            _prepare(progress)
            return 0
        cluster = select(progress)
        if options.command == "up":
            cluster.up()
            load_project_images(cluster, progress)
            print(f"export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}")
        elif options.command == "down":
            cluster.down()
        else:
            for archive in options.archives:
                cluster.load_image(archive)
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cluster: interrupted; `make cluster-down` removes what was started", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pretrain_cluster", description="A real Kubernetes on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start it; nothing happens where it runs")
    commands.add_parser("down", help="end it and remove all that it left")
    load = commands.add_parser("load", help="load the images of OCI archives into every node")
    load.add_argument("archives", nargs="+", type=Path, metavar="ARCHIVE")
    tools = commands.add_parser("tools", help="build programs where they aren't there yet, and say where they are")
    tools.add_argument("modules", nargs="*", metavar="MODULE", help=f"{', '.join(_MODULES)}; what a cluster is made of")
    commands.add_parser("prepare", help="fetch and build all that tests need, so that their time is their own")
    return parser


def _prepare(progress: Progress) -> None:
    """Where no cluster can run nothing is done: its tests are skipped, too."""
    reason = why_not()
    if reason:
        print(f"cluster: {reason}; its tests are skipped", file=sys.stderr)
        return
    packages.install(packages.CLUSTER_PACKAGES | packages.IMAGE_PACKAGES, progress)
    packages.unpacked("prometheus", "usr/bin/prometheus", progress)
    build(tools_directory(), progress, (*CLUSTER_MODULES, _MODULES["helm"]))
    prometheus_operator_definitions(progress)
    build_project_images()


def _build(names: list[str], progress: Progress) -> None:
    unknown = [name for name in names if name not in _MODULES]
    if unknown:
        raise ClusterError(f"{unknown[0]} is no module; there are {', '.join(_MODULES)}")
    modules = tuple(_MODULES[name] for name in names) or CLUSTER_MODULES
    for name, path in build(tools_directory(), progress, modules).items():
        print(f"{name} {path}")


if __name__ == "__main__":
    sys.exit(main())
