"""Rules of the data: its origin, mixture, deduplication, tokenizer."""

from __future__ import annotations

import json

from pydantic.alias_generators import to_camel

from pretrain_api.cel.rule import (
    FIRST_FROM_ZERO,
    READABLE,
    STAYS_INSIDE,
    CelRule,
    count,
    language_code,
    one_of,
    unchanged,
)
from pretrain_api.spec.data import TrainTokenizer
from pretrain_api.validation.rules.data import OF_PREPARATION
from pretrain_api.validation.rules.tokenizer import ALGORITHMS_OF_SETTINGS, BYTE_PIECES, SPECIAL_PIECES

_READ_IN_PLACE = CelRule(
    "!self.contains('://') || self.matches('^(file:///|pvc://[a-z0-9]).*')",
    "tokens are read in place; write a path, file:///path or pvc://claim/path",
)
_COMPLETE_WEIGHTS = CelRule(
    "self.all(source, has(source.weight)) || self.all(source, !has(source.weight))",
    "some sources have a weight and others none; write one for each source or for none",
)
_SOME_WEIGHT = CelRule(
    "size(self) == 0 || !self.all(source, has(source.weight) && source.weight == 0.0)",
    "the weights are all zero; give at least one source a weight above 0",
)
_DATA_FIELDS = (
    "sources",
    "tokenized",
    "prepared",
    "shards",
    "clean",
    "dedup",
    "decontaminate",
    "augment",
    "tokenizer",
    "split",
    "mixture",
    "curriculum",
)
_ALGORITHM = f"(has(self.algorithm) ? self.algorithm : '{TrainTokenizer.model_fields['algorithm'].default}')"
_HAS_BYTES = (
    f"({_ALGORITHM}.startsWith('sentencepiece') ? !has(self.byteFallback) || self.byteFallback : "
    f"{_ALGORITHM} == 'huggingface-bpe')"
)


def _of_ready_data(origin: str, settings: tuple[str, ...]) -> CelRule:
    """Return the rule that settings of a preparation aren't given where the data is ready."""
    none = " && ".join(f"!has(self.{to_camel(name)})" for name in settings)
    return CelRule(
        f"!has(self.{origin}) || (has(self.sources) && size(self.sources) > 0) || "
        f"({'size(self.tokenized) == 0 || ' if origin == 'tokenized' else ''}({none}))",
        f"with {origin} the data is ready, and is not prepared; remove {', '.join(map(to_camel, settings))}",
    )


def _of_algorithm(name: str, algorithms: tuple[str, ...]) -> CelRule:
    """Return the rule that a setting of the tokenizer's training belongs to its algorithm, or is the default."""
    field, default = to_camel(name), json.dumps(TrainTokenizer.model_fields[name].default)
    return CelRule(
        f"!has(self.{field}) || self.{field} == {default} || {_ALGORITHM} in {one_of(algorithms)}",
        f"{field} has no meaning with this algorithm; remove it, or write algorithm: {' or '.join(algorithms)}",
    )


