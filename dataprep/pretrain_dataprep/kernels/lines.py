"""Editing of documents line by line; `text.lines` says by which rules."""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.compiled import TEXT, compiled, inlined
from pretrain_dataprep.kernels.sentences import count_sentences
from pretrain_dataprep.kernels.words import ASCII_CLASSES, SPACE, character_class, decode
from pretrain_dataprep.text.phrases import CITATIONS, JAVASCRIPT, LOREM_IPSUM, POLICIES, Fact

_LOREM, _JAVASCRIPT, _FIRST_POLICY = 0, 1, 2
_PHRASES = (LOREM_IPSUM, JAVASCRIPT, *POLICIES)
_PHRASE_BYTES = np.frombuffer("".join(_PHRASES).encode(), np.uint8)
_PHRASE_OFFSETS = np.cumsum([0, *map(len, _PHRASES)])
_BEGINS_PHRASE = np.isin(np.arange(256), [ord(phrase[0]) for phrase in _PHRASES])
_CITATION_BYTES = np.frombuffer("".join(CITATIONS).encode(), np.uint8)
_CITATION_OFFSETS = np.cumsum([0, *map(len, CITATIONS)])


@inlined
def _matches(text, position, end, phrases, first, last):
    """Tell whether text[position:end] begins with phrases[first:last], whatever the case of ASCII letters."""
    if end - position < last - first:
        return False
    for index in range(last - first):
        byte = text[position + index]
        if 65 <= byte <= 90:
            byte += 32
        if byte != phrases[first + index]:
            return False
    return True


@inlined
def _phrases_in(text, start, end):
    """Return a set of bits: which phrases are in text[start:end]."""
    found = 0
    for position in range(start, end):
        byte = text[position]
        if not _BEGINS_PHRASE[byte + 32 if 65 <= byte <= 90 else byte]:
            continue
        for phrase in range(len(_PHRASE_OFFSETS) - 1):
            if _matches(text, position, end, _PHRASE_BYTES, _PHRASE_OFFSETS[phrase], _PHRASE_OFFSETS[phrase + 1]):
                found |= 1 << phrase
    return found


@inlined
def _scan_line(text, start, end):
    """Return (first byte, end, words, characters of the longest word) of a line without the whitespace around it."""
    first, last = end, end
    words = longest = length = 0
    position = start
    while position < end:
        if text[position] < 128:
            what, width = np.int64(ASCII_CLASSES[text[position]]), 1
        else:
            code, width = decode(text, position, end)
            what = np.int64(character_class(code))
        if what == SPACE:
            length = 0
        else:
            first = min(first, position)
            last = position + width
            words += length == 0
            length += 1
            longest = max(longest, length)
        position += width
    return first, last, words, longest


@inlined
def _citation_bytes(text, position, end):
    """Return the bytes of a citation at `position`, 0: there is none."""
    if text[position] != 0x5B:
        return 0
    after = position + 1
    while after < end and 0x30 <= text[after] <= 0x39:
        after += 1
    if after < end and text[after] == 0x5D:
        return after + 1 - position
    for index in range(len(_CITATION_OFFSETS) - 1):
        first, last = _CITATION_OFFSETS[index], _CITATION_OFFSETS[index + 1]
        if end - position >= last - first:
            same = True
            for place in range(last - first):
                same = same and text[position + place] == _CITATION_BYTES[first + place]
            if same:
                return last - first
    return 0


@inlined
def _copy_without_citations(text, start, end, out, place):
    """Copy text[start:end] to `out` from `place` on; return the place after it."""
    position = start
    while position < end:
        citation = _citation_bytes(text, position, end)
        if citation:
            position += citation
        else:
            out[place] = text[position]
            place += 1
            position += 1
    return place


@inlined
def _is_ended(line, start, end):
    """Tell whether line[start:end] ends in . ? ! " or ', and not in three full stops."""
    if end == start or line[end - 1] not in (0x2E, 0x3F, 0x21, 0x22, 0x27):
        return False
    return not (end - start >= 3 and line[end - 1] == 0x2E and line[end - 2] == 0x2E and line[end - 3] == 0x2E)


@inlined
def _curly_brackets(line, start, end):
    count = 0
    for position in range(start, end):
        count += line[position] == 0x7B
    return count


@inlined
def _keep_line(text, start, end, min_words, max_word_length, terminal, out, place, facts):
    """Write the line text[start:end] to `out` from `place` on; return (whether it stays, the place after it)."""
    first, last, words, longest = _scan_line(text, start, end)
    if longest > max_word_length:
        facts[Fact.LONG_WORD_LINES] += 1
        return False, place
    after = _copy_without_citations(text, first, last, out, place)
    if terminal and not _is_ended(out, place, after):
        facts[Fact.UNENDED_LINES] += words > 0
        return False, place
    if words < min_words:
        facts[Fact.SHORT_LINES] += words > 0
        return False, place
    phrases = _phrases_in(out, place, after)
    if phrases & (1 << _LOREM):
        facts[Fact.LOREM_IPSUM] = 1
    elif phrases & (1 << _JAVASCRIPT):
        facts[Fact.JAVASCRIPT_LINES] += 1
    elif _curly_brackets(out, place, after):
        facts[Fact.CURLY_BRACKET] = 1
    elif phrases >> _FIRST_POLICY:
        facts[Fact.POLICY_LINES] += 1
    else:
        return True, after
    return False, place


@inlined
def _edit(text, start, end, min_words, max_word_length, terminal, out, place, facts):
    """Write what is left of a document to `out` from `place` on; return the place after it."""
    first_place = place
    position = start
    while position < end and facts[Fact.LOREM_IPSUM] == 0 and facts[Fact.CURLY_BRACKET] == 0:
        line_end = position
        while line_end < end and text[line_end] != 10:
            line_end += 1
        gap = place > first_place
        kept, after = _keep_line(
            text, position, line_end, min_words, max_word_length, terminal, out, place + gap, facts
        )
        if kept:
            if gap:
                out[place] = 10
            facts[Fact.SENTENCES] += count_sentences(out, place + gap, after)
            place = after
        position = line_end + 1
    return place


@compiled(f"void({TEXT}, int64[::1], int64, int64, boolean, uint8[::1], int64[::1], int64[:, ::1])")
def write_lines(text, offsets, min_words, max_word_length, terminal, out, out_offsets, facts):
    place = 0
    out_offsets[0] = 0
    for document in range(len(offsets) - 1):
        start, end = offsets[document], offsets[document + 1]
        place = _edit(text, start, end, min_words, max_word_length, terminal, out, place, facts[document])
        out_offsets[document + 1] = place
