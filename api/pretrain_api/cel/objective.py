"""Rules of the objective: settings that have a meaning, and a network that can learn it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic.alias_generators import to_camel

from pretrain_api.cel.rule import CelRule, one_of
from pretrain_api.objectives import KINDS_OF_OBJECTIVE, ModelKind, kind_of_family
from pretrain_api.presets import PRESETS
from pretrain_api.spec.objective import ObjectiveSettings
from pretrain_api.validation.rules.objective import NEVER_ZERO, PACKED, SETTINGS

_TYPE = "(has(self.type) ? self.type : 'causal-lm')"
_LISTS = ("noise", "denoisers")


def _of_settings(kind: str) -> Iterator[CelRule]:
    """Yield the rules of settings, for an objective whose type is the expression `kind`."""
    for name in ObjectiveSettings.model_fields:
        types = [each for each, names in SETTINGS.items() if name in names]
        field = to_camel(name)
        empty = f" || size(self.{field}) == 0" if name in _LISTS else ""
        yield CelRule(
            f"!has(self.{field}){empty} || {kind} in {one_of(types)}",
            f"{field} has no meaning with this type; remove it, or write type: {' or '.join(types)}",
        )
    yield CelRule(
        f"!has(self.rate) || !({kind} in {one_of(NEVER_ZERO)}) || (self.rate > 0.0 && self.rate < 1.0)",
        "this rate leaves nothing to predict or to read; write between 0 and 1",
    )


def _all_in(types: str, objective: str = "self") -> str:
    """Return an expression: the objective, or each one of its mixture, is of one of the types."""
    kind = f"(has({objective}.type) ? {objective}.type : 'causal-lm')"
    parts = f"(!has({objective}.mixture) || {objective}.mixture.all(part, part.type in {types}))"
    return f"({kind} == 'mixture' ? {parts} : {kind} in {types})"


def _is_kind(kind: ModelKind) -> str:
    """Return an expression: the model, of a job that has one, is of a kind that few families are of."""
    presets = [name for name, sizes in PRESETS.items() if kind_of_family(sizes.family) == kind]
    families = {sizes.family for name, sizes in PRESETS.items() if name in presets}
    return (
        f"(has(self.model.family) ? self.model.family in {one_of(sorted(families))} : "
        f"has(self.model.preset) && self.model.preset in {one_of(presets)})"
    )


def _of_network(kind: ModelKind, is_kind: str) -> CelRule:
    types = [name for name, kinds in KINDS_OF_OBJECTIVE.items() if kind in kinds]
    by_default = json.dumps("causal-lm" in types)
    fits = f"(has(self.objective) ? {_all_in(one_of(types), 'self.objective')} : {by_default})"
    article = "an" if kind.startswith("e") else "a"
    return CelRule(
        f"!has(self.model) || !{is_kind} || {fits}",
        f"the model is {article} {kind}, which learns {', '.join(types)}; write one of these, or another model.family",
    )


_ENCODER, _ENCODER_DECODER = _is_kind("encoder"), _is_kind("encoder-decoder")

OBJECTIVE_RULES: dict[str, tuple[CelRule, ...]] = {
    "spec": (
        _of_network("encoder", _ENCODER),
        _of_network("encoder-decoder", _ENCODER_DECODER),
        _of_network("decoder", f"(!{_ENCODER} && !{_ENCODER_DECODER})"),
    ),
    "spec.objective": (
        *_of_settings(_TYPE),
        CelRule(
            f"({_TYPE} == 'mixture') == (has(self.mixture) && size(self.mixture) > 0)",
            "type: mixture and mixture go together; write both, as mixture: [{type: causal-lm}, {type: prefix-lm}]",
        ),
        CelRule(
            f"!has(self.documentMasking) || !self.documentMasking || {_all_in(one_of(PACKED))}",
            "documentMasking goes with type: causal-lm or fill-in-the-middle; remove it, or write one of these",
        ),
        CelRule(
            f"!has(self.futureTokens) || self.futureTokens == 0 || {_all_in(one_of(PACKED))}",
            "futureTokens go with type: causal-lm or fill-in-the-middle; remove them, or write one of these",
        ),
    ),
    "spec.objective.mixture[]": tuple(_of_settings("self.type")),
}