DATA_RULES: dict[str, tuple[CelRule, ...]] = {
    "spec": (
        CelRule(
            "!has(self.model) || !has(self.model.vocabSize) || !has(self.data.tokenizer) || "
            "!has(self.data.tokenizer.train) || !has(self.data.tokenizer.train.vocabSize) || "
            "self.model.vocabSize >= self.data.tokenizer.train.vocabSize",
            "model.vocabSize has fewer rows than the tokenizer has pieces; write at least tokenizer.train.vocabSize",
        ),
        CelRule(
            "!has(self.data.tokenized) || size(self.data.tokenized) == 0 || "
            "(has(self.data.tokenizer) && (has(self.data.tokenizer.uri) || has(self.data.tokenizer.tiktoken))) || "
            "(has(self.model) && (has(self.model.vocabSize) || has(self.model.preset)))",
            "tokenized data needs the tokenizer it was made with; write data.tokenizer.uri, or model.vocabSize",
        ),
    ),
    "spec.data.sources[].uri": (STAYS_INSIDE, READABLE),
    "spec.data.sources[].language": (language_code(),),
    "spec.data.tokenized[].uri": (STAYS_INSIDE, _READ_IN_PLACE),
    "spec.data.tokenized[].validationUri": (STAYS_INSIDE, _READ_IN_PLACE),
    "spec.data.prepared": (STAYS_INSIDE, _READ_IN_PLACE),
    "spec.data.curriculum[].weights": (
        CelRule(
            "self.exists(name, self[name] > 0.0)",
            "the weights are all zero; give at least one source a weight above 0",
        ),
    ),
    "spec.data": (
        CelRule(
            "(has(self.sources) && size(self.sources) > 0 ? 1 : 0) + "
            "(has(self.tokenized) && size(self.tokenized) > 0 ? 1 : 0) + (has(self.prepared) ? 1 : 0) == 1",
            "a job has one origin of its data; write exactly one of sources, tokenized, prepared",
        ),
        CelRule(
            "!has(self.mixture) || !has(self.curriculum) || size(self.curriculum) == 0",
            "mixture has no effect beside curriculum, which has the weights; remove one of them",
        ),
        CelRule(
            "!has(self.mixture) || !has(self.sources) || self.sources.all(source, !has(source.weight))",
            "weights come from mixture; remove them, or the mixture",
        ),
        CelRule(
            "!has(self.dedup) || !has(self.dedup.keep) || self.dedup.keep != 'quality' || "
            "(has(self.clean) && has(self.clean.quality))",
            "dedup.keep: quality needs scores; write clean.quality, or keep: longest",
        ),
        _of_ready_data("prepared", OF_PREPARATION),
        _of_ready_data("tokenized", tuple(name for name in OF_PREPARATION if name != "tokenizer")),
        *(unchanged(field) for field in _DATA_FIELDS),
    ),
    "spec.data.sources": (_COMPLETE_WEIGHTS, _SOME_WEIGHT),
    "spec.data.tokenized": (_COMPLETE_WEIGHTS, _SOME_WEIGHT),
    "spec.data.tokenizer": (
        CelRule(
            f"has(self.tiktoken) ? has(self.uri) && !has(self.train) : {count('train', 'uri')} == 1",
            "a job has one tokenizer; write train or uri, or tiktoken and the uri of its files",
        ),
    ),
    "spec.data.split": (
        CelRule(
            "!has(self.validation) || !has(self.test) || self.validation + self.test < 1.0",
            "nothing is left to train on; write less validation or test, such as 0.001",
        ),
    ),
    "spec.data.tokenizer.uri": (STAYS_INSIDE, READABLE),
    "spec.data.tokenizer.train": (
        *(_of_algorithm(name, algorithms) for name, algorithms in ALGORITHMS_OF_SETTINGS.items()),
        CelRule(
            f"!has(self.vocabSize) || self.vocabSize > {BYTE_PIECES + SPECIAL_PIECES} || !{_HAS_BYTES}",
            f"there is no room beside {BYTE_PIECES + SPECIAL_PIECES} bytes and special tokens; write a larger one",
        ),
    ),
    "spec.data.dedup.near": (
        CelRule(
            "!has(self.verify) || !self.verify || !has(self.method) || self.method != 'simhash'",
            "simhash compares all candidates by maxDistance already; remove verify, or write minhash",
        ),
    ),
    "spec.data.augment[]": (
        *(
            CelRule(f"(self.method == '{method}') == has(self.{field})", f"{field} goes with {method}; {remedy}")
            for method, field, remedy in (
                ("synonyms", "dictionary", "write a dictionary for synonyms, and none for other methods"),
                ("code-mix", "partner", "write the other source for code-mix, and none for other methods"),
                ("rewrite", "command", "write a command for rewrite, and none for other methods"),
            )
        ),
        CelRule(
            "!has(self.partner) || self.partner != self.source",
            "a source is not mixed with itself; write the name of another one, or method: concatenate",
        ),
    ),
    "spec.data.augment[].dictionary": (STAYS_INSIDE, READABLE),
    "spec.data.decontaminate.against[]": (STAYS_INSIDE, READABLE),
    "spec.data.curriculum": (
        CelRule(f"size(self) == 0 || {FIRST_FROM_ZERO}", "the first phase starts the run; write from: 0"),
    ),
}
