"""Normalisation: Unicode form, mojibake, line endings, control characters, whitespace."""

from __future__ import annotations

import unicodedata

import numpy as np

from pretrain_api.spec.data import Normalize
from pretrain_dataprep.kernels.tidy import write_tidied
from pretrain_dataprep.text.batch import TextBatch


def normalize_unicode(text: str, options: Normalize) -> str:
    """Return the text in the Unicode form asked for, its mojibake mended if asked for."""
    if options.fix_mojibake and not text.isascii():
        import ftfy

        text = ftfy.fix_text(text, normalization=None)
    if options.unicode == "none" or text.isascii():
        return text
    return unicodedata.normalize(options.unicode, text)


def tidy(batch: TextBatch) -> TextBatch:
    """Return the batch with uniform whitespace.

    - CRLF, CR, U+2028 and U+2029 become line feeds;
    - control characters (C0 but tab and line feed, DEL, C1), U+FEFF, U+200B and U+00AD are removed;
    - spaces and tabs at line ends go, leading ones and those inside lines stay (code keeps its indentation);
    - more than two empty lines in a row become two; empty lines at the beginning and whitespace at the end go.
    """
    out = np.empty(len(batch.text), np.uint8)
    offsets = np.empty(len(batch) + 1, np.int64)
    write_tidied(batch.text, batch.offsets, out, offsets)
    return TextBatch(out[: offsets[-1]], offsets)
