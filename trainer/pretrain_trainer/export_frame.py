"""What an exported tokenizer puts around a text: what the network has found there in training."""

from __future__ import annotations

from pathlib import Path

from pretrain_api.names import CLASSIFICATION_TOKEN, SEPARATOR_TOKEN
from pretrain_api.objectives import ModelKind
from pretrain_api.wire import Blend


def frame_texts(path: Path, kind: ModelKind, blend: Blend) -> None:
    """Let the tokenizer in the file `path` add an encoder's [CLS] and [SEP], or the end token an encoder-decoder reads.

    A decoder continues a text as it is. Nothing is changed where the tokenizer has a frame of its own.
    """
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing

    tokenizer = Tokenizer.from_file(str(path))
    number = blend.special_tokens.eos
    end = None if number is None else tokenizer.id_to_token(number)
    if kind == "encoder" and CLASSIFICATION_TOKEN in blend.reserved_tokens:
        single, second, names = "[CLS] $A [SEP]", " $B:1 [SEP]:1", [CLASSIFICATION_TOKEN, SEPARATOR_TOKEN]
        special = [(name, blend.reserved_tokens[name]) for name in names]
    elif kind == "encoder-decoder" and number is not None and end is not None:
        single, second, special = f"$A {end}", f" $B {end}", [(end, number)]
    else:
        return
    if tokenizer.post_processor is None:
        tokenizer.post_processor = TemplateProcessing(single=single, pair=single + second, special_tokens=special)
        tokenizer.save(str(path))
