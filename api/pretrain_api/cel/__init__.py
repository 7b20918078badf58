"""The rules that the API server itself can check, in the Common Expression Language.

They are a part of `pretrain_api.validation.rules`: what needs arithmetic on quantities such as 256Ki stays there.
"""

from pretrain_api.cel.data import DATA_RULES
from pretrain_api.cel.filters import FILTER_RULES
from pretrain_api.cel.job import JOB_RULES
from pretrain_api.cel.objective import OBJECTIVE_RULES
from pretrain_api.cel.rule import CelRule

SPEC = "spec"
SECTIONS = tuple(f"{SPEC}.{name}" for name in ("storage", "data", "model", "objective", "training"))
"""Objects of a spec that can't be changed, or have many fields. None of their rules reads a field that may be null."""
_ALL = (JOB_RULES, DATA_RULES, FILTER_RULES, OBJECTIVE_RULES)
_BY_PATH: dict[str, tuple[CelRule, ...]] = {
    path: tuple(rule for rules in _ALL for rule in rules.get(path, ()))
    for path in dict.fromkeys(p for r in _ALL for p in r)
}
POLICY_RULES = {path: rules for path, rules in _BY_PATH.items() if path in (SPEC, *SECTIONS)}
"""Rules of the spec and of its sections, by path: an admission policy checks them when a spec is new or changed.

In the CRD they would be checked at every write of a status, and cost more than all the rest of it: for each field that
a rule asks for, the API server copies the schemas of all fields beside it, and these objects have many.
"""
SCHEMA_RULES = {path: rules for path, rules in _BY_PATH.items() if path not in POLICY_RULES}
"""Rules of all other fields, by path, which are in the CRD."""

__all__ = ["POLICY_RULES", "SCHEMA_RULES", "SECTIONS", "SPEC", "CelRule"]
