"""The tools' versions, and how they are built and kept."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from pretrain_cluster import ClusterError, tools
from pretrain_cluster.progress import Progress
from pretrain_cluster.toolchain import OLDEST, version
from pretrain_cluster.tools import CLUSTER_MODULES, MORE_MODULES, Module, build

GO = shutil.which("go")
needs_go = pytest.mark.skipif(GO is None or version(Path(GO)) < OLDEST, reason="there is no Go on the path")


def test_every_module_names_its_version() -> None:
    for module in (*CLUSTER_MODULES, *MORE_MODULES):
        assert re.fullmatch(r"v\d+\.\d+\.\d+", module.version)
        assert module.key.startswith(f"{module.name}-{module.version}-")
    kubernetes = next(module for module in CLUSTER_MODULES if module.name == "kubernetes")
    assert f"gitVersion={kubernetes.version} " in kubernetes.linker_flags


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    """A module with one program and no dependency."""
    folder = tmp_path / "modules" / "small"
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text("module example.test/small // example.test/self v1.2.3\n\ngo 1.26.0\n")
    (folder / "main.go").write_text('package main\n\nfunc main() { println("one") }\n')
    monkeypatch.setattr(tools, "MODULES", tmp_path / "modules")
    return Module("small", "example.test/self", {"small": "."})


def test_another_source_is_another_result(module: Module) -> None:
    key = module.key
    assert module.key == key
    (module.directory / "main.go").write_text("package main\n\nfunc main() {}\n")
    assert module.key != key


@needs_go
def test_a_program_is_built_once(module: Module, tmp_path: Path) -> None:
    programs = build(tmp_path / "cache", Progress(), (module,))
    built = programs["small"].stat()
    assert build(tmp_path / "cache", Progress(), (module,)) == programs
    assert programs["small"].stat() == built
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {module.key, "build.lock"}


@needs_go
def test_what_does_not_compile_says_why_and_leaves_nothing(module: Module, tmp_path: Path) -> None:
    (module.directory / "main.go").write_text("package main\n\nfunc main() { undefined() }\n")
    with pytest.raises(ClusterError, match=r"building small v1\.2\.3 failed: .*undefined: undefined"):
        build(tmp_path / "cache", Progress(), (module,))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["build.lock"]
