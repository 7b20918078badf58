"""What of a status is worth a write at once, and which events tell of nothing but our own writes."""

from __future__ import annotations

from typing import Any

import pytest

from pretrain_api.status import PretrainJobStatus
from pretrain_operator.kubernetes.publishing import differs_in_substance, is_as_seen

RUNNING = {"type": "Running", "status": "False", "reason": "Preparing", "lastTransitionTime": "2026-01-01T00:00:00Z"}
CLEAN = {"name": "clean", "total": 8}


def status(running: dict[str, Any] | None = None, clean: dict[str, Any] | None = None, **parts: Any) -> Any:
    return PretrainJobStatus.model_validate(
        {
            "phase": "Preparing",
            "conditions": [RUNNING | (running or {})],
            "dataPreparation": {"stages": [CLEAN | (clean or {})]},
            **parts,
        }
    )


@pytest.mark.parametrize(
    "after",
    [
        status(clean={"completed": 3, "documentsIn": 12}),
        status(clean={"state": "Running", "startedAt": "2026-01-01T00:00:01Z"}),
        status(running={"status": "True", "message": "stage clean", "lastTransitionTime": "2026-01-01T00:00:01Z"}),
    ],
)
def test_figures_that_move_on_can_wait(after: PretrainJobStatus) -> None:
    assert not differs_in_substance(status(), after)


@pytest.mark.parametrize(
    "after",
    [
        status(phase="Starting"),
        status(clean={"state": "Succeeded"}),
        status(running={"reason": "ImagePullFailed", "message": "no such image"}),
        status(restarts={"total": 1}),
        status(training={"step": 1}),
    ],
)
def test_news_are_written_at_once(after: PretrainJobStatus) -> None:
    assert differs_in_substance(status(), after)


SEEN = {"metadata": {"uid": "1", "generation": 1, "annotations": {"team": "a"}, "resourceVersion": "7"}}


def test_a_write_of_ours_is_no_news() -> None:
    finalizer = {"finalizers": ["pretrain.dev/finalizer"], "resourceVersion": "8", "managedFields": [{}]}
    assert is_as_seen(SEEN, {"metadata": SEEN["metadata"] | finalizer})


@pytest.mark.parametrize(
    "meanwhile",
    [
        {"generation": 2},
        {"annotations": {"team": "b"}},
        {"labels": {"team": "a"}},
        {"deletionTimestamp": "2026-01-01T00:00:00Z"},
        {"uid": "2"},
    ],
    ids=lambda meanwhile: next(iter(meanwhile)),
)
def test_what_somebody_changed_meanwhile_is_news(meanwhile: dict[str, Any]) -> None:
    assert not is_as_seen(SEEN, {"metadata": SEEN["metadata"] | meanwhile})
