"""Which part may import what: arrows point one way, and each image has what its part imports."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("api", "cli", "dataprep", "operator", "report", "trainer")

# Packages that come with another one that their part installs.
BROUGHT_ALONG = {
    "pydantic-core": "pydantic",
    "triton": "torch",
    "hjson": "deepspeed",
    "click": "typer",
    "markupsafe": "jinja2",
}


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def package_of(part: str) -> Path:
    return ROOT / part / f"pretrain_{part}"


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(entries: list[str]) -> set[str]:
    """Return the names of the distributions that requirement lines name."""
    return {normalized(re.split(r"[^A-Za-z0-9._-]", entry, maxsplit=1)[0]) for entry in entries}


def imported_modules(source: str) -> Iterator[str]:
    """Yield the top-level modules that `source` imports, in functions too, but not for type checkers alone."""
    tree = ast.parse(source)
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in node.body
        for inner in ast.walk(child)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def third_party_imports(part: str) -> dict[str, set[str]]:
    """Return the third-party modules that a part imports, with the files that do."""
    imports: dict[str, set[str]] = {}
    for path in sorted(package_of(part).rglob("*.py")):
        for module in imported_modules(path.read_text()):
            if module not in sys.stdlib_module_names and not module.startswith("pretrain_"):
                imports.setdefault(module, set()).add(str(path.relative_to(ROOT)))
    return imports


def test_import_directions() -> None:
    run = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("part", PARTS)
def test_no_package_shadows_another(part: str) -> None:
    """A top-level package called operator would shadow the standard library's."""
    assert not (ROOT / part / "__init__.py").exists()
    assert (package_of(part) / "__init__.py").exists()


@pytest.mark.parametrize("part", PARTS)
def test_each_part_imports_only_what_its_extra_installs(part: str) -> None:
    declared = requirements(project()["dependencies"])
    if part != "api":
        declared |= requirements(project()["optional-dependencies"][part])
    distributions = packages_distributions()
    for module, files in third_party_imports(part).items():
        names = {normalized(name) for name in distributions.get(module, [module])}
        names |= {BROUGHT_ALONG[name] for name in names if name in BROUGHT_ALONG}
        assert names & declared, f"{module} is not in the extra {part}: {sorted(files)}"


def test_the_wheel_has_every_package() -> None:
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert set(hatch["targets"]["wheel"]["packages"]) == {f"{part}/pretrain_{part}" for part in PARTS}
    assert set(hatch["dev-mode-dirs"]) == set(PARTS)


def modules_after(statement: str) -> set[str]:
    """Return the top-level modules that are loaded after `statement` in a fresh interpreter."""
    script = f"{statement}\nimport json, sys\nprint(json.dumps(sorted({{m.partition('.')[0] for m in sys.modules}})))"
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    return set(json.loads(output.splitlines()[-1]))


def modules_below(part: str) -> list[str]:
    """Return every module of a part but its `__main__`."""
    files = sorted(package_of(part).rglob("*.py"))
    names = [".".join(path.relative_to(ROOT / part).with_suffix("").parts) for path in files]
    return [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]


def test_the_contract_loads_little() -> None:
    """`import pretrain_api` takes under 0.3 s: pydantic and YAML are most of it; nothing heavy may join them."""
    loaded = modules_after("; ".join(f"import {name}" for name in modules_below("api")))
    heavy = {"numpy", "torch", "kubernetes", "kopf", "rich", "typer", "aiohttp", "pyarrow", "requests", "jinja2"}
    assert not loaded & heavy
    distributions = packages_distributions()
    third_party = {name for name in loaded if name in distributions and not name.startswith("pretrain_")}
    allowed = {"pydantic", "pydantic_core", "yaml", "typing_extensions", "annotated_types", "typing_inspection"}
    assert {name for name in third_party if not name.startswith("_")} <= allowed


def test_the_operator_does_not_load_torch() -> None:
    loaded = modules_after("; ".join(f"import {name}" for name in modules_below("operator")))
    assert not loaded & {"torch", "deepspeed", "numba", "pyarrow", "sentencepiece"}


def test_the_command_line_does_not_load_torch() -> None:
    loaded = modules_after("; ".join(f"import {name}" for name in modules_below("cli")))
    assert not loaded & {"torch", "deepspeed", "numba", "pyarrow", "sentencepiece"}
