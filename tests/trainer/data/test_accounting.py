"""What was seen of each source is exact: the same as counting the sequences one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rank_harness import synthetic_documents, write_blend

from pretrain_api.schedule import batch_schedule
from pretrain_api.spec.training import Training
from pretrain_api.wire import StorageLayout
from pretrain_trainer.data.accounting import Accounting
from pretrain_trainer.data.dataset import TrainingData, read_blend
from pretrain_trainer.data.sample_index import SkipList

LENGTH, LONGEST = 16, 70_000  # longer than the table of slots
PHASES = [
    {"fromTokens": 0, "weights": {"web": 0.7, "books": 0.3}},
    {"fromTokens": 300 * LENGTH, "weights": {"books": 0.25, "code": 0.75}},
    {"fromTokens": 66_000 * LENGTH, "weights": {"web": 0.5, "code": 0.5}},
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    storage = tmp_path_factory.mktemp("accounting")
    sources = {name: (synthetic_documents(1, count), []) for name, count in (("web", 20), ("books", 9), ("code", 5))}
    write_blend(storage, {**sources, "unused": (synthetic_documents(2, 4), [])}, phases=PHASES)
    return TrainingData(read_blend(StorageLayout(storage)), storage, LENGTH, seed=7)


@pytest.fixture(scope="module")
def sources(data: TrainingData) -> np.ndarray:
    """Source of every sequence, found one by one."""
    return data.index.locate(np.arange(2 * LONGEST))[0]


SKIPS = st.lists(st.tuples(st.integers(0, 68_000), st.integers(0, 3000)), max_size=6).map(
    lambda ranges: SkipList.from_json([(first, first + length) for first, length in ranges])
)


@settings(max_examples=60, deadline=None)
@given(consumed=st.one_of(st.integers(0, 700), st.integers(0, LONGEST)), skips=SKIPS)
def test_counts_are_those_of_the_sequences_one_by_one(
    data: TrainingData, sources: np.ndarray, consumed: int, skips: SkipList
) -> None:
    skipped = np.zeros(sources.size, dtype=bool)
    for first, end in skips.ranges:
        skipped[first:end] = True
    one_by_one = sources[~skipped][:consumed]
    uses = Accounting(data, LENGTH).uses(consumed, skips)
    assert uses.tolist() == [int((one_by_one == number).sum()) for number in range(4)]
    assert uses.sum() == consumed


@settings(max_examples=30, deadline=None)
@given(steps=st.integers(1, 60), at=st.integers(0, 59), skipped=st.integers(0, 500))
def test_a_rollback_in_the_middle_of_batch_stages_leaves_no_trace(
    data: TrainingData, sources: np.ndarray, steps: int, at: int, skipped: int
) -> None:
    """The counts are those of the trajectory that survived, whatever was tried before."""
    stages = [{"tokens": 4 * LENGTH, "from": 0}, {"tokens": 16 * LENGTH, "from": 80 * LENGTH}]
    training = Training.model_validate(
        {"tokens": 2000 * LENGTH, "sequenceLength": LENGTH, "batch": {"stages": stages}, "learningRate": {"peak": 0.1}}
    )
    schedule = batch_schedule(training)
    resumed = min(at, steps)
    begin = schedule.sequences_after(resumed)
    skips = SkipList().add(begin, begin + skipped)
    seen = np.zeros(4, dtype=np.int64)
    for step in range(steps):
        consumed = np.arange(schedule.sequences_after(step), schedule.sequences_after(step + 1))
        seen += np.bincount(sources[skips.index_of(consumed)], minlength=4)
    assert Accounting(data, LENGTH).uses(schedule.sequences_after(steps), skips).tolist() == seen.tolist()


def test_tokens_and_epochs_follow_from_the_sequences(data: TrainingData) -> None:
    seen = {source.name: source for source in Accounting(data, LENGTH).seen(60_000, SkipList())}
    assert list(seen) == ["web", "books", "code"]  # what has no weight isn't there
    assert sum(source.tokens for source in seen.values()) == 60_000 * LENGTH
    windows = data.orders[0].num_windows
    assert seen["web"].epochs == pytest.approx(seen["web"].sequences / windows, abs=1e-4)
    first_use_of_the_next_epoch = seen["web"].sequences // windows * windows
    assert seen["web"].epochs >= first_use_of_the_next_epoch / windows
