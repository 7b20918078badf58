"""The rules that the API server itself can check, in the Common Expression Language.

They are a part of `pretrain_api.validation.rules`: what needs arithmetic on quantities such as 256Ki stays there.
A field that is null instead of left out is dropped by the API server unless the schema calls it nullable, so `has`
means that it has a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic.alias_generators import to_camel

from pretrain_api.presets import REQUIRED_WITHOUT_PRESET


@dataclass(frozen=True)
class CelRule:
    """An expression that has to be true, and what is said where it isn't."""

    expression: str
    message: str

    def as_schema(self) -> dict[str, Any]:
        """Return an entry of x-kubernetes-validations."""
        return {"rule": self.expression, "message": self.message}


def _unchanged(field: str) -> CelRule:
    """Return the rule that a field, optional or not, stays as it was when the job was made."""
    return CelRule(
        f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})",
        f"{field} cannot be changed once the job is made; make a job of another name",
    )


def _not_more(least: str, most: str) -> CelRule:
    return CelRule(
        f"!has(self.{least}) || !has(self.{most}) || self.{least} <= self.{most}",
        f"{least} is more than {most}: nothing would be left; write less",
    )


def _count(*fields: str) -> str:
    """Return an expression for how many of the optional fields are given."""
    return " + ".join(f"(has(self.{field}) ? 1 : 0)" for field in fields)


def _matches(pattern: str, message: str) -> CelRule:
    return CelRule(f"self.matches('{pattern}')", message)


_LABEL = _matches("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", "not a name; write lower-case letters, digits and '-'")
_SUBDOMAIN = _matches("^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", "not a name; write lower-case letters, digits, '-' and '.'")
_STAYS_INSIDE = CelRule(
    "!self.matches('://.*(^|/)[.][.](/|$)') && !self.matches('[[:cntrl:]]')",
    "the uri leaves its storage by '..', or has characters that do not print; write a clean path",
)
_READABLE = CelRule(
    "!self.contains('://') || self.matches('^(file|s3|gs|hf|http|https|sample)://.+')",
    "this kind of URL cannot be read; write a path, or file, s3, gs, hf, http, https or sample with ://",
)
_LANGUAGE = _matches("^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", "not a language code; write one of ISO 639, such as en")
_ALL_SIZES = " && ".join(f"has(self.{to_camel(name)})" for name in REQUIRED_WITHOUT_PRESET)
_FIRST_FROM_ZERO = "(type(self[0].from) == int ? self[0].from == 0 : self[0].from.matches('^0+([.]0+)?[A-Za-z]*$'))"
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
    "tokenizer",
    "split",
    "curriculum",
)

