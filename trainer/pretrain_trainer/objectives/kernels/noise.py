"""BART's noise: masking, infilling, deletion, permutation of sentences (Lewis et al. 2020, section 2.2)."""

from __future__ import annotations

import numpy as np

from pretrain_trainer.objectives.compiled import compiled, inlined
from pretrain_trainer.objectives.kernels.random import below, choose_sorted, stream, uniform

_SENTENCES, _INFILLING, _MASKING, _DELETION = 0, 1, 2, 3  # streams of a sample
_LENGTHS, _ORDER, _PLACES = 0, 1, 2  # streams of infilling


@inlined
def _poisson(key, counter, mean):
    """Return a Poisson-distributed integer and the next counter, by multiplying uniforms (Knuth, 3.4.1)."""
    limit, product, count = np.exp(-mean), uniform(key, counter), 0
    counter += 1
    while product > limit:
        product *= uniform(key, counter)
        counter += 1
        count += 1
    return count, counter


@inlined
def _permute_sentences(text, length, key, sentence_ends, out, starts):
    """Write the sentences of text[:length] to `out` in random order."""
    count = 0
    for position in range(length):
        if position == 0 or sentence_ends[text[position - 1]]:
            starts[count] = position
            count += 1
    starts[count] = length
    order = np.arange(count)
    written = 0
    for place in range(count):
        swap = place + below(key, place, count - place)
        order[place], order[swap] = order[swap], order[place]
        for position in range(starts[order[place]], starts[order[place] + 1]):
            out[written] = text[position]
            written += 1


@inlined
def _infill(text, length, key, rate, mean, mask, out, slots, spans):
    """Replace spans of Poisson-distributed length, `rate` of the tokens in all, by one [MASK] each; return the length.

    Spans of length 0 put a [MASK] between two tokens; there are never more of them than tokens saved by the others, so
    that the text doesn't grow.
    """
    noise = np.int64(np.rint(rate * length))
    counter = covered = count = 0
    while covered < noise:
        span, counter = _poisson(stream(key, _LENGTHS), counter, mean)
        span = min(span, noise - covered)
        if span > 0 or count < covered:
            spans[count] = span
            covered += span
            count += 1
    places = min(count, length - noise + 1)
    for index in range(places, count):  # hardly any text is kept, so that there are few places: the last spans join
        spans[places - 1] += spans[index]
    for index in range(places - 1, 0, -1):
        swap = below(stream(key, _ORDER), index, index + 1)
        spans[index], spans[swap] = spans[swap], spans[index]
    choose_sorted(stream(key, _PLACES), 0, length - noise + 1, places, slots)
    source = written = kept = 0
    for index in range(places):
        while kept < slots[index]:
            out[written] = text[source]
            written += 1
            source += 1
            kept += 1
        out[written] = mask
        written += 1
        source += spans[index]
    while source < length:
        out[written] = text[source]
        written += 1
        source += 1
    return written


@inlined
def _strike(text, length, key, rate, mask, replacement, places, out):
    """Replace `rate` of the tokens that aren't `mask` by `replacement`, or delete them if it is negative; return the
    length."""
    ordinary = 0
    for position in range(length):
        ordinary += text[position] != mask
    noise = np.int64(np.rint(rate * ordinary))
    if replacement < 0:
        noise = min(noise, length - 1)
    choose_sorted(key, 0, ordinary, noise, places)
    seen = struck = written = 0
    for position in range(length):
        token = text[position]
        if token != mask:
            if struck < noise and places[struck] == seen:
                struck += 1
                token = replacement
            seen += 1
        if token >= 0:
            out[written] = token
            written += 1
    return written


@compiled(
    "void(int64[:, ::1], int64[::1], int64[::1], uint64[::1], boolean, float64, float64, float64, float64, "
    "int64, int64, boolean[::1], int64[:, ::1], int64[:, ::1], int64[:, ::1])"
)
def corrupt_text(
    rows,
    lengths,
    which,
    keys,
    permute,
    infilling,
    masking,
    deletion,
    mean_span,
    mask,
    end,
    sentence_ends,
    inputs,
    attention,
    labels,
):
    """Fill the rows `which`: the encoder reads the text with noise, the decoder writes all of it; `end` ends both.

    Args:
        rows: int64[batch, window], tokens.
        lengths: int64[batch].
        which: int64[n].
        keys: uint64[batch].
        permute: Whether sentences are put in random order.
        infilling: Share of the tokens in spans that become one [MASK] each.
        masking: Share of the tokens that become a [MASK] each.
        deletion: Share of the tokens that are left out.
        mean_span: Mean length of the spans.
        mask: Id of [MASK].
        end: The end token.
        sentence_ends: bool[vocabulary].
        inputs: int64[batch, width].
        attention: int64[batch, width].
        labels: int64[batch, targets].
    """
    size = rows.shape[1] + 2
    text, other = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    places, spans = np.empty(size, dtype=np.int64), np.empty(2 * size, dtype=np.int64)
    for row in which:
        length, key = lengths[row], keys[row]
        if length < 2:
            continue
        text[:length] = rows[row, :length]
        if permute:
            _permute_sentences(text, length, stream(key, _SENTENCES), sentence_ends, other, places)
            text, other = other, text
        written = length
        if infilling > 0:
            written = _infill(text, written, stream(key, _INFILLING), infilling, mean_span, mask, other, places, spans)
            text, other = other, text
        if masking > 0:
            written = _strike(text, written, stream(key, _MASKING), masking, mask, mask, places, other)
            text, other = other, text
        if deletion > 0:
            written = _strike(text, written, stream(key, _DELETION), deletion, mask, -1, places, other)
            text, other = other, text
        inputs[row, :written] = text[:written]
        inputs[row, written] = end
        attention[row, : written + 1] = 1
        labels[row, :length] = rows[row, :length]
        labels[row, length] = end
