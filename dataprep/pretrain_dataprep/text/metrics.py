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
    TERMINAL_LINE_FRACTION = 9
    """Lines that end with a terminal punctuation mark (`sentences.TERMINAL_PUNCTUATION`)."""
    SHORT_LINE_FRACTION = 10
    """Lines of at most SHORT_LINE_CHARACTERS."""
    LINE_FEED_TO_WORD_RATIO = 11
    """Line feeds a word."""
    ALPHABETIC_TOKEN_FRACTION = 12
    """Words with at least one letter, of words and all other characters but spaces (an ellipsis is one): near to what
    datatrove has, whose tokens are spaCy's."""
    DUPLICATE_NGRAM_FRACTION = 13
    """Word 3-grams that occurred before in the document."""
    DUPLICATE_LINE_FRACTION = 14
    """Lines that occurred before."""
    DUPLICATE_PARAGRAPH_FRACTION = 15
    """Paragraphs that occurred before."""
    DUPLICATE_LINE_CHARACTER_FRACTION = 16
    """Characters in lines that occurred before, of all characters."""
    DUPLICATE_PARAGRAPH_CHARACTER_FRACTION = 17
    """Characters in paragraphs that occurred before, of all characters."""
    DUPLICATE_LINE_TEXT_FRACTION = 18
    """Characters in lines that occurred before, of all characters but line feeds."""
    TOP_2_GRAM_CHARACTER_FRACTION = 19
    """Characters in occurrences of the most frequent n-gram, of all characters; 0 if none occurs twice."""
    TOP_3_GRAM_CHARACTER_FRACTION = 20
    TOP_4_GRAM_CHARACTER_FRACTION = 21
    DUPLICATE_5_GRAM_CHARACTER_FRACTION = 22
    """Characters in n-grams that occurred before (overlaps counted once), of all characters."""
    DUPLICATE_6_GRAM_CHARACTER_FRACTION = 23
    DUPLICATE_7_GRAM_CHARACTER_FRACTION = 24
    DUPLICATE_8_GRAM_CHARACTER_FRACTION = 25
    DUPLICATE_9_GRAM_CHARACTER_FRACTION = 26
    DUPLICATE_10_GRAM_CHARACTER_FRACTION = 27


SHORT_LINE_CHARACTERS = 30
"""Penedo et al. 2024, section 3.6."""
FIRST_REPETITION_METRIC = Metric.DUPLICATE_NGRAM_FRACTION
FIRST_GOPHER_REPETITION_METRIC = Metric.DUPLICATE_LINE_FRACTION