RULES_BY_PATH: dict[str, tuple[CelRule, ...]] = {
    "spec": (
        CelRule(
            "has(self.model) == has(self.training)",
            "model and training go together; write both, or neither to prepare data only",
        ),
        CelRule(
            "!has(self.model) || !has(self.model.vocabSize) || !has(self.data.tokenizer) || "
            "!has(self.data.tokenizer.train) || !has(self.data.tokenizer.train.vocabSize) || "
            "self.model.vocabSize >= self.data.tokenizer.train.vocabSize",
            "model.vocabSize has fewer rows than the tokenizer has pieces; write at least tokenizer.train.vocabSize",
        ),
        CelRule(
            "!has(self.training) || !has(self.training.evaluation) || !has(self.training.evaluation.everyTokens) || "
            "!has(self.data.split) || !has(self.data.split.validation) || self.data.split.validation > 0.0 || "
            "!has(self.data.sources)",
            "nothing is held back for training.evaluation; write data.split.validation above 0, or remove everyTokens",
        ),
        CelRule(
            "has(self.model) == has(oldSelf.model)",
            "model and training cannot be added or removed once the job is made; make a job of another name",
        ),
    ),
    "spec.storage": (
        CelRule(
            "!has(self.create) || (has(self.uri) && self.uri.startsWith('pvc://'))",
            "create makes a claim; write uri: pvc://claim/path, or remove create",
        ),
        _unchanged("uri"),
    ),
    "spec.storage.uri": (
        _STAYS_INSIDE,
        CelRule(
            "self == '' || self.matches('^(pvc://[a-z0-9]|s3://[a-z0-9]|gs://[a-z0-9]|file:///)') && "
            "!self.matches('^(pvc|s3|gs)://[^/]*[^-a-z0-9._/]')",
            "no such claim, bucket or path; write pvc://claim/path, s3://bucket/prefix or file:///path",
        ),
    ),
    "spec.storage.create.size": (_matches("[1-9]", "a claim needs a size above 0; write for example 500Gi"),),
    "spec.storage.create.storageClassName": (_SUBDOMAIN,),
    "spec.queueName": (_LABEL,),
    "spec.schedulerName": (_SUBDOMAIN,),
    "spec.priorityClassName": (_SUBDOMAIN,),
    "spec.trainer.image": (
        _matches("^[A-Za-z0-9][A-Za-z0-9._:/@-]*$", "not an image; write for example ghcr.io/team/trainer:1.0"),
    ),
    "spec.checkpoint": (
        # null counts as not given here, so that both being null can't be told from the defaults.
        CelRule(
            "!has(self.keepEverySteps) || !has(self.everySteps) || self.keepEverySteps % self.everySteps == 0",
            "keepEverySteps has to be a multiple of everySteps; write one, or remove it",
        ),
    ),
    "spec.data.sources[].uri": (_STAYS_INSIDE, _READABLE),
    "spec.data.sources[].language": (_LANGUAGE,),
    "spec.data.tokenized[].uri": (_STAYS_INSIDE, _READABLE),
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
        *(_unchanged(field) for field in _DATA_FIELDS),
    ),
    "spec.data.sources": (_COMPLETE_WEIGHTS, _SOME_WEIGHT),
    "spec.data.tokenized": (_COMPLETE_WEIGHTS, _SOME_WEIGHT),
    "spec.data.clean": (
        _not_more("minCharacters", "maxCharacters"),
        _not_more("minWords", "maxWords"),
        _not_more("minMeanWordLength", "maxMeanWordLength"),
    ),
    "spec.data.tokenizer": (
        CelRule(
            f"{_count('train', 'uri', 'tiktoken')} == 1",
            "a job has one tokenizer; write exactly one of train, uri, tiktoken",
        ),
    ),
    "spec.data.curriculum": (
        CelRule(f"size(self) == 0 || {_FIRST_FROM_ZERO}", "the first phase starts the run; write from: 0"),
    ),
    "spec.model": (
        CelRule(
            f"has(self.preset) || ({_ALL_SIZES})",
            "a model without a preset needs its sizes; write hiddenSize, intermediateSize, numHiddenLayers and "
            "numAttentionHeads, or preset",
        ),
        CelRule(
            "has(self.headDim) || !has(self.hiddenSize) || !has(self.numAttentionHeads) || "
            "self.hiddenSize % self.numAttentionHeads == 0",
            "hiddenSize is not divisible by numAttentionHeads; change one of them, or write headDim",
        ),
        CelRule(
            "!has(self.numKeyValueHeads) || !has(self.numAttentionHeads) || "
            "self.numAttentionHeads % self.numKeyValueHeads == 0",
            "numAttentionHeads is not divisible by numKeyValueHeads; write a divisor",
        ),
        CelRule(
            "!has(self.headDim) || self.headDim % 2 == 0",
            "an odd head cannot be rotated (RoPE turns pairs); write an even headDim",
        ),
        CelRule("self == oldSelf", "the model cannot be changed once the job is made; make a job of another name"),
    ),
    "spec.objective": (
        CelRule(
            "!has(self.rate) || (has(self.type) && !(self.type in ['causal-lm', 'prefix-lm']))",
            "rate has no meaning with this objective; remove it",
        ),
        CelRule(
            "!has(self.sentencePairs) || (has(self.type) && self.type == 'masked-lm')",
            "sentencePairs goes with type: masked-lm only; remove it",
        ),
        CelRule("self == oldSelf", "the objective cannot be changed once the job is made; make a job of another name"),
    ),
    "spec.training": tuple(
        _unchanged(field) for field in ("sequenceLength", "seed", "precision", "optimizer", "parallelism")
    ),
    "spec.training.batch.stages": (
        CelRule(f"size(self) == 0 || {_FIRST_FROM_ZERO}", "the first stage starts the run; write from: 0"),
    ),
    "spec.training.learningRate": (
        CelRule(
            "!has(self.decayTokens) || !has(self.decay) || self.decay != 'constant'",
            "decayTokens has no meaning with decay: constant; remove it, or write decay: cosine",
        ),
    ),
    "spec.training.parallelism": (
        CelRule(
            "!has(self.offload) || self.offload == 'none' || (has(self.zero) ? self.zero : 1) >= "
            "(self.offload == 'cpu' ? 1 : 3)",
            "offload: cpu needs zero: 1 or more, offload: nvme zero: 3; raise zero, or write offload: none",
        ),
        CelRule(
            "!has(self.pipeline) || self.pipeline == 1 || !has(self.zero) || self.zero < 2",
            "ZeRO 2 and 3 do not work with pipeline > 1; write zero: 1",
        ),
    ),
}
"""Rules by path of the field they belong to."""
