"""Numbers about a document that filter rules compare with thresholds.

Words are those of `words`. A **token** is a word or a run of other characters between whitespace (a symbol). Lines are
compared without surrounding whitespace; empty ones don't count. Paragraphs are divided by empty lines.
"""

from __future__ import annotations

from enum import IntEnum


class Metric(IntEnum):
    """Columns of the metrics array."""

    CHARACTERS = 0
    WORDS = 1
    MEAN_WORD_LENGTH = 2
    """In characters, over words of scripts with spaces; NaN if all words are single characters of other scripts."""
    HASH_TO_WORD_RATIO = 3
    """Number signs (#) a word."""
    ELLIPSIS_TO_WORD_RATIO = 4
    """Ellipses (… or three dots) a word."""
    BULLET_LINE_FRACTION = 5
    """Lines that start with •, ‣, ●, ▪, * or -."""
    ELLIPSIS_LINE_FRACTION = 6
    """Lines that end with an ellipsis."""
    ALPHABETIC_WORD_FRACTION = 7
    """Tokens that are words with at least one letter."""
    STOP_WORDS = 8
    """Different words out of STOP_WORDS."""
    DUPLICATE_NGRAM_FRACTION = 9
    """Word 3-grams that occurred before in the document."""
    DUPLICATE_LINE_FRACTION = 10
    DUPLICATE_PARAGRAPH_FRACTION = 11
    DUPLICATE_LINE_CHARACTER_FRACTION = 12
    """Bytes in lines that occurred before, of all bytes."""
    DUPLICATE_PARAGRAPH_CHARACTER_FRACTION = 13
    TOP_2_GRAM_CHARACTER_FRACTION = 14
    """Characters in occurrences of the most frequent n-gram, of all characters; 0 if none occurs twice."""
    TOP_3_GRAM_CHARACTER_FRACTION = 15
    TOP_4_GRAM_CHARACTER_FRACTION = 16
    DUPLICATE_5_GRAM_CHARACTER_FRACTION = 17
    """Characters in n-grams that occurred before (overlaps counted once), of all characters."""
    DUPLICATE_6_GRAM_CHARACTER_FRACTION = 18
    DUPLICATE_7_GRAM_CHARACTER_FRACTION = 19
    DUPLICATE_8_GRAM_CHARACTER_FRACTION = 20
    DUPLICATE_9_GRAM_CHARACTER_FRACTION = 21
    DUPLICATE_10_GRAM_CHARACTER_FRACTION = 22


FIRST_REPETITION_METRIC = Metric.DUPLICATE_NGRAM_FRACTION
FIRST_GOPHER_REPETITION_METRIC = Metric.DUPLICATE_LINE_FRACTION
