from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rank_harness import write_blend, write_pair

from pretrain_api.wire import StorageLayout
from pretrain_trainer.data.dataset import TrainingData, ValidationData, read_blend
from pretrain_trainer.data.sample_index import SkipList
from pretrain_trainer.data.source import TokenStream, WindowOrder
from pretrain_trainer.data.token_file import TokenFile
from pretrain_trainer.errors import InvalidData

LENGTH = 16


def counting_documents(count: int, length: int, start: int = 0) -> list[list[int]]:
    """Documents whose tokens number on, so that a token says where it was."""
    return [list(range(start + i * length, start + (i + 1) * length)) for i in range(count)]


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    write_blend(
        tmp_path,
        {"a": (counting_documents(20, 37), counting_documents(2, 30)), "b": (counting_documents(9, 50, 10_000), [])},
        vocab_size=65_535,
    )
    return tmp_path


def open_data(storage: Path, seed: int = 1) -> TrainingData:
    return TrainingData(read_blend(StorageLayout(storage)), storage, LENGTH, seed)


@pytest.fixture(scope="module")
def shared_data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    directory = tmp_path_factory.mktemp("shared")
    write_blend(directory, {"a": (counting_documents(20, 37), [])}, vocab_size=65_535)
    return open_data(directory)


def test_sequences_are_stretches_of_a_source(storage: Path) -> None:
    rows = open_data(storage).read(np.arange(500))
    assert rows.shape == (500, LENGTH + 1)
    assert rows.dtype == np.int64
    assert (np.diff(rows, axis=1) == 1).all()  # across documents and pairs


def test_an_epoch_reads_every_window_once(storage: Path) -> None:
    data = open_data(storage)
    windows = data.orders[0].num_windows
    source, use = data.index.locate(np.arange(10_000))
    first_epoch = np.flatnonzero((source == 0) & (use < windows))
    starts = data.read(first_epoch)[:, 0]
    assert np.unique(starts).size == windows
    assert np.unique(np.diff(np.sort(starts))).tolist() == [LENGTH]


def test_epochs_are_cut_and_ordered_differently(storage: Path) -> None:
    order = open_data(storage).orders[0]
    epochs = order.starts(np.arange(order.num_windows * 8)).reshape(8, -1)
    assert np.unique(epochs[:, 0] % LENGTH).size > 2
    assert not np.array_equal(np.argsort(epochs[0]), np.argsort(epochs[1]))


@settings(max_examples=200)
@given(num_tokens=st.integers(9, 500), length=st.integers(1, 8), use=st.integers(0, 10**6), seed=st.integers(0, 100))
def test_every_window_and_its_last_target_lie_in_the_source(num_tokens: int, length: int, use: int, seed: int) -> None:
    start = int(WindowOrder(num_tokens, length, seed, 0).starts(np.array([use]))[0])
    assert start >= 0
    assert start + length + 1 <= num_tokens


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(1, 40), min_size=1, max_size=10), first=st.integers(0, 1000))
def test_reading_does_not_depend_on_the_batch(shared_data: TrainingData, cuts: list[int], first: int) -> None:
    data = shared_data
    skips = SkipList.from_json([[first + 3, first + 9]])

    def read_consumed(start: int, count: int) -> np.ndarray:
        return data.read(skips.index_of(np.arange(start, start + count)))

    whole = read_consumed(first, sum(cuts))
    parts, start = [], first
    for count in cuts:
        parts.append(read_consumed(start, count))
        start += count
    assert np.array_equal(whole, np.concatenate(parts))


def test_the_seed_changes_the_order(storage: Path) -> None:
    assert not np.array_equal(open_data(storage, 1).read(np.arange(50)), open_data(storage, 2).read(np.arange(50)))


def test_a_corpus_too_small_says_what_is_missing(tmp_path: Path) -> None:
    write_blend(tmp_path, {"tiny": (counting_documents(1, LENGTH), [])})
    with pytest.raises(
        InvalidData, match=f"'tiny' has {LENGTH} training tokens, one sequence takes {LENGTH + 1}"
    ) as failure:
        open_data(tmp_path)
    assert failure.value.reason == "CorpusTooSmall"


def test_one_sequence_is_enough(tmp_path: Path) -> None:
    write_blend(tmp_path, {"tiny": (counting_documents(1, LENGTH + 1), [])})
    assert open_data(tmp_path).read(np.arange(3)).tolist() == [list(range(LENGTH + 1))] * 3


