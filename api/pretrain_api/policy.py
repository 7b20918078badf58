"""The ValidatingAdmissionPolicy of PretrainJobs, made from the rules of the spec and its sections.

https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pretrain_api.cel import POLICY_RULES, SPEC, CelRule
from pretrain_api.names import GROUP, PLURAL, VERSION

NAME = f"{PLURAL}.{GROUP}"
_API_VERSION = "admissionregistration.k8s.io/v1"
_KEPT = {"helm.sh/resource-policy": "keep"}
"""As the CRD is: jobs outlive an uninstallation of the chart."""
_FALLBACK = "the spec breaks a rule; run `pretrain validate`, which says which"


def admission_policy() -> dict[str, Any]:
    """Return the policy, as plain values. All broken rules are named at once, each with its path."""
    variables = dict(_variables())
    problems = " + ".join(f"variables.{name}" for name in variables)
    return {
        "apiVersion": _API_VERSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": NAME, "annotations": _KEPT},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [GROUP],
                        "apiVersions": [VERSION],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": [PLURAL],
                    }
                ]
            },
            "matchConditions": [
                {
                    "name": "the-spec-is-new-or-changed",
                    "expression": "oldObject == null || object.metadata.generation != oldObject.metadata.generation",
                }
            ],
            "variables": [
                *({"name": name, "expression": expression} for name, expression in variables.items()),
                {"name": "problems", "expression": problems},
            ],
            "validations": [
                {
                    "expression": "size(variables.problems) == 0",
                    "messageExpression": "variables.problems.join(' | ')",
                    "message": _FALLBACK,
                }
            ],
        },
    }


def admission_policy_binding() -> dict[str, Any]:
    """Return what puts the policy into force, in all namespaces."""
    return {
        "apiVersion": _API_VERSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": NAME, "annotations": _KEPT},
        "spec": {"policyName": NAME, "validationActions": ["Deny"]},
    }


def _variables() -> Iterator[tuple[str, str]]:
    """Yield name and expression of a list of problems, for each section."""
    for path, rules in POLICY_RULES.items():
        name = path.rpartition(".")[2]
        if lasting := [rule for rule in rules if not rule.is_of_change]:
            yield name, _problems(path, lasting)
        if of_change := [rule for rule in rules if rule.is_of_change]:
            yield f"{name}_changes", _problems_of_change(path, of_change)


def _problems(path: str, rules: list[CelRule]) -> str:
    """Return the problems that a section has. One that hasn't changed isn't judged again, by newer rules perhaps."""
    there = _optional(f"object.{path}")
    problems = f"{there}.optMap(self, {_broken(path, rules)}).orValue([])"
    if path == SPEC:
        return problems
    return f"oldObject != null && {_optional(f'oldObject.{path}')} == {there} ? [] : {problems}"


def _problems_of_change(path: str, rules: list[CelRule]) -> str:
    """Return the problems that a change of a section has, where it is there before and after."""
    before, after = _optional(f"oldObject.{path}"), _optional(f"object.{path}")
    told = f"{before}.optMap(oldSelf, {_broken(path, rules)}).orValue([])"
    return f"oldObject == null ? [] : {after}.optMap(self, {told}).orValue([])"


def _optional(path: str) -> str:
    parent, _, field = path.rpartition(".")
    return f"{parent}.?{field}"


def _broken(path: str, rules: list[CelRule]) -> str:
    """Return a list of the problems, as an expression of `self` and perhaps `oldSelf`."""
    parts = ", ".join(f"({rule.expression}) ? '' : {json.dumps(f'{path}: {rule.message}')}" for rule in rules)
    return f"[{parts}].filter(problem, problem != '')"
