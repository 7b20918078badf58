"""Units that are folders: made when what is there doesn't hold any more, and read by the stages after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pretrain_api.names import Component
from pretrain_dataprep import manifests
from pretrain_dataprep.errors import MissingOutputError
from pretrain_dataprep.files import atomic_folder, remove_leftovers
from pretrain_dataprep.manifests import MANIFEST_NAME, Manifest, Recipe
from pretrain_dataprep.progress import log


@dataclass(frozen=True)
class Made:
    """What making a unit counted."""

    counts: dict[str, int]
    removed: dict[str, int] = field(default_factory=dict)
    """Documents removed, by reason."""
    redacted: dict[str, int] = field(default_factory=dict)
    """Pieces of personal data replaced, by kind."""


def make_folder(folder: Path, recipe: Recipe, make: Callable[[Path], Made]) -> Manifest:
    """Have a unit be as its recipe says: find that it is, or make it anew. It appears whole or not at all.

    Args:
        folder: Where the unit is to be.
        recipe: What it is made from.
        make: Writes the unit's files into an empty folder.
    """
    for leftover in remove_leftovers(folder):
        log(f"{recipe.unit}: removed {leftover}, left by a killed process")
    reason = manifests.why_to_do(folder / MANIFEST_NAME, recipe)
    if reason is None:
        log(f"{recipe.unit}: done already, and nothing it depends on has changed")
        return manifests.read_manifest(folder / MANIFEST_NAME)
    log(f"{recipe.unit}: {reason}")
    with atomic_folder(folder) as temporary:
        made = make(temporary)
        outputs = manifests.describe_outputs(temporary, sorted(path.name for path in temporary.iterdir()))
        manifest = Manifest(recipe, outputs, made.counts, made.removed, made.redacted)
        manifests.add_manifest(temporary, manifest)
    return manifest


def read_folder(folder: Path, stage: Component) -> Manifest:
    """Read the manifest of what a stage made. Raises MissingOutputError if it isn't there, or its files aren't."""
    try:
        manifest = manifests.read_manifest(folder / MANIFEST_NAME)
    except (OSError, ValueError) as error:
        raise MissingOutputError(f"{folder}: isn't there ({error})", stage) from error
    damage = manifests.damaged_output(folder, manifest)
    if damage is not None:
        raise MissingOutputError(damage, stage)
    return manifest
