"""Valid jobs with random damage: there is always an answer, and it is never a traceback."""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pretrain_api.json_schema import Schema, job_schema
from pretrain_api.resolve import resolved_json
from pretrain_api.validation import validate_document
from pretrain_api.validation.documents import load_documents

_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "auto", "4M", "256Ki", "sample://python", "pvc://a/b", "../x", "\0", "none", "0", "é" * 300])
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _paths(node: Schema, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the paths of all fields of the schema, the first item of a list standing for all."""
    found = [path] if path else []
    for name, child in node.get("properties", {}).items():
        found += _paths(child, (*path, name))
    if isinstance(node.get("items"), dict):
        found += _paths(node["items"], (*path, 0))
    return found


PATHS = [path for path in _paths(job_schema()) if path[0] != "status"]


def put(document: Any, path: tuple[str | int, ...], value: Any) -> None:
    """Put `value` at `path`, making the mappings and lists on the way."""
    for part, following in pairwise(path):
        empty: Any = [] if isinstance(following, int) else {}
        if isinstance(part, int):
            if not document:
                document.append(empty)
            document = document[part]
        else:
            if not isinstance(document.get(part), type(empty)):
                document[part] = empty
            document = document[part]
    if isinstance(path[-1], int):
        document[:1] = [value]
    else:
        document[path[-1]] = value


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=st.lists(st.tuples(st.sampled_from(PATHS), _VALUES), min_size=1, max_size=4))
def test_there_is_always_an_answer(small_text: str, damage: list[tuple[tuple[str | int, ...], Any]]) -> None:
    (loaded,) = load_documents(small_text)
    document = copy.deepcopy(loaded.value)
    for path, value in damage:
        try:
            put(document, path, value)
        except (AttributeError, TypeError, IndexError, KeyError):
            continue  # an earlier damage has put a scalar on the way
    job, problems = validate_document(json.loads(json.dumps(document)), authored=True)
    assert (job is None) == bool(problems)
    for problem in problems:
        assert problem.path
        assert "; " in problem.message
        assert str(problem).isprintable(), repr(str(problem))
    if job is not None:
        assert json.loads(resolved_json(job))
