"""The status tells whether somebody edited it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.names import Phase
from pretrain_api.status import PretrainJobStatus, TrainingStatus, is_sealed, seal

STATUS = PretrainJobStatus.model_validate(
    {
        "observedGeneration": 3,
        "phase": "Training",
        "conditions": [{"type": "Valid", "status": "True", "reason": "Accepted"}],
        "training": {"step": 7, "loss": 2.5, "tokensPerSecond": 1000.0},
        "restarts": {"total": 1, "recent": [{"id": "a/0", "time": "2026-01-01T00:00:00Z"}]},
    }
)


def through_the_api_server(status: PretrainJobStatus) -> PretrainJobStatus:
    """As Go writes it: whole numbers without a point, keys in another order."""

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: whole(value[key]) for key in sorted(value)}
        if isinstance(value, list):
            return [whole(each) for each in value]
        negative_zero = value == 0 and math.copysign(1, value) < 0 if isinstance(value, float) else False
        short = isinstance(value, float) and value.is_integer() and abs(value) < 1e15 and not negative_zero
        return int(value) if short else value

    document = json.loads(status.model_dump_json(by_alias=True, exclude_none=True))
    return PretrainJobStatus.model_validate_json(json.dumps(whole(document)))


def test_a_sealed_status_is_known_again() -> None:
    sealed = seal(STATUS)
    assert is_sealed(sealed)
    assert is_sealed(through_the_api_server(sealed))
    assert seal(sealed) == sealed
    assert not is_sealed(STATUS)


@given(st.floats(), st.floats(), st.none() | st.floats())
def test_no_figure_breaks_the_seal(loss: float, speed: float, goodput: float | None) -> None:
    training = TrainingStatus(step=1, loss=loss, tokens_per_second=speed)
    status = STATUS.model_copy(update={"training": training, "goodput": goodput})
    assert is_sealed(through_the_api_server(seal(status)))


@pytest.mark.parametrize(
    "edit",
    [
        {"phase": Phase.COMPLETED},
        {"observed_generation": 4},
        {"restarts": STATUS.restarts.model_copy(update={"total": 0})},
        {"conditions": []},
        {"training": None},
        {"training": TrainingStatus(step=7, loss=math.nan, tokens_per_second=1000.0)},
        {"fingerprint": None},
    ],
)
def test_an_edited_status_is_not(edit: dict[str, Any]) -> None:
    assert not is_sealed(seal(STATUS).model_copy(update=edit))
