"""The rules that the API server itself can check, in the Common Expression Language.

They are a part of `pretrain_api.validation.rules`: what needs arithmetic on quantities such as 256Ki stays there.
"""

from pretrain_api.cel.data import DATA_RULES
from pretrain_api.cel.filters import FILTER_RULES
from pretrain_api.cel.job import JOB_RULES
from pretrain_api.cel.objective import OBJECTIVE_RULES
from pretrain_api.cel.rule import CelRule

_ALL = (JOB_RULES, DATA_RULES, FILTER_RULES, OBJECTIVE_RULES)

RULES_BY_PATH: dict[str, tuple[CelRule, ...]] = {
    path: tuple(rule for rules in _ALL for rule in rules.get(path, ()))
    for path in dict.fromkeys(p for r in _ALL for p in r)
}
"""Rules by path of the field they belong to."""

__all__ = ["RULES_BY_PATH", "CelRule"]
