"""What others do: collators of transformers, and loops in Python in the manner of Megatron-LM's and T5's data sets.

The loops are written anew after the published algorithms: each sample on its own, with numpy or lists, as there.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.objectives.corpus import END, FIRST_WORD, PAD, RESERVED, VOCABULARY_SIZE

MASK, CLS, SEP = (RESERVED[name] for name in ("[MASK]", "[CLS]", "[SEP]"))
PREFIX, MIDDLE, SUFFIX = (RESERVED[name] for name in ("<fim_prefix>", "<fim_middle>", "<fim_suffix>"))
FIRST_SENTINEL = RESERVED["<extra_id_0>"]
Rows = np.ndarray[Any, Any]
Peer = Callable[[Rows], Any]
"""Makes a batch of windows, int64[batch, window]."""


def transformers_collator(*, masked: bool) -> Peer:
    """Return transformers' DataCollatorForLanguageModeling."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast

    words = {f"w{token}": token for token in range(FIRST_WORD, VOCABULARY_SIZE)}
    words |= {"[MASK]": MASK, "[CLS]": CLS, "[SEP]": SEP, "[PAD]": PAD, "[UNK]": 1}
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=Tokenizer(WordLevel(words, unk_token="[UNK]")),
        mask_token="[MASK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        unk_token="[UNK]",
    )
    collator = DataCollatorForLanguageModeling(tokenizer, mlm=masked, mlm_probability=0.15 if masked else None)

    def build(rows: Rows) -> Any:
        return collator([{"input_ids": row} for row in rows])

    return build


def masked_words(rows: Rows) -> list[Any]:
    """BERT's create_masked_lm_predictions: lists of words, shuffled, masked until the budget is used up."""
    batch = []
    for row in rows:
        tokens = [CLS, *row.tolist(), SEP]
        words = _words(tokens)
        random.shuffle(words)
        labels, masked, budget = [-100] * len(tokens), 0, max(1, round(len(tokens) * 0.15))
        for word in words:
            if masked >= budget:
                break
            if masked + len(word) > budget:
                continue
            for place in word:
                labels[place] = tokens[place]
                chance = random.random()
                if chance < 0.8:
                    tokens[place] = MASK
                elif chance < 0.9:
                    tokens[place] = random.randrange(FIRST_WORD, VOCABULARY_SIZE)
                masked += 1
        batch.append((np.array(tokens), np.array(labels)))
    return batch


def _words(tokens: list[int]) -> list[list[int]]:
    words: list[list[int]] = []
    for place, token in enumerate(tokens):
        if token in (CLS, SEP, END):
            continue
        if words and token % 3 == 0:
            words[-1].append(place)
        else:
            words.append([place])
    return words


def spans(rows: Rows, rate: float = 0.15, mean: float = 3.0) -> list[Any]:
    """T5's span corruption, with numpy: a mask of random segments, then a loop over the tokens."""
    batch = []
    for row in rows:
        noise = max(1, round(rate * row.size))
        count = max(1, round(noise / mean))
        lengths = np.stack((_segments(row.size - noise, count), _segments(noise, count)), axis=1).ravel()
        is_noise = np.repeat(np.arange(lengths.size) % 2 == 1, lengths)
        inputs: list[int] = []
        targets: list[int] = []
        sentinel, before = FIRST_SENTINEL - 1, False
        for token, hidden in zip(row.tolist(), is_noise.tolist(), strict=True):
            if hidden and not before:
                sentinel += 1
                inputs.append(sentinel)
                targets.append(sentinel)
            (targets if hidden else inputs).append(token)
            before = hidden
        batch.append((np.array([*inputs, END]), np.array([*targets, END])))
    return batch


def _segments(total: int, count: int) -> Rows:
    first = np.random.permutation(np.arange(total - 1) < count - 1)
    return np.bincount(np.concatenate(([0], np.cumsum(first))), minlength=count)


def denoisers(rows: Rows) -> list[Any]:
    """A mixture of such."""
    choices = [(0.15, 3.0), (0.15, 5.0), (0.25, 0.25 * rows.shape[1]), (0.5, 3.0), (0.5, 8.0), (0.15, 64.0)]
    return [spans(row[None], *random.choice(choices))[0] for row in rows]


def middles(rows: Rows) -> list[Any]:
    """Fill-in-the-middle of each document of a sample, with numpy, as in bigcode's fork of Megatron-LM."""
    batch = []
    for row in rows:
        pieces = []
        for document in np.split(row, np.flatnonzero(row == END) + 1):
            text = document[:-1] if document.size and document[-1] == END else document
            if text.size < 2 or random.random() >= 0.5:
                pieces.append(document)
                continue
            one, other = sorted(np.random.randint(0, text.size + 1, 2))
            prefix, middle, suffix = text[:one], text[one:other], text[other:]
            if random.random() < 0.5:
                parts = [[PREFIX], prefix, [SUFFIX], suffix, [MIDDLE], middle]
            else:
                parts = [[PREFIX, SUFFIX], suffix, [MIDDLE], prefix, middle]
            pieces.append(np.concatenate([*parts, document[text.size :]]))
        batch.append(np.concatenate(pieces)[: row.size])
    return batch
