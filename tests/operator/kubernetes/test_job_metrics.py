"""Series of the operator that belong to a job: a few a job, and gone with it."""

from prometheus_client import generate_latest

from pretrain_api.status import PretrainJobStatus, SourceSeen, TrainingStatus
from pretrain_operator.kubernetes.memory import Memories
from pretrain_operator.kubernetes.metrics import MAX_SOURCES, OperatorMetrics
from pretrain_operator.kubernetes.queue import WorkQueue

KEY = ("research", "llama")


def series(metrics: OperatorMetrics) -> list[str]:
    lines = generate_latest(metrics.registry).decode().splitlines()
    return [line for line in lines if line.startswith("pretrain_job_source_tokens{")]


def test_sources_are_bounded_and_go_with_the_job() -> None:
    memories = Memories()
    metrics = OperatorMetrics(memories, WorkQueue())
    seen = [SourceSeen(name=f"s{n}", tokens=n) for n in range(40)]
    memories.of(KEY, "1").status = PretrainJobStatus(training=TrainingStatus(step=1, sources=seen))
    lines = series(metrics)
    assert len(lines) == MAX_SOURCES
    assert 'pretrain_job_source_tokens{name="llama",namespace="research",source="s39"} 39.0' in lines
    memories.forget(KEY)
    assert series(metrics) == []
