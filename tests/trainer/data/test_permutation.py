import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_trainer.data.permutation import keyed_hash, mix64, permute


def test_mix64_is_splitmix64() -> None:
    # The first outputs of SplitMix64 with seed 1234567 (Vigna's reference implementation).
    state = np.array([1234567], dtype=np.uint64)
    increment = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        found = [int(mix64(state + increment * np.uint64(step))[0]) for step in range(3)]
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@settings(max_examples=200)
@given(size=st.integers(1, 3000), key=st.integers(0, 2**63))
def test_a_permutation_hits_everything_once(size: int, key: int) -> None:
    permuted = permute(np.arange(size, dtype=np.uint64), size, keyed_hash(key))
    assert np.array_equal(np.sort(permuted), np.arange(size))


@given(size=st.integers(1, 2**62), key=st.integers(0, 2**63), data=st.data())
def test_large_ranges_stay_inside(size: int, key: int, data: st.DataObject) -> None:
    index = np.array(
        data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=20, unique=True)), dtype=np.uint64
    )
    permuted = permute(index, size, keyed_hash(key))
    assert (permuted < size).all()
    assert np.unique(permuted).size == index.size


def test_a_key_for_each_index_is_the_same_as_one_at_a_time() -> None:
    index = np.array([0, 1, 2, 3, 4, 5], dtype=np.uint64)
    keys = keyed_hash(7, np.arange(6))
    together = permute(index, 1000, keys)
    alone = [int(permute(index[i : i + 1], 1000, keys[i : i + 1])[0]) for i in range(6)]
    assert together.tolist() == alone


def test_permutations_look_random() -> None:
    """Over many keys every index goes everywhere alike: chi-squared, 99.99 % quantile of 63 degrees of freedom is
    118."""
    size, keys = 64, 20_000
    targets = permute(np.full(keys, 5, dtype=np.uint64), size, keyed_hash(1, np.arange(keys)))
    counts = np.bincount(targets.astype(np.int64), minlength=size)
    assert ((counts - keys / size) ** 2 / (keys / size)).sum() < 118


def test_golden_order() -> None:
    """What has been trained depends on it: this order never changes."""
    assert permute(np.arange(10, dtype=np.uint64), 10, keyed_hash(1234, 0, 0)).tolist() == [
        5,
        7,
        2,
        8,
        1,
        0,
        9,
        6,
        3,
        4,
    ]
