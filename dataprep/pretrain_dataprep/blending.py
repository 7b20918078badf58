"""The blend: what the trainer reads, from which weights. Pure functions of the job and the tokenized units' counts."""

from __future__ import annotations

from pretrain_api.names import Reason
from pretrain_api.spec.data import Data
from pretrain_api.wire import BlendPair, BlendPhase, BlendSource
from pretrain_dataprep.context import unit_name
from pretrain_dataprep.errors import ConfigurationError, InputError


def blend_source(name: str, epochs: float | None, counts_by_shard: list[dict[str, int]]) -> BlendSource:
    """Return a source with the pairs that hold tokens, in the order of the shards."""
    pairs = [_pair(unit_name(name, shard), counts) for shard, counts in enumerate(counts_by_shard)]
    return BlendSource(
        name=name,
        epochs=epochs,
        train_tokens=sum(pair.train_tokens for pair in pairs),
        train_documents=sum(pair.train_documents for pair in pairs),
        validation_tokens=sum(pair.validation_tokens for pair in pairs),
        validation_documents=sum(pair.validation_documents for pair in pairs),
        pairs=[pair for pair in pairs if pair.train_tokens or pair.validation_tokens],
    )


def _pair(unit: str, counts: dict[str, int]) -> BlendPair:
    has_validation = counts["validationTokens"] > 0
    return BlendPair(
        train=f"data/tokenized/{unit}.train",
        train_tokens=counts["trainTokens"],
        train_documents=counts["trainDocuments"],
        validation=f"data/tokenized/{unit}.validation" if has_validation else None,
        validation_tokens=counts["validationTokens"],
        validation_documents=counts["validationDocuments"],
    )


def blend_phases(data: Data, sources: list[BlendSource]) -> list[BlendPhase]:
    """Return the phases with weights that add up to 1.

    Without weights a source counts by its tokens times its epochs.

    Raises:
        ConfigurationError: All weights of a phase are zero.
    """
    if data.curriculum:
        return [
            BlendPhase(from_tokens=int(phase.from_), weights=_normalized(phase.weights)) for phase in data.curriculum
        ]
    given = {source.name: source.weight for source in data.sources}
    if any(weight is not None for weight in given.values()):
        return [BlendPhase(from_tokens=0, weights=_normalized({name: weight or 0.0 for name, weight in given.items()}))]
    sizes = {source.name: source.train_tokens * (source.epochs or 1.0) for source in sources}
    return [BlendPhase(from_tokens=0, weights=_normalized(sizes))]


def _normalized(weights: dict[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    if total <= 0:
        raise ConfigurationError("spec.data.sources: all weights are zero; give at least one source a weight")
    return {name: weight / total for name, weight in weights.items()}


def check_sizes(sources: list[BlendSource], phases: list[BlendPhase], sequence_length: int | None) -> None:
    """Raise InputError if a source that is to be read doesn't hold one sequence."""
    needed = 1 if sequence_length is None else sequence_length + 1
    for source in sources:
        is_used = any(phase.weights.get(source.name, 0) > 0 for phase in phases)
        if is_used and source.train_tokens < needed:
            raise InputError(
                f"source {source.name} has {source.train_tokens:,} tokens to train on, less than one sequence needs "
                f"({needed:,}: spec.training.sequenceLength and the token after it); bring more text, relax "
                f"spec.data.clean, or lower spec.training.sequenceLength",
                Reason.CORPUS_TOO_SMALL,
            )


def planned_epochs(
    sources: list[BlendSource], phases: list[BlendPhase], training_tokens: int | None
) -> dict[str, float | None]:
    """Return how many times the planned training passes over each source; None: no training is planned."""
    if training_tokens is None:
        return {source.name: None for source in sources}
    starts = [phase.from_tokens for phase in phases]
    ends = [*starts[1:], training_tokens]
    tokens = dict.fromkeys((source.name for source in sources), 0.0)
    for phase, start, end in zip(phases, starts, ends, strict=True):
        for name, weight in phase.weights.items():
            tokens[name] = tokens.get(name, 0.0) + weight * max(0, min(end, training_tokens) - start)
    return {
        source.name: round(tokens[source.name] / source.train_tokens, 4) if source.train_tokens else None
        for source in sources
    }
