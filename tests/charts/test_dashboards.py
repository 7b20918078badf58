"""Dashboards ask for nothing that nobody exports."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pretrain_api.status import Checkpoints, CheckpointStatus, SourceSeen, TrainingStatus
from pretrain_api.wire import TrainerProgress
from pretrain_dataprep.progress import Progress
from pretrain_operator.kubernetes.memory import Memories
from pretrain_operator.kubernetes.metrics import OperatorMetrics
from pretrain_operator.kubernetes.queue import WorkQueue
from pretrain_trainer.supervisor.metrics import Snapshot, registry_of

FUNCTIONS_AND_WORDS = re.compile(r"\b(?:pretrain|process)_\w+")
DASHBOARDS = sorted((Path(__file__).resolve().parents[2] / "charts/pretrain-operator/dashboards").glob("*.json"))


def exported() -> set[str]:
    """Names of all samples that operator, trainers and preparation processes can give."""
    now = "2026-01-01T00:00:00Z"
    saved = CheckpointStatus(step=1, tokens=1, time=now, uri="x")
    progress = TrainerProgress(
        state="Training",
        training=TrainingStatus.model_construct(
            **{**dict.fromkeys(TrainingStatus.model_fields, 1), "sources": [SourceSeen(name="web")]}
        ),
        checkpoints=Checkpoints(latest=saved, healthy=saved),
        goodput=1.0,
    )
    snapshot = Snapshot(progress, 1, 1.0, {"Hang": 1}, {"LossSpike": 1})
    families = [
        *OperatorMetrics(Memories(), WorkQueue()).registry.collect(),
        *registry_of(lambda: snapshot).collect(),
    ]
    names = {family.name for family in families} | {sample.name for family in families for sample in family.samples}
    names |= {f"{family.name}_total" for family in families if family.type == "counter"}
    names |= {
        f"{family.name}_{end}" for family in families if family.type == "histogram" for end in ("count", "bucket")
    }
    names |= set(re.findall(r"^(pretrain_\w+)", Progress("clean").metrics(), re.MULTILINE))
    return names


def expressions(dashboard: dict[str, Any]) -> list[str]:
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    notes = [note["expr"] for note in dashboard["annotations"]["list"]]
    variables = [each["definition"] for each in dashboard["templating"]["list"] if "definition" in each]
    return panels + notes + variables


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_metric_of_a_dashboard_is_exported(path: Path) -> None:
    asked = {name for text in expressions(json.loads(path.read_text())) for name in FUNCTIONS_AND_WORDS.findall(text)}
    asked -= {"pretrain_job"}  # a label
    assert asked
    assert asked <= exported()


def test_every_metric_of_an_alert_is_exported(chart: Path) -> None:
    groups = yaml.safe_load((chart / "rules.yaml").read_text())["groups"]
    asked = {name for group in groups for rule in group["rules"] for name in FUNCTIONS_AND_WORDS.findall(rule["expr"])}
    assert asked <= exported()


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_have_titles_a_data_source_and_a_place_of_their_own(path: Path) -> None:
    panels = json.loads(path.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        own = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not own & cells, panel["title"]
        assert max(x for x, _ in own) < 24
        cells |= own
        assert panel["title"]
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
