"""Manifests: what a unit was made from, and whether it still holds (docs/wire-formats.md)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import xxhash

from pretrain_api.wire import REMOVED_COUNT_PREFIX
from pretrain_dataprep.files import hash_file, json_bytes, write_json

MANIFEST_NAME = "MANIFEST.json"
MANIFEST_VERSION = 1


@dataclass(frozen=True)
class Input:
    """Something a unit was made from."""

    path: str
    size: int
    fingerprint: str


@dataclass(frozen=True)
class Output:
    """A file of a unit; its path is relative to the manifest's folder."""

    path: str
    size: int
    xxh3: str


@dataclass(frozen=True)
class Recipe:
    """What decides the content of a unit: equal recipes, equal bytes."""

    stage: str
    unit: str
    configuration: str
    """SHA-256 of the parts of the job that the unit depends on."""
    code: str
    """Version of the stage's code: raised whenever its output changes."""
    inputs: list[Input]


@dataclass(frozen=True)
class Manifest:
    """A finished unit."""

    recipe: Recipe
    outputs: list[Output]
    counts: dict[str, int] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)
    """Documents removed, by reason."""
    redacted: dict[str, int] = field(default_factory=dict)
    """Pieces of personal data replaced, by kind."""

    def summary(self) -> dict[str, int]:
        """Return the counts for a termination message: removed documents by reason among them."""
        return self.counts | {f"{REMOVED_COUNT_PREFIX}{reason}": count for reason, count in self.removed.items()}

    def to_json(self) -> dict[str, Any]:
        """Return the manifest's document."""
        document: dict[str, Any] = {"manifestVersion": MANIFEST_VERSION, **asdict(self.recipe)}
        document["outputs"] = [asdict(output) for output in self.outputs]
        document["counts"] = self.counts
        document["removed"] = self.removed
        document["redacted"] = self.redacted
        return document


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        OSError: It isn't there.
        ValueError: It isn't a manifest.
    """
    content = path.read_bytes()
    try:
        document = json.loads(content)
        if document["manifestVersion"] != MANIFEST_VERSION:
            raise ValueError(f"manifest version {document['manifestVersion']} instead of {MANIFEST_VERSION}")
        recipe = Recipe(
            stage=document["stage"],
            unit=document["unit"],
            configuration=document["configuration"],
            code=document["code"],
            inputs=[Input(**entry) for entry in document["inputs"]],
        )
        outputs = [Output(**entry) for entry in document["outputs"]]
        return Manifest(recipe, outputs, document["counts"], document["removed"], document["redacted"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a valid manifest: {error!r}") from error


def describe_outputs(folder: Path, names: list[str]) -> list[Output]:
    """Return sizes and hashes of files in `folder`."""
    return [Output(name, (folder / name).stat().st_size, hash_file(folder / name)) for name in sorted(names)]


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest atomically: the last step of a unit."""
    write_json(path, manifest.to_json())


def add_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest into a folder that isn't published yet."""
    (folder / MANIFEST_NAME).write_bytes(json_bytes(manifest.to_json()))


def why_to_do(path: Path, recipe: Recipe) -> str | None:
    """Return why the unit with the manifest at `path` has to be done; None: it is done and still holds."""
    try:
        manifest = read_manifest(path)
    except FileNotFoundError:
        return "not done yet"
    except ValueError as error:
        return str(error)
    return recipe_difference(manifest.recipe, recipe) or damaged_output(path.parent, manifest)


def recipe_difference(before: Recipe, now: Recipe) -> str | None:
    """Return in words what differs between two recipes; None: nothing."""
    if before.code != now.code:
        return f"made by code {before.code}, now {now.code}"
    if before.configuration != now.configuration:
        return f"an option it depends on changed (configuration {before.configuration[:12]} → {now.configuration[:12]})"
    old = {entry.path: entry for entry in before.inputs}
    new = {entry.path: entry for entry in now.inputs}
    for path in sorted(old.keys() | new.keys()):
        if path not in new:
            return f"input {path} is gone"
        if path not in old:
            return f"input {path} is new"
        if old[path] != new[path]:
            return f"input {path} changed"
    return None


def damaged_output(folder: Path, manifest: Manifest) -> str | None:
    """Return which output isn't there with the size that the manifest says; None: all are."""
    for output in manifest.outputs:
        try:
            size = (folder / output.path).stat().st_size
        except FileNotFoundError:
            return f"output {folder / output.path} is missing"
        if size != output.size:
            return f"output {folder / output.path} has {size} bytes instead of {output.size}"
    return None


def combined_input(label: str, manifest_paths: list[Path]) -> Input:
    """Return many manifests as one input: a hash over all of their bytes, in order."""
    digest = xxhash.xxh3_128()
    size = 0
    for path in manifest_paths:
        content = path.read_bytes()
        digest.update(content)
        size += len(content)
    return Input(label, size, digest.hexdigest())
