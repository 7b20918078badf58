"""The blend: what the trainer reads, from which weights. Pure functions of the job and the tokenized units' counts."""

from __future__ import annotations

from collections.abc import Mapping

from pretrain_api.mixtures import parts_by_source
from pretrain_api.names import Reason
from pretrain_api.objectives import kind_of_family, reserved_tokens
from pretrain_api.resolve import content_hash
from pretrain_api.spec.data import Data, Mixture
from pretrain_api.spec.job import PretrainJobSpec
from pretrain_api.wire import Blend, BlendPair, BlendPhase, BlendSource
from pretrain_dataprep.context import unit_name
from pretrain_dataprep.errors import ConfigurationError, InputError
from pretrain_dataprep.manifests import Input, Manifest


def data_fingerprint(tokenized: Mapping[str, Manifest], tokenizer: Input) -> str:
    """Return the hash of everything that the tokens depend on.

    Args:
        tokenized: Manifests of all tokenized units by name.
        tokenizer: As of `tokenizers.folder.tokenizer_input`.
    """
    outputs = {name: [[output.path, output.xxh3] for output in item.outputs] for name, item in tokenized.items()}
    return content_hash({"outputs": outputs, "tokenizer": tokenizer.fingerprint})


def check_vocabulary(spec: PretrainJobSpec, blend: Blend) -> None:
    """Raise ConfigurationError if the job's model or objective wants another vocabulary than the data has."""
    rows = spec.model.vocab_size if spec.model is not None else None
    if rows is not None and rows < blend.vocab_size:
        raise ConfigurationError(
            f"spec.model.vocabSize: {rows:,} rows are fewer than the {blend.vocab_size:,} tokens of the data's "
            f"vocabulary; leave vocabSize out or write at least {blend.vocab_size}, or use data made for this model"
        )
    if spec.model is None or spec.training is None:
        return
    kind = kind_of_family(spec.model.family)
    needed = reserved_tokens(spec.objective, kind, spec.training.sequence_length)
    missing = [token for token in needed if token not in blend.reserved_tokens]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise ConfigurationError(
            f"spec.objective: the data's vocabulary lacks tokens that this objective needs: {', '.join(missing[:3])}"
            f"{more}; train a tokenizer with them, or name one that has them"
        )


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
        test_tokens=sum(pair.test_tokens for pair in pairs),
        test_documents=sum(pair.test_documents for pair in pairs),
        pairs=[pair for pair in pairs if pair.train_tokens or pair.validation_tokens or pair.test_tokens],
    )


def _pair(unit: str, counts: dict[str, int]) -> BlendPair:
    has_validation, has_test = counts["validationTokens"] > 0, counts.get("testTokens", 0) > 0
    return BlendPair(
        train=f"data/tokenized/{unit}.train",
        train_tokens=counts["trainTokens"],
        train_documents=counts["trainDocuments"],
        validation=f"data/tokenized/{unit}.validation" if has_validation else None,
        validation_tokens=counts["validationTokens"],
        validation_documents=counts["validationDocuments"],
        test=f"data/tokenized/{unit}.test" if has_test else None,
        test_tokens=counts.get("testTokens", 0),
        test_documents=counts.get("testDocuments", 0),
    )


def blend_phases(data: Data, sources: list[BlendSource]) -> list[BlendPhase]:
    """Return the phases with weights that add up to 1.

    Without weights a source counts by its tokens times its epochs. The weight of a source is shared, by their tokens,
    with what was made of its documents.

    Raises:
        ConfigurationError: All weights of a phase are zero, or one belongs to no source.
    """
    own = [source for source in sources if source.origin is None]
    if data.curriculum:
        _check_names(data, own)
        return [BlendPhase(from_tokens=int(p.from_), weights=_shared(p.weights, sources)) for p in data.curriculum]
    given: dict[str, float | None] = {source.name: source.weight for source in data.sources}
    if data.prepared is not None and data.mixture is not None:
        given = _mixture_weights(data.mixture, own)
    given |= {source.name: source.weight for source in data.tokenized}
    if any(weight is not None for weight in given.values()):
        weights = _shared({name: weight or 0.0 for name, weight in given.items()}, sources)
    else:
        weights = _normalized({source.name: source.train_tokens * (source.epochs or 1.0) for source in sources})
    return [BlendPhase(from_tokens=0, weights=weights)]


def _shared(weights: dict[str, float], sources: list[BlendSource]) -> dict[str, float]:
    """Return normalized weights, each shared with what was made of the source's documents."""
    shared = dict(_normalized(weights))
    for name in weights:
        parts = {source.name: source.train_tokens for source in sources if name in (source.name, source.origin)}
        total = sum(parts.values())
        if len(parts) > 1 and total > 0:
            shared |= {part: shared[name] * tokens / total for part, tokens in parts.items() if part != name}
            shared[name] *= parts[name] / total
    return shared


def without_small_parts(
    sources: list[BlendSource], phases: list[BlendPhase], sequence_length: int | None
) -> list[BlendPhase]:
    """Return the phases without new documents too few to be read by themselves: their weight is their source's again.

    An objective may read more text than a sequence has tokens; twice as much is safe.
    """
    least = 1 if sequence_length is None else 2 * sequence_length + 1
    small = {source.name: source.origin for source in sources if source.origin and source.train_tokens < least}
    return [BlendPhase(from_tokens=p.from_tokens, weights=_given_back(p.weights, small)) for p in phases]


def _given_back(weights: dict[str, float], small: dict[str, str]) -> dict[str, float]:
    kept = {name: weight for name, weight in weights.items() if name not in small}
    for name, origin in small.items():
        if weights.get(name, 0.0) > 0:
            kept[origin] = kept.get(origin, 0.0) + weights[name]
    return kept


def _mixture_weights(mixture: Mixture, sources: list[BlendSource]) -> dict[str, float | None]:
    """Return the weights of what another job prepared."""
    parts = parts_by_source(mixture)
    missing = [source.name for source in sources if source.name not in parts]
    if missing:
        raise ConfigurationError(
            f"spec.data.mixture.sources: source {missing[0]} of the prepared data is no part of {mixture.preset}; "
            "write for which one it stands"
        )
    return {source.name: parts[source.name].weight for source in sources}


def _check_names(data: Data, sources: list[BlendSource]) -> None:
    names = [source.name for source in sources]
    for index, phase in enumerate(data.curriculum):
        for name in phase.weights:
            if name not in names:
                raise ConfigurationError(
                    f"spec.data.curriculum[{index}].weights: there is no source {name!r}; there are {', '.join(names)}"
                )


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
