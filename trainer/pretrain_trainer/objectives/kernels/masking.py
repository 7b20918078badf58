"""Masked language modelling, alone and with sentence pairs."""

from __future__ import annotations

import numpy as np

from pretrain_trainer.objectives.compiled import compiled, inlined
from pretrain_trainer.objectives.kernels.random import below, choose_by_weight, stream, uniform

_PAIR, _ORDER, _WORDS, _KINDS, _REPLACEMENTS = 0, 1, 2, 3, 4  # streams of a sample
TOKEN, SPAN = 0, 2


@inlined
def _units(tokens, length, special, word_starts, by_token, out):
    """Write the first positions of all units to `out`, and `length` after the last; return their number.

    A special token is never a part of a unit: it is marked by a negative position and skipped.
    """
    count = 0
    inside = False
    for position in range(length):
        if special[tokens[position]]:
            if inside:
                out[count] = -position - 1  # where the unit before ends
                count += 1
            inside = False
        elif by_token or not inside or word_starts[tokens[position]]:
            out[count] = position
            count += 1
            inside = True
    out[count] = -length - 1
    return count + 1


@inlined
def _unit_end(units, unit):
    following = units[unit + 1]
    return following if following >= 0 else -following - 1


@inlined
def _replace(tokens, labels, position, key, kind, mask, special):
    """Mask a position: `kind` is uniform in [0, 1). 80 % become [MASK], 10 % a random token, 10 % stay (Devlin et al.
    2019, section 3.1)."""
    labels[position] = tokens[position]
    if kind < 0.8:
        tokens[position] = mask
    elif kind < 0.9:
        draws, counter = stream(stream(key, _REPLACEMENTS), position), 0
        replacement = below(draws, counter, len(special))
        while special[replacement]:
            counter += 1
            replacement = below(draws, counter, len(special))
        tokens[position] = replacement


@inlined
def _extent(units, first, unit, words, room):
    """Return where a piece of `words` units from the unit `first` on begins and ends; it stays between special tokens,
    and a span is cut at `room` tokens."""
    last = first
    while words > 1 and units[last + 1] >= 0:
        last += 1
        words -= 1
    stop = _unit_end(units, last)
    return units[first], min(stop, units[first] + room) if unit == SPAN else stop


@inlined
def _mask(tokens, labels, length, key, rate, unit, spans, mask, special, word_starts, units, order):
    """Mask `rate` of the tokens of tokens[:length] that are not special, in whole units, and set their labels.

    Units are taken in random order; one that would exceed the number of tokens to predict is left out, as in BERT's
    create_pretraining_data. Spans are as many words as a draw says, cut at that number, and are replaced as a whole, as
    in SpanBERT.
    """
    count = _units(tokens, length, special, word_starts, unit == TOKEN, units)
    candidates = ordinary = 0
    for index in range(count):
        if units[index] >= 0:
            order[candidates] = index
            candidates += 1
            ordinary += _unit_end(units, index) - units[index]
    budget = max(1, np.int64(np.rint(ordinary * rate))) if rate > 0 else 0
    attempt = masked = 0
    while attempt < candidates and masked < budget:
        swap = attempt + below(stream(key, _ORDER), attempt, candidates - attempt)
        order[attempt], order[swap] = order[swap], order[attempt]
        words = 1 + choose_by_weight(stream(key, _WORDS), attempt, spans) if unit == SPAN else 1
        begin, stop = _extent(units, order[attempt], unit, words, budget - masked)
        attempt += 1
        free = masked + stop - begin <= budget
        for position in range(begin, stop):
            free = free and labels[position] < 0
        if not free:
            continue
        for position in range(begin, stop):
            kind = uniform(stream(key, _KINDS), begin if unit == SPAN else position)
            _replace(tokens, labels, position, key, kind, mask, special)
        masked += stop - begin


@inlined
def _split(text, length, end, sentence_ends, key, candidates):
    """Return where to cut a window in two: after a sentence, in its middle half and inside a document if it can be."""
    for attempt in range(4):
        count = 0
        quarter = length // 4 if attempt % 2 == 0 else 0
        for cut in range(max(1, quarter), min(length, length - quarter + 1)):
            inside = text[cut - 1] != end
            if inside and (attempt >= 2 or sentence_ends[text[cut - 1]]):
                candidates[count] = cut
                count += 1
        if count:
            return candidates[below(stream(key, _PAIR), 1, count)]
    return max(1, length // 2)


@compiled(
    "void(int64[:, ::1], int64[:, ::1], int64[::1], int64[::1], uint64[::1], float64, int64, float64[::1], int64, "
    "int64[::1], int64, boolean[::1], boolean[::1], boolean[::1], "
    "int64[:, ::1], int64[:, ::1], int64[:, ::1], int64[:, ::1], int64[::1])"
)
def mask_tokens(
    rows,
    partners,
    lengths,
    which,
    keys,
    rate,
    unit,
    spans,
    pairs,
    marks,
    end,
    special,
    word_starts,
    sentence_ends,
    inputs,
    attention,
    types,
    labels,
    sentence_labels,
):
    """Fill the rows `which`: [CLS] text [SEP], or [CLS] one [SEP] other [SEP], with tokens masked.

    Args:
        rows: int64[batch, window], tokens.
        partners: int64[batch, window], text of another document; unused but for next-sentence prediction.
        lengths: int64[batch].
        which: int64[n].
        keys: uint64[batch].
        rate: Share of the tokens to mask.
        unit: 0 tokens, 1 words, 2 spans of words.
        spans: float64[longest], cumulative distribution of a span's words.
        pairs: 0 none, 1 next-sentence prediction, 2 sentence-order prediction.
        marks: int64[3], ids of [CLS], [SEP] and [MASK].
        end: Last token of a document.
        special: bool[vocabulary], tokens that are never masked nor put in place of others.
        word_starts: bool[vocabulary], tokens that begin a word.
        sentence_ends: bool[vocabulary], tokens that end a sentence.
        inputs: int64[batch, width].
        attention: int64[batch, width].
        types: int64[batch, width], 1 in the second of a pair.
        labels: int64[batch, width].
        sentence_labels: int64[batch], 0 where the pair is as it was, else 1.
    """
    width = inputs.shape[1]
    units = np.empty(2 * width + 1, dtype=np.int64)
    order = np.empty(width, dtype=np.int64)
    for row in which:
        text, length, key, out = rows[row], lengths[row], keys[row], inputs[row]
        if length < 2:
            continue
        out[0] = marks[0]
        written = 1
        if pairs == 0:
            out[1 : length + 1] = text[:length]
            written += length
        else:
            cut = _split(text, length, end, sentence_ends, key, order)
            changed = below(stream(key, _PAIR), 0, 2)
            sentence_labels[row] = changed
            other = partners[row] if pairs == 1 and changed else text
            swapped = pairs == 2 and changed
            one_from, one_to = (cut, length) if swapped else (0, cut)
            two_from, two_to = (0, cut) if swapped else (cut, length)
            if pairs == 1 and changed:
                two_from, two_to = 0, length - cut
            for source in range(one_from, one_to):
                out[written] = text[source]
                written += 1
            out[written] = marks[1]
            written += 1
            second = written
            for source in range(two_from, two_to):
                out[written] = other[source]
                written += 1
            types[row, second : written + 1] = 1
        out[written] = marks[1]
        written += 1
        attention[row, :written] = 1
        _mask(out, labels[row], written, key, rate, unit, spans, marks[2], special, word_starts, units, order)
