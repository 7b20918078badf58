"""Span corruption and the mixture of denoisers."""

from __future__ import annotations

import numpy as np

from pretrain_trainer.objectives.compiled import compiled, inlined
from pretrain_trainer.objectives.kernels.random import below, choose_by_weight, segment

_COUNTS = 16  # draws set aside for choices; those of the spans come after them


@inlined
def _spans(key, length, rate, mean_span, sequential, noise_lengths, kept_lengths):
    """Cut a window into kept and noise stretches, which take turns; return their number (of each).

    As T5's random_spans_noise_mask, which begins with a kept stretch; of a sequential one the noise is the end.
    """
    if sequential:
        most = max(1, min(length - 1, np.int64(np.rint(2.0 * rate * length)) - 1))
        noise_lengths[0] = 1 + below(key, 1, most)
        kept_lengths[0] = length - noise_lengths[0]
        return 1
    noise = min(max(np.int64(np.rint(length * rate)), 1), length - 1)
    count = max(1, np.int64(np.rint(noise / mean_span)))
    count = min(count, noise, length - noise)
    counter = segment(key, _COUNTS, noise, count, noise_lengths)
    segment(key, counter, length - noise, count, kept_lengths)
    return count


@compiled(
    "void(int64[:, ::1], int64[::1], int64[::1], uint64[::1], "
    "float64[::1], int64[::1], float64[::1], float64[::1], boolean[::1], int64[::1], int64, "
    "int64[:, ::1], int64[:, ::1], int64[:, ::1])"
)
def corrupt_for_encoder_decoder(
    rows, lengths, which, keys, weights, modes, rates, mean_spans, sequential, sentinels, end, inputs, attention, labels
):
    """Fill `inputs`, `attention` and `labels` of the rows `which`.

    Args:
        rows: int64[batch, at least window], tokens.
        lengths: int64[batch], tokens of each row.
        which: int64[n], rows to fill.
        keys: uint64[batch].
        weights: float64[denoisers], cumulative.
        modes: int64[denoisers], the token before the input; negative: none.
        rates: float64[denoisers].
        mean_spans: float64[denoisers].
        sequential: bool[denoisers].
        sentinels: int64[spans], ids.
        end: The token after inputs and labels.
        inputs: int64[batch, width], padding so far.
        attention: int64[batch, width], 0 so far.
        labels: int64[batch, targets], ignored so far.
    """
    noise_lengths = np.empty(rows.shape[1], dtype=np.int64)
    kept_lengths = np.empty(rows.shape[1], dtype=np.int64)
    for row in which:
        length = lengths[row]
        if length < 2:
            continue
        kind = choose_by_weight(keys[row], 0, weights)
        count = _spans(keys[row], length, rates[kind], mean_spans[kind], sequential[kind], noise_lengths, kept_lengths)
        source = written = targets = 0
        if modes[kind] >= 0:
            inputs[row, written] = modes[kind]
            written += 1
        for span in range(count):
            for _ in range(kept_lengths[span]):
                inputs[row, written] = rows[row, source]
                written += 1
                source += 1
            inputs[row, written] = sentinels[span]
            written += 1
            labels[row, targets] = sentinels[span]
            targets += 1
            for _ in range(noise_lengths[span]):
                labels[row, targets] = rows[row, source]
                targets += 1
                source += 1
        inputs[row, written] = end
        labels[row, targets] = end
        attention[row, : written + 1] = 1


@compiled(
    "void(int64[:, ::1], int64[::1], int64[::1], uint64[::1], "
    "float64[::1], int64[::1], float64[::1], float64[::1], boolean[::1], int64[::1], int64, "
    "int64[:, ::1], int64[:, ::1], int64[::1])"
)
def corrupt_for_decoder(
    rows, lengths, which, keys, weights, modes, rates, mean_spans, sequential, sentinels, end, inputs, labels, prefixes
):
    """Fill `inputs`, `labels` and `prefixes` of the rows `which`: the corrupted text is the prefix, then come the
    targets. Arguments as above, and

    Args:
        labels: int64[batch, width], the token after each input.
        prefixes: int64[batch], length of the corrupted text.
    """
    noise_lengths = np.empty(rows.shape[1], dtype=np.int64)
    kept_lengths = np.empty(rows.shape[1], dtype=np.int64)
    text = np.empty(inputs.shape[1] + 1, dtype=np.int64)
    for row in which:
        length = lengths[row]
        if length < 2:
            continue
        kind = choose_by_weight(keys[row], 0, weights)
        count = _spans(keys[row], length, rates[kind], mean_spans[kind], sequential[kind], noise_lengths, kept_lengths)
        prefix = 1 if modes[kind] >= 0 else 0
        for span in range(count):
            prefix += kept_lengths[span] + 1
        source = written = 0
        target = prefix
        if modes[kind] >= 0:
            text[0] = modes[kind]
            written = 1
        for span in range(count):
            for _ in range(kept_lengths[span]):
                text[written] = rows[row, source]
                written += 1
                source += 1
            text[written] = sentinels[span]
            written += 1
            text[target] = sentinels[span]
            target += 1
            for _ in range(noise_lengths[span]):
                text[target] = rows[row, source]
                target += 1
                source += 1
        text[target] = end
        inputs[row, :target] = text[:target]
        labels[row, prefix - 1 : target] = text[prefix : target + 1]
        prefixes[row] = prefix
