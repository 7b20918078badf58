"""Rules of the job as a whole, of the network, the training and the pods."""

from __future__ import annotations

from pydantic.alias_generators import to_camel

from pretrain_api.cel.rule import FIRST_FROM_ZERO, READABLE, STAYS_INSIDE, CelRule, matches, one_of, unchanged
from pretrain_api.presets import REQUIRED_WITHOUT_PRESET, SMALL_EXPERT_FAMILIES
from pretrain_api.validation.rules.optimizer import WHOLE_MATRICES, WITH_BETAS, WITH_MOMENTUM

_LABEL = matches("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", "not a name; write lower-case letters, digits and '-'")
_SUBDOMAIN = matches("^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", "not a name; write lower-case letters, digits, '-' and '.'")
_ALL_SIZES = " && ".join(f"has(self.{to_camel(name)})" for name in REQUIRED_WITHOUT_PRESET)
JOB_RULES: dict[str, tuple[CelRule, ...]] = {
    "spec": (
        CelRule(
            "has(self.model) == has(self.training)",
            "model and training go together; write both, or neither to prepare data only",
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
        CelRule(
            "self.?storage.?uri == oldSelf.?storage.?uri",
            "storage.uri cannot be changed once the job is made; make a job of another name",
        ),
        unchanged("objective"),
    ),
    "spec.storage": (
        CelRule(
            "!has(self.create) || (has(self.uri) && self.uri.startsWith('pvc://'))",
            "create makes a claim; write uri: pvc://claim/path, or remove create",
        ),
    ),
    "spec.storage.uri": (
        STAYS_INSIDE,
        CelRule(
            "self == '' || self.matches('^(pvc://[a-z0-9]|s3://[a-z0-9]|gs://[a-z0-9]|file:///)') && "
            "!self.matches('^(pvc|s3|gs)://[^/]*[^-a-z0-9._/]')",
            "no such claim, bucket or path; write pvc://claim/path, s3://bucket/prefix or file:///path",
        ),
    ),
    "spec.storage.create.size": (matches("[1-9]", "a claim needs a size above 0; write for example 500Gi"),),
    "spec.storage.create.storageClassName": (_SUBDOMAIN,),
    "spec.queueName": (_LABEL,),
    "spec.schedulerName": (_SUBDOMAIN,),
    "spec.priorityClassName": (_SUBDOMAIN,),
    "spec.trainer.image": (
        matches("^[A-Za-z0-9][A-Za-z0-9._:/@-]*$", "not an image; write for example ghcr.io/team/trainer:1.0"),
    ),
    "spec.checkpoint": (
        # null counts as not given here, so that both being null can't be told from the defaults.
        CelRule(
            "!has(self.keepEverySteps) || !has(self.everySteps) || self.keepEverySteps % self.everySteps == 0",
            "keepEverySteps has to be a multiple of everySteps; write one, or remove it",
        ),
    ),
    "spec.model": (
        CelRule(
            f"has(self.preset) || ({_ALL_SIZES})",
            "a model without a preset needs its sizes; write hiddenSize, intermediateSize, numHiddenLayers and "
            "numAttentionHeads, or preset",
        ),
        CelRule(
            f"has(self.preset) || !has(self.family) || !(self.family in {one_of(SMALL_EXPERT_FAMILIES)}) || "
            "has(self.moeIntermediateSize)",
            "small experts have a width of their own; write moeIntermediateSize",
        ),
        CelRule(
            "has(self.headDim) || !has(self.hiddenSize) || !has(self.numAttentionHeads) || "
            "self.hiddenSize % self.numAttentionHeads == 0",
            "hiddenSize is not divisible by numAttentionHeads; change one of them, or write headDim",
        ),
        CelRule(
            "!has(self.family) || self.family != 'bloom' || !has(self.hiddenSize) || !has(self.intermediateSize) || "
            "self.intermediateSize == 4 * self.hiddenSize",
            "the feed-forward layers of the family bloom are 4 * hiddenSize wide; write that as intermediateSize",
        ),
        CelRule(
            "!has(self.family) || self.family != 'gpt-neox' || has(self.partialRotaryFactor) || "
            "!has(self.hiddenSize) || !has(self.numAttentionHeads) || "
            "(self.hiddenSize / self.numAttentionHeads > 7 && self.hiddenSize / self.numAttentionHeads % 8 < 4)",
            "a quarter of a head of gpt-neox cannot be rotated (RoPE turns pairs); write sizes that make it even",
        ),
        CelRule(
            "!has(self.numKeyValueHeads) || !has(self.numAttentionHeads) || "
            "self.numAttentionHeads % self.numKeyValueHeads == 0",
            "numAttentionHeads is not divisible by numKeyValueHeads; write a divisor",
        ),
        CelRule(
            "!has(self.headDim) || self.headDim % 2 == 0 || has(self.preset) || "
            "(has(self.family) && self.family == 't5')",
            "an odd head cannot be rotated (RoPE turns pairs); write an even headDim",
        ),
        CelRule("self == oldSelf", "the model cannot be changed once the job is made; make a job of another name"),
    ),
    "spec.training": (
        CelRule(
            "!has(self.optimizer) || !has(self.optimizer.type) || "
            f"!(self.optimizer.type in {one_of(WHOLE_MATRICES)}) || "
            "(has(self.parallelism) && has(self.parallelism.zero) && self.parallelism.zero == 0)",
            f"{' and '.join(WHOLE_MATRICES)} look at whole matrices, which ZeRO divides; write zero: 0",
        ),
        *(unchanged(field) for field in ("sequenceLength", "seed", "precision", "optimizer", "parallelism")),
    ),
    "spec.training.optimizer": tuple(
        CelRule(
            f"!has(self.{field}) || (has(self.type) ? self.type : 'adamw') in {one_of(types)}",
            f"{field} has no meaning with this type; remove it, or write type: {' or '.join(types)}",
        )
        for field, types in (("betas", WITH_BETAS), ("momentum", WITH_MOMENTUM))
    ),
    "spec.training.evaluation.multipleChoice[].uri": (STAYS_INSIDE, READABLE),
    "spec.training.batch.stages": (
        CelRule(f"size(self) == 0 || {FIRST_FROM_ZERO}", "the first stage starts the run; write from: 0"),
    ),
    "spec.training.learningRate": (
        CelRule(
            "!has(self.decayTokens) || !has(self.decay) || !(self.decay in ['constant', 'inverse-sqrt'])",
            "decayTokens has no meaning with decay: constant or inverse-sqrt; remove it, or write decay: cosine",
        ),
        *(
            CelRule(
                f"!has(self.{field}) || (has(self.decay) && self.decay == 'wsd')",
                f"{field} goes with decay: wsd only; remove it, or write decay: wsd",
            )
            for field in ("annealTokens", "annealShape")
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
