"""The programs a cluster is made of, built from Go modules once and kept by version outside the repository.

Each folder below `go/` is a module: its go.mod says which version of what, its go.sum says that it is what it was.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import ClusterError
from .host import only_launcher
from .processes import contained, last_lines_of
from .progress import Progress
from .toolchain import go_program

MODULES = Path(__file__).parent / "go"
SECONDS_FOR_ANOTHER_BUILD = 3600.0


@dataclass(frozen=True)
class Module:
    """A Go module and the programs to build from it."""

    name: str
    versioned_by: str
    """The dependency whose version names the result."""
    programs: Mapping[str, str]
    """The programs' names, and the package of each."""
    version_variables: str = ""
    """The package whose variables gitVersion, gitMajor and gitMinor are to say the version."""

    @property
    def directory(self) -> Path:
        return MODULES / self.name

    @property
    def version(self) -> str:
        """The version in go.mod, with its `v`."""
        found = re.search(rf"\b{re.escape(self.versioned_by)} (v\S+)", (self.directory / "go.mod").read_text())
        if found is None:
            raise ClusterError(f"{self.directory}/go.mod: no version of {self.versioned_by}")
        return found[1]

    @property
    def key(self) -> str:
        """Names the result: another version, dependency or source is another result."""
        digest = hashlib.sha256()
        for path in sorted(path for path in self.directory.rglob("*") if path.is_file()):
            digest.update(f"{path.relative_to(self.directory)}\0".encode() + path.read_bytes() + b"\0")
        return f"{self.name}-{self.version}-{digest.hexdigest()[:8]}"

    @property
    def linker_flags(self) -> str:
        """Drops debugging tables; sets the version that the programs tell."""
        flags = "-s -w"
        if self.version_variables:
            major, minor, _ = self.version.removeprefix("v").split(".", 2)
            values = {"gitVersion": self.version, "gitMajor": major, "gitMinor": minor}
            flags += "".join(f" -X {self.version_variables}.{name}={value}" for name, value in values.items())
        return flags


_KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
CLUSTER_MODULES = (
    Module("etcd", "go.etcd.io/etcd/server/v3", {"etcd": "go.etcd.io/etcd/server/v3"}),
    Module(
        "kubernetes",
        "k8s.io/kubernetes",
        {name: f"k8s.io/kubernetes/cmd/{name}" for name in _KUBERNETES},
        "k8s.io/component-base/version",
    ),
    Module("addons", "github.com/coredns/coredns", {name: f"./{name}" for name in ("coredns", "pause", "volumes")}),
)
MORE_MODULES = (
    Module("helm", "helm.sh/helm/v4", {"helm": "helm.sh/helm/v4/cmd/helm"}),
    Module("kwok", "sigs.k8s.io/kwok", {"kwok": "sigs.k8s.io/kwok/cmd/kwok"}),
)
"""What tests and benchmarks use beside a cluster: helm for the chart, kwok for nodes by the hundred."""


def build(cache: Path, progress: Progress, modules: tuple[Module, ...] = CLUSTER_MODULES) -> dict[str, Path]:
    """Build what isn't there yet.

    Returns:
        The programs' paths by name.

    Raises:
        ClusterError: there is no Go, a module can't be had, or doesn't compile.
    """
    if any(not (cache / module.key).exists() for module in modules):
        with only_launcher(cache / "build.lock", SECONDS_FOR_ANOTHER_BUILD):
            for module in modules:
                if not (cache / module.key).exists():
                    _build(module, cache / module.key, progress)
    return {path.name: path for module in modules for path in (cache / module.key).iterdir()}


def _build(module: Module, target: Path, progress: Progress) -> None:
    """The folder appears under its name when all of its programs are there."""
    for abandoned in target.parent.glob(f".{module.name}-*"):
        shutil.rmtree(abandoned)
    go = go_program(target.parent, progress)
    progress.step(f"building {module.name} {module.version} (once; kept in {target})")
    with tempfile.TemporaryDirectory(prefix=f".{module.name}-", dir=target.parent) as work:
        unfinished = Path(work) / "programs"
        _compile(go, module, unfinished, progress)
        unfinished.rename(target)


def _compile(go: Path, module: Module, output: Path, progress: Progress) -> None:
    """One program after the other: the last part of each, linking, takes a while and says nothing."""
    for name, package in module.programs.items():
        stale = "{{if .Stale}}{{.ImportPath}}{{end}}"
        total = len(_go(module, [go, "list", "-deps", "-f", stale, package], "fetching").split())
        progress.step(f"{module.name}: {name}, {total} packages to compile")

        def show(count: int, line: str, name: str = name, total: int = total) -> None:
            progress.detail(f"{module.name}: {name}, {count} of {total} packages, {line.strip()}")

        _go(
            module, [go, "build", "-v", "-ldflags", module.linker_flags, "-o", output / name, package], "building", show
        )


def _go(module: Module, command: list[str | Path], doing: str, show: Callable[[int, str], None] | None = None) -> str:
    """Run go in the module's folder; gives its output, and shows the lines of its errors as they come."""
    said: list[str] = []
    with tempfile.TemporaryFile("w+") as output:
        with subprocess.Popen(
            contained(command),
            cwd=module.directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            env=_go_environment(),
        ) as process:
            for line in process.stderr or ():
                said.append(line)
                if show:
                    show(len(said), line)
        if process.returncode:
            raise ClusterError(f"{doing} {module.name} {module.version} failed: {last_lines_of(said)}")
        output.seek(0)
        return output.read()


def _go_environment() -> dict[str, str]:
    """The caller's, which says where modules come from; static programs, and only what go.mod and go.sum say."""
    return {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
