"""Counter-based random numbers: the n-th draw of a key is SplitMix64's n-th output from that seed.

It can be taken without the ones before it (Steele, Lea and Flood 2014)."""

from __future__ import annotations

import numpy as np

from pretrain_trainer.objectives.compiled import inlined

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


@inlined
def draw(key, counter):
    """Return the draw `counter` (int64, from 0) of `key` (uint64): uint64."""
    value = key + np.uint64(counter + 1) * _GOLDEN
    value = (value ^ (value >> np.uint64(30))) * _FIRST
    value = (value ^ (value >> np.uint64(27))) * _SECOND
    return value ^ (value >> np.uint64(31))


@inlined
def stream(key, number):
    """Return the key of a stream of its own, by its number from 0; draws of `key` itself are not to be taken then."""
    return draw(key, number)


@inlined
def below(key, counter, bound):
    """Return an integer in [0, bound), int64; `bound` is less than 2^31, so its bias is less than 2^-32."""
    return np.int64(((draw(key, counter) >> np.uint64(32)) * np.uint64(bound)) >> np.uint64(32))


@inlined
def uniform(key, counter):
    """Return a number in [0, 1), float64."""
    return np.float64(draw(key, counter) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@inlined
def choose_by_weight(key, counter, cumulative):
    """Return an index: i with a probability of cumulative[i] - cumulative[i - 1]; the last one is 1."""
    at = uniform(key, counter)
    index = 0
    while index < len(cumulative) - 1 and at >= cumulative[index]:
        index += 1
    return index


@inlined
def choose_sorted(key, counter, available, chosen, out):
    """Write `chosen` different integers of [0, available) in ascending order to `out`; return the next counter.

    Every choice is equally likely (selection sampling: Knuth, The Art of Computer Programming, 3.4.2, algorithm S).
    """
    found = 0
    for candidate in range(available):
        if found == chosen:
            break
        if below(key, counter + candidate, available - candidate) < chosen - found:
            out[found] = candidate
            found += 1
    return counter + available


@inlined
def segment(key, counter, total, parts, out):
    """Write `parts` positive integers that add up to `total` to `out`, every such list equally likely; return the next
    counter."""
    counter = choose_sorted(key, counter, total - 1, parts - 1, out)
    before = 0
    for part in range(parts - 1):
        cut = out[part] + 1
        out[part] = cut - before
        before = cut
    out[parts - 1] = total - before
    return counter
