"""The tokenizer: exactly one, and a vocabulary that the model has rows for."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic.alias_generators import to_camel

from pretrain_api.presets import PRESETS
from pretrain_api.problems import Finding
from pretrain_api.spec.data import TrainTokenizer
from pretrain_api.validation.rules.registry import RuleContext, rule

_TOKENIZER = "spec.data.tokenizer"
BYTE_PIECES = 256
SPECIAL_PIECES = 4  # <pad>, <unk>, <s>, </s>


@rule(f"{_TOKENIZER}.train", f"{_TOKENIZER}.uri", f"{_TOKENIZER}.tiktoken")
def exactly_one_tokenizer(context: RuleContext) -> Iterator[Finding]:
    """A tokenizer is trained, given, or a tiktoken encoding."""
    tokenizer = context.spec.data.tokenizer
    given = [name for name in ("train", "uri", "tiktoken") if getattr(tokenizer, name) is not None]
    if given == ["uri", "tiktoken"]:
        return  # the name of an encoding, and where its files are
    if given == ["tiktoken"]:
        yield Finding(
            f"{_TOKENIZER}.uri",
            f"is missing; nothing is downloaded: write where the files of {tokenizer.tiktoken} are, such as "
            f"/models/{tokenizer.tiktoken}.tiktoken",
        )
        return
    if not given:
        yield Finding(
            _TOKENIZER,
            "no tokenizer is given; write one of train, uri, tiktoken, or leave spec.data.tokenizer out",
        )
    if len(given) > 1:
        yield Finding(_TOKENIZER, f"{' and '.join(given)} are given, but a job has one tokenizer; keep one of them")


@rule(f"{_TOKENIZER}.train.vocabSize", "spec.model.vocabSize", "spec.model.preset", "spec.data.sources")
def model_has_rows_for_the_vocabulary(context: RuleContext) -> Iterator[Finding]:
    """Every piece of a trained tokenizer has its row in the embedding."""
    model, train = context.spec.model, context.spec.data.tokenizer.train
    if model is None or train is None or not context.spec.data.sources:
        return
    preset = PRESETS.get(model.preset) if model.preset else None
    rows = model.vocab_size or (preset.vocab_size if preset else None)
    if rows is not None and rows < train.vocab_size:
        whose = "spec.model.vocabSize" if model.vocab_size else f"preset {model.preset}"
        yield Finding(
            "spec.model.vocabSize",
            f"{whose} has {rows} rows, fewer than the tokenizer's {train.vocab_size} pieces; write at least "
            f"{train.vocab_size}, or train a smaller vocabulary",
        )


@rule(f"{_TOKENIZER}.train.vocabSize", f"{_TOKENIZER}.train.byteFallback", f"{_TOKENIZER}.train.algorithm")
def vocabulary_has_room(context: RuleContext) -> Iterator[Finding]:
    """Bytes take 256 pieces before the first one is learnt."""
    train = context.spec.data.tokenizer.train
    taken = BYTE_PIECES + SPECIAL_PIECES
    if train is not None and _has_byte_pieces(train) and train.vocab_size <= taken:
        hint = ", or byteFallback: false" if train.algorithm.startswith("sentencepiece") else ""
        yield Finding(
            f"{_TOKENIZER}.train.vocabSize",
            f"{train.vocab_size} pieces leave no room beside {taken} bytes and special tokens; write more{hint}",
        )


def _has_byte_pieces(train: TrainTokenizer) -> bool:
    if train.algorithm.startswith("sentencepiece"):
        return train.byte_fallback
    return train.algorithm == "huggingface-bpe"


ALGORITHMS_OF_SETTINGS = {
    "character_coverage": ("sentencepiece-bpe", "sentencepiece-unigram", "huggingface-wordpiece"),
    "byte_fallback": ("sentencepiece-bpe", "sentencepiece-unigram"),
    "lowercase": ("huggingface-wordpiece",),
}


@rule(f"{_TOKENIZER}.train.algorithm")
def settings_belong_to_the_algorithm(context: RuleContext) -> Iterator[Finding]:
    """A setting that the algorithm doesn't know would be ignored."""
    train = context.spec.data.tokenizer.train
    if train is None:
        return
    for name, algorithms in ALGORITHMS_OF_SETTINGS.items():
        path = f"{_TOKENIZER}.train.{to_camel(name)}"
        default = TrainTokenizer.model_fields[name].default
        if train.algorithm not in algorithms and getattr(train, name) != default and context.intact(path):
            yield Finding(
                path,
                f"has no meaning with algorithm: {train.algorithm}; remove it, or write algorithm: "
                f"{' or '.join(algorithms)}",
            )


@rule("spec.data.tokenized", f"{_TOKENIZER}", "spec.model.vocabSize", "spec.model.preset")
def tokenized_data_has_a_vocabulary(context: RuleContext) -> Iterator[Finding]:
    """Ready tokens don't say how many different ones there are."""
    data, model = context.spec.data, context.spec.model
    if not data.tokenized:
        return
    known_size = model is not None and (model.vocab_size is not None or model.preset is not None)
    given = data.tokenizer.uri is not None or data.tokenizer.tiktoken is not None
    if not known_size and not given:
        yield Finding(
            f"{_TOKENIZER}.uri",
            "is missing; tokenized data needs the tokenizer it was made with: write its uri, or spec.model.vocabSize",
        )
