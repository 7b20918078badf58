"""`pretrain status`: what is shown of which status."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from pretrain_api.status import PretrainJobStatus
from pretrain_cli.display.glance import Glance, glance_lines, troubles

NOW = datetime(2026, 1, 3, 12, 0, 0, tzinfo=UTC)
STAGES = [
    {
        "name": "clean",
        "state": "Succeeded",
        "completed": 64,
        "total": 64,
        "documentsIn": 1_200_000,
        "documentsOut": 900_000,
        "removed": {"too-short": 250_000, "language": 40_000, "symbols": 9_000, "bullets": 1_000},
    },
    {"name": "tokenize", "state": "Running", "completed": 12, "total": 64, "documentsIn": 200_000},
    {"name": "blend", "total": 1},
]
TRAINING: dict[str, Any] = {
    "observedGeneration": 2,
    "phase": "Training",
    "startTime": "2026-01-01T09:00:00Z",
    "dataPreparation": {
        "stages": [{"name": "clean", "state": "Succeeded", "completed": 64, "total": 64}],
        "tokens": 300_000_000_000,
        "documents": 900_000,
        "validationTokens": 3_000_000,
    },
    "training": {
        "step": 1200,
        "totalSteps": 3000,
        "tokens": 120_000_000_000,
        "totalTokens": 300_000_000_000,
        "progressPercentage": 40.0,
        "estimatedRemainingSeconds": 183_600.0,
        "loss": 2.3456,
        "validationLoss": 2.4,
        "learningRate": 3e-4,
        "gradientNorm": 0.31,
        "tokensPerSecond": 1_650_000.0,
        "mfu": 0.412,
        "batchStage": 1,
        "batchTokens": 1_048_576,
        "numNodes": 4,
        "worldSize": 32,
        "lastUpdatedTime": "2026-01-03T11:59:55Z",
    },
    "checkpoints": {
        "latest": {"step": 1000, "tokens": 1, "time": "2026-01-03T11:40:00Z", "uri": "x"},
        "healthy": {"step": 500, "tokens": 1, "time": "2026-01-03T08:00:00Z", "uri": "x"},
    },
    "rollbacks": [
        {
            "time": "2026-01-02T03:00:00Z",
            "reason": "LossSpike",
            "detectedAtStep": 412,
            "resumedFromStep": 400,
            "skippedSequences": {"from": 25600, "to": 26368},
            "recovered": True,
        }
    ],
    "refusedRollback": {"id": "a", "time": "2026-01-02T23:00:00Z", "message": "no checkpoint is that old"},
    "restarts": {
        "total": 3,
        "counted": 1,
        "last": {"time": "2026-01-03T10:00:00Z", "reason": "NodeLost", "node": "gpu-17", "message": "node is gone"},
    },
    "goodput": 0.971,
    "conditions": [{"type": "Running", "status": "True", "reason": "Training"}],
}
SPEC = {
    "training": {"batch": {"stages": [{}, {}, {}]}},
    "failurePolicy": {"maxRestarts": 20},
}


def glance(status: dict[str, Any], note: str = "", metadata: dict[str, Any] | None = None) -> Glance:
    document = {"metadata": {"name": "llama", "generation": 2, **(metadata or {})}, "spec": SPEC}
    parsed = PretrainJobStatus.model_validate({"observedGeneration": 2, **status})
    return Glance("llama", "namespace research", document, parsed, NOW, note)


def shown(seen: Glance, terminal: bool = False) -> str:
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, highlight=False, soft_wrap=True, width=200)
    for line in glance_lines(seen):
        console.print(line)
    return output.getvalue()


def test_new_documents_are_told_apart() -> None:
    data = {"tokens": 1_720_000, "documents": 458, "augmentedDocuments": 110, "augmentedTokens": 332_256}
    seen = shown(glance({"phase": "Completed", "dataPreparation": {**data, "validationTokens": 49_969}}))
    assert "1.72M tokens to train on in 458 documents and 110 made of them (332,256 tokens), 49,969 to validate" in seen


def test_a_training() -> None:
    assert shown(glance(TRAINING)) == (
        "llama  Training  namespace research, started 2d 3h ago\n"
        "\n"
        "preparation   ✓ clean  64/64\n"
        "data          300B tokens to train on in 900,000 documents, 3M to validate\n"
        "training      ████████████░░░░░░░░░░░░░░░░░░  40.0%  step 1,200/3,000, 120B/300B tokens\n"
        "              loss 2.346, validation loss 2.400, gradient norm 0.31, learning rate 3.00e-04\n"
        "              1.65M tokens/s, MFU 41.2%, 2d 3h left\n"
        "batch stage   2 of 3: 1.05M tokens a step, 4 nodes, 32 ranks\n"
        "checkpoints   newest: step 1,000 (20m ago); newest healthy: step 500 (4h ago)\n"
        "rollbacks     1\n"
        "              LossSpike at step 412 → step 400, 768 sequences skipped, loss recovered (1d 9h ago)\n"
        "refused       rollback: no checkpoint is that old (13h ago)\n"
        "restarts      3 (1 counted of 20 allowed)\n"
        "              last: NodeLost on gpu-17, 2h ago: node is gone\n"
        "goodput       97.1% of the time since the trainer first started was useful training\n"
    )


def test_a_preparation() -> None:
    status = {"phase": "Preparing", "dataPreparation": {"stages": STAGES}}
    assert shown(glance(status)) == (
        "llama  Preparing  namespace research\n"
        "\n"
        "preparation   ✓ clean     64/64  1,200,000 → 900,000 documents, "
        "removed: too-short 250,000, language 40,000, symbols 9,000\n"
        "              ▸ tokenize  12/64  200,000 documents\n"
        "              · blend       0/1\n"
    )


def test_a_failure_says_what_is_wrong_and_what_to_do() -> None:
    failed = {
        "type": "Failed",
        "status": "True",
        "reason": "InvalidData",
        "message": "clean 0: a.jsonl:3: bad; mend it",
    }
    status = {
        "phase": "Failed",
        "startTime": "2026-01-03T11:00:00Z",
        "completionTime": "2026-01-03T11:05:00Z",
        "conditions": [failed],
    }
    assert shown(glance(status)) == (
        "llama  Failed  namespace research, took 5m\n  wrong: clean 0: a.jsonl:3: bad\n  do:    mend it\n\n"
    )


def test_every_problem_of_an_invalid_job_is_a_line() -> None:
    invalid = {"type": "Valid", "status": "False", "reason": "InvalidSpec", "message": "spec.a: one; x\nspec.b: two; y"}
    running = {"type": "Running", "status": "False", "reason": "InvalidSpec"}
    assert troubles(glance({"conditions": [invalid, running]})) == ["spec.a: one; x", "spec.b: two; y"]


def test_a_pod_that_cannot_start_is_a_trouble_and_an_ordinary_start_is_not() -> None:
    stuck = {"type": "Running", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes; free some"}
    assert troubles(glance({"conditions": [stuck]})) == ["Unschedulable: 0/2 nodes; free some"]
    assert troubles(glance({"conditions": [{**stuck, "reason": "Starting"}]})) == []


def test_a_pause_is_a_trouble_and_a_wanted_suspension_is_not() -> None:
    paused = {"type": "Suspended", "status": "True", "reason": "PausedOnSpike", "message": "loss 9.1; resume it"}
    assert troubles(glance({"phase": "Suspended", "conditions": [paused]})) == ["loss 9.1; resume it"]
    assert troubles(glance({"phase": "Suspended", "conditions": [{**paused, "reason": "Suspended"}]})) == []


def test_a_wrong_rollback_annotation_is_told_while_training_goes_on() -> None:
    wrong = {
        "type": "Valid",
        "status": "True",
        "reason": "InvalidAnnotation",
        "message": "toStep: bad; write one",
    }
    assert troubles(glance({**TRAINING, "conditions": [wrong]})) == ["toStep: bad; write one"]


def test_an_operator_that_does_not_look_is_told_after_some_seconds() -> None:
    fresh = {"creationTimestamp": "2026-01-03T11:59:50Z"}
    old = {"creationTimestamp": "2026-01-03T11:50:00Z"}
    assert troubles(glance({"observedGeneration": 0}, metadata=fresh)) == []
    [line] = troubles(glance({"observedGeneration": 0}, metadata=old))
    assert line.startswith("no operator has looked at this version of the job; ")


def test_training_without_news_is_told() -> None:
    training = {**TRAINING["training"], "lastUpdatedTime": "2026-01-03T11:50:00Z"}
    assert troubles(glance({**TRAINING, "training": training})) == [
        "no progress was seen for 10m; look into `pretrain logs llama`"
    ]


def test_colours_are_for_terminals() -> None:
    assert "\x1b[" not in shown(glance(TRAINING))
    assert "\x1b[" in shown(glance(TRAINING), terminal=True)


def test_what_training_has_seen_the_most_of_it_first() -> None:
    seen = [{"name": f"s{n}", "sequences": n, "tokens": n * 1_000_000, "epochs": n / 10} for n in range(1, 12)]
    training = {**TRAINING["training"], "sources": seen}
    text = shown(glance({**TRAINING, "training": training}))
    assert "sources       s11   16.7%  11M tokens, 1.10 epochs\n" in text
    assert "3 more sources: 6M tokens\n" in text


def test_the_estimate() -> None:
    estimate = {
        "parameters": 6_738_415_616,
        "trainingFlops": 4.04e22,
        "tokensPerParameter": 148.4,
        "gpus": 64,
        "memoryBytesPerGpu": 21_300_000_000,
        "gpu": "h100",
        "trainingSeconds": 1_600_000,
        "utilization": 0.4,
    }
    text = shown(glance({**TRAINING, "estimate": estimate}))
    assert "estimate      6.74B parameters, 148 tokens a parameter, 4.04e+22 FLOPs\n" in text
    assert "21.3 GB a rank on 64 ranks, 18d 12h on h100 at 40% of the peak\n" in text