@pytest.mark.parametrize("damage", ["missing", "short", "magic", "truncated-index", "odd"])
def test_damaged_files_are_named(tmp_path: Path, damage: str) -> None:
    prefix = tmp_path / "pair"
    write_pair(prefix, counting_documents(3, 10))
    tokens, index = tmp_path / "pair.bin", tmp_path / "pair.idx"
    culprit = index if damage in {"magic", "truncated-index"} else tokens
    content = culprit.read_bytes()
    if damage == "missing":
        culprit.unlink()
    else:
        changed = {
            "short": content[:-4],
            "odd": content[:-1],
            "magic": b"X" + content[1:],
            "truncated-index": content[:40],
        }
        culprit.write_bytes(changed[damage])
    with pytest.raises(InvalidData, match=str(culprit)):
        TokenFile(prefix)


def test_streams_read_across_pairs(tmp_path: Path) -> None:
    for number in range(3):
        write_pair(tmp_path / str(number), counting_documents(2, 5, start=10 * number))
    stream = TokenStream([tmp_path / str(number) for number in range(3)])
    assert len(stream) == 30
    assert stream.read(7, 20).tolist() == list(range(7, 27))
    assert stream.read(28, 10).tolist() == [28, 29]


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_validation_is_divided_without_loss(storage: Path, world_size: int) -> None:
    data = ValidationData(read_blend(StorageLayout(storage)), storage, LENGTH, max_sequences=100)
    shares = [list(data.windows("a", 2, rank, world_size)) for rank in range(world_size)]
    assert len({len(share) for share in shares}) == 1
    every = [windows for share in shares for windows in share]
    rows = [row[1:length] for windows in every for row, length in zip(windows.rows, windows.lengths, strict=True)]
    assert sorted(np.concatenate(rows).tolist()) == list(range(1, 3 * LENGTH + 1))  # the windows of 60 tokens
    places = [int(i) for windows in every for i, length in zip(windows.index, windows.lengths, strict=True) if length]
    assert sorted(places) == [0, 1, 2]


def test_short_validation_is_filled_up(tmp_path: Path) -> None:
    write_blend(tmp_path, {"a": (counting_documents(5, 20), counting_documents(1, 7))})
    data = ValidationData(read_blend(StorageLayout(tmp_path)), tmp_path, LENGTH, max_sequences=10)
    (windows,) = data.windows("a", 4, 0, 1)
    assert windows.lengths.tolist() == [7]
    assert windows.rows.tolist() == [[0, 1, 2, 3, 4, 5, 6] + [0] * (LENGTH - 6)]


def test_partners_are_of_other_documents(storage: Path) -> None:
    """So that a next sentence that is none is one indeed."""
    data = open_data(storage)
    rows, partners = data.read(np.arange(300)), data.read_partners(np.arange(300))
    source = rows[:, 0] // 10_000
    assert np.array_equal(source, partners[:, 0] // 10_000)
    documents = np.where(source == 0, 37, 50)[:, None]
    shared = (partners[:, :LENGTH, None] // documents[..., None] == rows[:, None, :LENGTH] // documents[..., None]).any(
        (1, 2)
    )
    assert not shared.any()
    assert np.array_equal(partners, data.read_partners(np.arange(300)))
    assert np.unique(partners[:, 0]).size > 150


def test_windows_may_be_shorter_than_sequences(storage: Path) -> None:
    """Special tokens take places of their own, and no text is left out because of them."""
    blend = read_blend(StorageLayout(storage))
    data = TrainingData(blend, storage, LENGTH, 1, window_length=LENGTH - 3)
    source, use = data.index.locate(np.arange(10_000))
    first_epoch = np.flatnonzero((source == 0) & (use < data.orders[0].num_windows))
    starts = np.sort(data.read(first_epoch)[:, 0])
    assert np.unique(np.diff(starts)).tolist() == [LENGTH - 3]


def test_data_that_another_job_prepared_anew_is_noticed(storage: Path, tmp_path: Path) -> None:
    own = StorageLayout(tmp_path / "own")
    own.data.mkdir(parents=True)
    theirs = read_blend(StorageLayout(storage))
    blend = theirs.model_copy(update={"prepared": str(storage)})
    own.blend.write_text(blend.model_dump_json(by_alias=True))
    assert read_blend(own) == blend
    StorageLayout(storage).blend.write_text(
        theirs.model_copy(update={"fingerprint": "other"}).model_dump_json(by_alias=True)
    )
    with pytest.raises(InvalidData, match="its data was prepared anew since this job began"):
        read_blend(own)
