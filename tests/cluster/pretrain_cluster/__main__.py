"""`python -m pretrain_cluster up | down | load ARCHIVE… | tools`; the last line of `up` is for the shell."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from .errors import ClusterError
from .progress import Progress
from .selection import select
from .tools import build
from .topology import tools_directory


def main() -> int:
    """Do what the command line says; 0 done, 1 failed."""
    options = _parser().parse_args()
    progress = Progress()
    try:
        if options.command == "tools":
            build(tools_directory(), progress)
            return 0
        cluster = select(progress)
        if options.command == "up":
            cluster.up()
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
    commands.add_parser("tools", help="build the programs it is made of, where they aren't there yet")
    return parser


if __name__ == "__main__":
    sys.exit(main())
