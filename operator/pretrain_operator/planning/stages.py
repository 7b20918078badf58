"""Which stages a job has, and what each of them depends on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pretrain_api.names import INDEXED_STAGES, PREPARATION_STAGES, Component
from pretrain_api.resolve import changed_fields, content_hash, resolve
from pretrain_api.spec.data import Data, Source, TokenizedSource
from pretrain_api.spec.job import PretrainJob
from pretrain_api.vocabulary import tokens_to_reserve


def preparation_stages(job: PretrainJob) -> tuple[Component, ...]:
    """Return the stages of the data preparation that `job` needs, in order."""
    data = job.spec.data
    if data.prepared is not None:
        return (Component.BLEND,)
    if data.tokenized:
        given = data.tokenizer.uri is not None or data.tokenizer.tiktoken is not None
        return (Component.TOKENIZER, Component.BLEND) if given else (Component.BLEND,)
    needless = {
        stage
        for stage, is_needed in (
            (Component.FILTER_MODELS, data.clean.needs_models),
            (Component.AUGMENT_PLAN, bool(data.augment)),
        )
        if not is_needed
    }
    return tuple(stage for stage in PREPARATION_STAGES if stage not in needless)


def trains(job: PretrainJob) -> bool:
    """Has the job a model to train? Without, it only prepares data."""
    return job.spec.training is not None


def completions(data: Data, stage: Component) -> int:
    """Return the number of work items of `stage`."""
    return data.shards if stage in INDEXED_STAGES else 1


def stage_configurations(
    job: PretrainJob, inputs: str, redone: Mapping[str, int] | None = None
) -> Mapping[Component, str]:
    """Return for each stage of the preparation the hash of all that it depends on: its part of the job, the stages
    before it, the listing of the input files, and how often it was done again because its output was gone.

    A changed hash makes the stage run again. Work items find out by their manifests what is really to be done, so
    depending on too much costs a look, and depending on too little would be wrong.
    """
    parts = _dependencies(job)
    configurations: dict[Component, str] = {}
    before = inputs
    for stage in preparation_stages(job):
        again = (redone or {}).get(stage, 0)
        before = content_hash([stage, before, parts[stage], *([again] if again else [])])
        configurations[stage] = before
    return configurations


def _dependencies(job: PretrainJob) -> dict[Component, Any]:
    data = job.spec.data
    training = job.spec.training
    seed = training.seed if training is not None else None
    asked = training.evaluation.multiple_choice if training is not None else ()
    questions = [[each.name, each.uri] for each in asked]
    listed: list[Source | TokenizedSource] = [*data.sources, *data.tokenized]
    mixture = [[source.weight, source.epochs] for source in listed] + [data.mixture] * bool(data.mixture)
    sources = [changed_fields(source, exclude={"weight", "epochs"}) for source in listed]
    given = {"sources": sources, "prepared": data.prepared}
    return {
        # A percentile is taken from what the other filters leave of the sources.
        Component.FILTER_MODELS: {**given, "clean": data.clean, "seed": seed},
        Component.CLEAN: {
            **given,
            "shards": data.shards,
            "clean": data.clean,
            "badRecords": data.bad_records,
            "keepRemoved": data.keep_removed,
            "decontaminate": data.decontaminate,
            "dedup": data.dedup,
            "seed": seed,
        },
        Component.DEDUP_PAIRS: None,
        Component.DEDUP_CLUSTERS: None,
        Component.TOKENIZER: {
            **given,
            "tokenizer": data.tokenizer,
            "reserved": tokens_to_reserve(job.spec),
            "mixture": mixture,
            "seed": seed,
        },
        Component.AUGMENT_PLAN: {"augment": data.augment, "split": data.split, "seed": seed},
        Component.TOKENIZE: {
            "split": data.split,
            "seed": seed,
            **({"augment": data.augment} if data.augment else {}),
        },
        Component.BLEND: {
            **given,
            "mixture": mixture,
            "curriculum": data.curriculum,
            # The report names the passes over each source that the planned training makes.
            "tokens": training.tokens if training is not None else None,
            **({"questions": questions} if questions else {}),
        },
    }


def training_configuration(job: PretrainJob, blend: str) -> str:
    """Return the hash of all that the result of training depends on.

    Args:
        job: The job.
        blend: Configuration of the blend stage.
    """
    spec = resolve(job).spec
    return content_hash([blend, [spec.model, spec.objective, spec.training, spec.stability]])
