"""The resolved job: a PretrainJob with every default filled in, as pods mount it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pretrain_api.mixtures import with_mixture
from pretrain_api.presets import architecture
from pretrain_api.spec.job import PretrainJob
from pretrain_api.spec.model import Model


def resolve(job: PretrainJob) -> PretrainJob:
    """Return `job` with every default filled in, the model's architecture too, and without status."""
    spec = job.spec
    if spec.model is not None:
        fields = architecture(spec.model).fields()
        spec = spec.model_copy(update={"model": Model(preset=spec.model.preset, **fields)})
    spec = spec.model_copy(update={"data": with_mixture(spec.data)})
    return job.model_copy(update={"spec": spec, "status": None})


def resolved_json(job: PretrainJob) -> str:
    """Return the canonical JSON of the resolved job: sorted keys, no spaces, equal for equal jobs.

    What the API server adds (uid, generation, annotations) and what the operator alone reads (suspend, time to live)
    is left out, so that it doesn't change the hash.
    """
    document = resolve(job).model_dump(mode="json", by_alias=True, exclude_none=False)
    del document["status"]
    document["metadata"] = {key: document["metadata"][key] for key in ("name", "namespace")}
    for key in ("suspend", "ttlSecondsAfterFinished", "activeDeadlineSeconds"):
        del document["spec"][key]
    return canonical_json(document)


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces. Models among the values are written as `changed_fields` has them."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=changed_fields
    )


def changed_fields(model: BaseModel, include: set[str] | None = None, exclude: Any = None) -> dict[str, Any]:
    """Return the fields of a model, by their aliases, that differ from their defaults.

    What was made by an earlier release stays valid when a release adds a field. One that changes a default has to
    raise the code version of what depends on it.

    Args:
        model: A part of a job.
        include: Names of the fields that count; None: all.
        exclude: Names of fields that don't, as pydantic takes them.
    """
    return model.model_dump(mode="json", by_alias=True, exclude_defaults=True, include=include, exclude=exclude)


def content_hash(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `value`, in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def load_resolved(path: str | Path) -> PretrainJob:
    """Read a resolved job.

    Raises:
        OSError: The file can't be read.
        pydantic.ValidationError: The file isn't a resolved job.
    """
    return PretrainJob.model_validate_json(Path(path).read_bytes())
