"""data.prepared: what another job prepared, looked at before anybody trains on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from pretrain_api.names import Reason
from pretrain_api.wire import Blend, BlendPair, DataReport, StorageLayout
from pretrain_dataprep.blending import data_fingerprint
from pretrain_dataprep.errors import InputError, TemporaryError
from pretrain_dataprep.manifests import MANIFEST_NAME, Manifest, damaged_output, read_manifest
from pretrain_dataprep.ready_tokens import resolve_location
from pretrain_dataprep.tokenizers.folder import tokenizer_input

_FIELD = "spec.data.prepared"
ModelType = TypeVar("ModelType", bound=BaseModel)


@dataclass(frozen=True)
class Prepared:
    """The result of another job: paths of the blend are absolute."""

    root: Path
    blend: Blend
    report: DataReport


def read_prepared(uri: str) -> Prepared:
    """Read what a job prepared, and check that all of it is there and belongs together.

    Raises:
        InputError: It isn't complete, or something has changed since it was.
        ConfigurationError: `uri` isn't on this machine.
    """
    root = resolve_location(_FIELD, uri)
    layout = StorageLayout(root)
    blend = _read(layout.blend, Blend, root)
    report = _read(layout.data_report, DataReport, root)
    if blend.prepared is not None:
        raise InputError(f"{_FIELD}: {root}: that job uses the data of {blend.prepared}; write that instead")
    pairs = [pair for source in blend.sources for pair in source.pairs]
    if any(Path(prefix).is_absolute() for pair in pairs for prefix in _prefixes(pair)):
        raise InputError(f"{_FIELD}: {root}: that job brought its tokens; write its spec.data.tokenized here")
    _check_fingerprint(layout, blend)
    return Prepared(root, _with_absolute_paths(root, blend), report)


def _read(path: Path, model: type[ModelType], root: Path) -> ModelType:
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{_FIELD}: {_why_not_there(path, root)}", Reason.MISSING_DATA) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {where}: {first['msg']}; prepare the data again") from error


def _why_not_there(path: Path, root: Path) -> str:
    if not root.is_dir():
        return f"{root}: no such directory; write the storage of a job that prepared data"
    if not StorageLayout(root).data.is_dir():
        return f"{root}: not the storage of a job: no data/ in it; write the storage of a job that prepared data"
    name = path.relative_to(root)
    return f"{root}: the preparation isn't complete: no {name} in it; let that job finish, then try again"


def _prefixes(pair: BlendPair) -> list[str]:
    return [prefix for prefix in (pair.train, pair.validation, pair.test) if prefix is not None]


def _check_fingerprint(layout: StorageLayout, blend: Blend) -> None:
    manifests = _tokenized_manifests(layout)
    try:
        tokenizer = tokenizer_input(layout)
    except TemporaryError as error:
        raise InputError(f"{_FIELD}: {error}; let the job that prepares it finish, then try again") from error
    if data_fingerprint(manifests, tokenizer) != blend.fingerprint:
        raise InputError(
            f"{_FIELD}: {layout.root}: data/tokenized isn't what data/blend.json was made of: it is being prepared "
            "anew; let that job finish, then try again"
        )


def _tokenized_manifests(layout: StorageLayout) -> dict[str, Manifest]:
    found = {}
    for path in sorted(layout.tokenized.glob(f"*.{MANIFEST_NAME}")):
        try:
            manifest = read_manifest(path)
        except ValueError as error:
            raise InputError(f"{error}; prepare the data again") from error
        damage = damaged_output(path.parent, manifest)
        if damage is not None:
            raise InputError(f"{_FIELD}: {damage}; run that job again, it makes the unit anew")
        found[path.name.removesuffix(f".{MANIFEST_NAME}")] = manifest
    return found


def _with_absolute_paths(root: Path, blend: Blend) -> Blend:
    sources = [
        source.model_copy(update={"pairs": [_absolute_pair(root, pair) for pair in source.pairs]})
        for source in blend.sources
    ]
    return blend.model_copy(
        update={"sources": sources, "tokenizer": str(root / blend.tokenizer), "prepared": str(root)}
    )


def _absolute_pair(root: Path, pair: BlendPair) -> BlendPair:
    paths = {name: getattr(pair, name) for name in ("train", "validation", "test")}
    return pair.model_copy(update={name: str(root / path) for name, path in paths.items() if path is not None})
