"""Data preparation: the stages of a job (`python -m pretrain_dataprep STAGE`), blocks on plain files
(`python -m pretrain_dataprep clean --help`), and a library (docs/library.md).

What the library offers is imported when it is first used: `import pretrain_dataprep` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pretrain_dataprep.augmenting import Augmenter
    from pretrain_dataprep.library import (
        Cleaned,
        Deduplicated,
        clean_documents,
        deduplicate,
        load_tokenizer,
        minhash_signatures,
        tokenize,
        train_tokenizer,
    )

__all__ = [
    "Augmenter",
    "Cleaned",
    "Deduplicated",
    "clean_documents",
    "deduplicate",
    "load_tokenizer",
    "minhash_signatures",
    "tokenize",
    "train_tokenizer",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pretrain_dataprep import library

    return getattr(library, name)
