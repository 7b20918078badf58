"""What a supervisor tells Prometheus of the sources: bounded, and gone with the pod."""

from prometheus_client import generate_latest

from pretrain_api.status import MAX_SOURCES_SHOWN, SourceSeen, TrainingStatus, shown_sources
from pretrain_api.wire import TrainerProgress
from pretrain_trainer.supervisor.metrics import Snapshot, registry_of


def metrics_of(seen: list[SourceSeen]) -> list[str]:
    training = TrainingStatus(step=1, sources=shown_sources(seen)[0])
    snapshot = Snapshot(TrainerProgress(state="Training", training=training))
    return generate_latest(registry_of(lambda: snapshot)).decode().splitlines()


def test_a_series_a_source() -> None:
    lines = metrics_of([SourceSeen(name="web", sequences=3, tokens=6144, epochs=0.25), SourceSeen(name="books")])
    assert 'pretrain_source_tokens{source="web"} 6144.0' in lines
    assert 'pretrain_source_epochs{source="web"} 0.25' in lines
    assert 'pretrain_source_tokens{source="books"} 0.0' in lines


def test_of_many_sources_those_that_were_seen_most_of() -> None:
    seen = [SourceSeen(name=f"s{n}", sequences=n, tokens=n * 10) for n in range(200)]
    lines = [line for line in metrics_of(seen) if line.startswith("pretrain_source_tokens{")]
    assert len(lines) == MAX_SOURCES_SHOWN
    assert 'pretrain_source_tokens{source="s199"} 1990.0' in lines
    shown, rest = shown_sources(seen)
    assert rest is not None
    assert rest.count == 150
    assert sum(one.tokens for one in shown) + rest.tokens == sum(one.tokens for one in seen)
    assert [one.name for one in shown] == [f"s{n}" for n in range(150, 200)]
