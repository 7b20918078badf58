"""Objectives that keep the text as it is, or nearly: prefixes, documents, fill-in-the-middle."""

from __future__ import annotations

import numpy as np

from pretrain_trainer.objectives.compiled import compiled, inlined
from pretrain_trainer.objectives.kernels.random import below, uniform


@compiled("void(int64[:, ::1], int64[::1], int64[::1], uint64[::1], int64[:, ::1], int64[:, ::1], int64[::1])")
def prefix_for_decoder(rows, lengths, which, keys, inputs, labels, prefixes):
    """Fill the rows `which`: a prefix of 1 to all but one of the tokens, and as labels what comes after it.

    Args:
        rows: int64[batch, width + 1], tokens; the last one is a label only.
        lengths: int64[batch], tokens of each row.
        which: int64[n], rows to fill.
        keys: uint64[batch].
        inputs: int64[batch, width].
        labels: int64[batch, width], ignored so far.
        prefixes: int64[batch].
    """
    for row in which:
        length = lengths[row]
        if length < 2:
            continue
        prefix = 1 + below(keys[row], 0, length - 1)
        inputs[row, : length - 1] = rows[row, : length - 1]
        labels[row, prefix - 1 : length - 1] = rows[row, prefix:length]
        prefixes[row] = prefix


@compiled(
    "void(int64[:, ::1], int64[::1], int64[::1], uint64[::1], int64, int64[:, ::1], int64[:, ::1], int64[:, ::1])"
)
def prefix_for_encoder_decoder(rows, lengths, which, keys, end, inputs, attention, labels):
    """Fill the rows `which`: the encoder reads a prefix, the decoder writes the rest; `end` ends both.

    Args:
        rows: int64[batch, window], tokens.
        lengths: int64[batch].
        which: int64[n].
        keys: uint64[batch].
        end: The end token.
        inputs: int64[batch, width].
        attention: int64[batch, width].
        labels: int64[batch, targets].
    """
    for row in which:
        length = lengths[row]
        if length < 2:
            continue
        prefix = 1 + below(keys[row], 0, length - 1)
        inputs[row, :prefix] = rows[row, :prefix]
        inputs[row, prefix] = end
        attention[row, : prefix + 1] = 1
        labels[row, : length - prefix] = rows[row, prefix:length]
        labels[row, length - prefix] = end


@compiled("void(int64[:, ::1], int64, int64[:, ::1], int64[:, ::1])")
def number_documents(inputs, end, documents, positions):
    """Number the documents of each row from 0, and the tokens of each document from 0; `end` is a document's last."""
    for row in range(inputs.shape[0]):
        document = position = 0
        for column in range(inputs.shape[1]):
            documents[row, column] = document
            positions[row, column] = position
            position += 1
            if inputs[row, column] == end:
                document += 1
                position = 0


@inlined
def _permuted(text, start, stop, one, other, suffix_first, marks, out, written):
    """Write text[start:stop], whose middle is [one, other), to `out`; return where it ends.

    PSM: <prefix> prefix <suffix> suffix <middle> middle; SPM: <prefix> <suffix> suffix <middle> prefix middle, the form
    that goes together with PSM (Bavarian et al. 2022, section 3).
    """
    out[written] = marks[0]
    written += 1
    if not suffix_first:
        for source in range(start, one):
            out[written] = text[source]
            written += 1
    out[written] = marks[1]
    written += 1
    for source in range(other, stop):
        out[written] = text[source]
        written += 1
    out[written] = marks[2]
    written += 1
    for source in range(start if suffix_first else one, other):
        out[written] = text[source]
        written += 1
    return written


@compiled(
    "void(int64[:, ::1], int64[::1], int64[::1], uint64[::1], float64, float64, int64[::1], int64, "
    "int64[:, ::1], int64[:, ::1])"
)
def fill_in_the_middle(rows, lengths, which, keys, rate, spm_rate, marks, end, inputs, labels):
    """Fill the rows `which`: some of their documents are cut in three, and the middle put last.

    Each document is dealt with on its own, so that its parts stay together; where a row becomes too long its last
    document is cut before it is permuted, so that every part that is asked for is there.

    Args:
        rows: int64[batch, width + 1], tokens.
        lengths: int64[batch].
        which: int64[n].
        keys: uint64[batch].
        rate: Share of the documents that are permuted.
        spm_rate: Share of these with the suffix first.
        marks: int64[3], ids of <prefix>, <suffix> and <middle>.
        end: Last token of a document.
        inputs: int64[batch, width].
        labels: int64[batch, width].
    """
    capacity = inputs.shape[1] + 1
    out = np.empty(capacity, dtype=np.int64)
    for row in which:
        text, key = rows[row], keys[row]
        written = start = document = 0
        while start < lengths[row] and written < capacity:
            stop = start
            while stop < lengths[row] and text[stop] != end:
                stop += 1
            following = stop + 1
            extra = 3 if uniform(key, 4 * document) < rate else 0
            if stop - start < 2 or capacity - written < 5:
                extra = 0
            stop = min(stop, start + capacity - written - extra)
            if extra:
                one = below(key, 4 * document + 1, stop - start + 1)
                other = below(key, 4 * document + 2, stop - start + 1)
                suffix_first = uniform(key, 4 * document + 3) < spm_rate
                one, other = start + min(one, other), start + max(one, other)
                written = _permuted(text, start, stop, one, other, suffix_first, marks, out, written)
            else:
                for source in range(start, stop):
                    out[written] = text[source]
                    written += 1
            if stop + 1 == following and stop < lengths[row] and written < capacity:
                out[written] = end
                written += 1
            start = following
            document += 1
        if written > 1:
            inputs[row, : written - 1] = out[: written - 1]
            labels[row, : written - 1] = out[1:written]
