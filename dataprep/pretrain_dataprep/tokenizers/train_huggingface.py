"""Training with Hugging Face's `tokenizers`: byte-level BPE as GPT-2's, WordPiece as BERT's."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from pretrain_dataprep.tokenizers.huggingface import CONFIG_NAME, TOKENIZER_NAME
from pretrain_dataprep.tokenizers.train import sample

_BPE_NAMES = {"pad": "<pad>", "unk": "<unk>", "bos": "<s>", "eos": "</s>"}
_WORDPIECE_NAMES = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
_MAX_TOKEN_BYTES = 64
"""Longer runs of one character aren't worth a piece of their own."""


def train_huggingface(options: dict[str, Any], reserved: list[str], text: Path, folder: Path) -> None:
    """Train and write tokenizer.json and tokenizer_config.json.

    Args:
        options: `spec.data.tokenizer.train`, as in YAML.
        reserved: Special tokens, whose ids follow those of pad, unk, and in BPE bos and eos.
        text: File of JSON strings, a passage each.
        folder: Where to write.

    Raises:
        RuntimeError: The vocabulary doesn't fit the text.
    """
    is_wordpiece = options["algorithm"] == "huggingface-wordpiece"
    names = _WORDPIECE_NAMES if is_wordpiece else _BPE_NAMES
    special = list(dict.fromkeys([names["pad"], names["unk"], *list(names.values())[2:], *reserved]))
    tokenizer = _wordpiece(options, special, text) if is_wordpiece else _bpe(options, special, text)
    size = tokenizer.get_vocab_size()
    if size < options["vocabSize"]:
        raise RuntimeError(f"Vocabulary size too high ({options['vocabSize']}). Please set it to a value <= {size}.")
    tokenizer.save(str(folder / TOKENIZER_NAME))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    roles = {role: name for role, name in _WORDPIECE_NAMES.items() if name in special} | names
    config |= {f"{role}_token": name for role, name in roles.items()}
    (folder / CONFIG_NAME).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def _bpe(options: dict[str, Any], special: list[str], text: Path) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=options["vocabSize"],
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=_MAX_TOKEN_BYTES,
        show_progress=False,
    )
    tokenizer.train_from_iterator(sample(text), trainer)
    return tokenizer


def _wordpiece(options: dict[str, Any], special: list[str], text: Path) -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token=_WORDPIECE_NAMES["unk"]))
    lowercase = options["lowercase"]
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=False, handle_chinese_chars=True, strip_accents=lowercase, lowercase=lowercase
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    alphabet = _alphabet(text, tokenizer.normalizer, options["characterCoverage"])
    if options["vocabSize"] < len(special) + 2 * len(alphabet):
        least = len(special) + 2 * len(alphabet)
        raise RuntimeError(f"Vocabulary size is smaller than required_chars. {options['vocabSize']} vs {least}.")
    trainer = trainers.WordPieceTrainer(
        vocab_size=options["vocabSize"],
        # Letters inside words would else get their ids in an order that isn't the same each time.
        special_tokens=[*special, *(f"##{letter}" for letter in alphabet)],
        # As many as may stay: which ones the trainer drops when they are too many isn't the same each time.
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sample(text), trainer)
    document = json.loads(tokenizer.to_str())
    document["added_tokens"] = [token for token in document["added_tokens"] if token["content"] in special]
    return Tokenizer.from_str(json.dumps(document))


def _alphabet(text: Path, normalizer: Any, coverage: float) -> list[str]:
    """Return the commonest characters that make up the given share of the text, ties in the order of their codes."""
    counts: Counter[str] = Counter()
    for passage in sample(text):
        counts.update(normalizer.normalize_str(passage))
    letters = sorted(((count, letter) for letter, count in counts.items() if not letter.isspace()), key=_commonest)
    wanted = coverage * sum(count for count, _ in letters)
    chosen, covered = [], 0
    for count, letter in letters:
        if covered >= wanted:
            break
        chosen.append(letter)
        covered += count
    return sorted(chosen)


def _commonest(entry: tuple[int, str]) -> tuple[int, str]:
    return -entry[0], entry[1]
