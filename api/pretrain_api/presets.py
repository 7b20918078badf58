"""Documented models by name."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pretrain_api.spec.model import Model


@dataclass(frozen=True)
class Architecture:
    """A decoder of the LLaMA family with every size known.

    `vocab_size` is None where the tokenizer decides.
    """

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int | None = None
    family: str = "llama"
    rope_theta: float = 10_000.0
    rms_norm_eps: float = 1e-5
    tie_word_embeddings: bool = False
    initializer_range: float = 0.02

    def parameter_count(self, vocab_size: int | None = None) -> int:
        """Return the number of parameters: 2VH + H + L(2H(A+K)D + 3HI + 2H), where A query and K key/value heads of
        size D make 4H^2 of the attention if there is no grouping (tied embeddings: VH instead of 2VH).

        Args:
            vocab_size: Rows of the embedding where the architecture leaves them to the tokenizer.

        Raises:
            ValueError: Neither the architecture nor the caller says the size of the vocabulary.
        """
        rows = self.vocab_size or vocab_size
        if rows is None:
            raise ValueError("the size of the vocabulary is not known")
        hidden = self.hidden_size
        attention = 2 * hidden * (self.num_attention_heads + self.num_key_value_heads) * self.head_dim
        layer = attention + 3 * hidden * self.intermediate_size + 2 * hidden
        embeddings = rows * hidden * (1 if self.tie_word_embeddings else 2)
        return embeddings + hidden + self.num_hidden_layers * layer


def _llama(
    hidden_size: int,
    intermediate_size: int,
    layers: int,
    heads: int,
    key_value_heads: int | None = None,
    eps: float = 1e-6,
) -> Architecture:
    return Architecture(
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_value_heads or heads,
        head_dim=hidden_size // heads,
        vocab_size=32_000,
        rms_norm_eps=eps,
    )


PRESETS: dict[str, Architecture] = {
    # Touvron et al. 2023a, table 2, with the widths of the published weights.
    "llama-7b": _llama(4096, 11008, 32, 32),
    "llama-13b": _llama(5120, 13824, 40, 40),
    "llama-33b": _llama(6656, 17920, 60, 52),
    "llama-65b": _llama(8192, 22016, 80, 64),
    # Touvron et al. 2023b, table 1.
    "llama2-7b": _llama(4096, 11008, 32, 32, eps=1e-5),
    "llama2-13b": _llama(5120, 13824, 40, 40, eps=1e-5),
    "llama2-70b": _llama(8192, 28672, 80, 64, 8, eps=1e-5),
}

_ARCHITECTURE_FIELDS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "rope_theta",
    "rms_norm_eps",
    "tie_word_embeddings",
    "initializer_range",
)
REQUIRED_WITHOUT_PRESET = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")


def architecture(model: Model) -> Architecture:
    """Return the architecture that `model` describes: its preset's, with the fields set in `model` in place.

    Raises:
        KeyError: The preset isn't known.
        ValueError: There's no preset and a required size is missing.
    """
    given = {name: getattr(model, name) for name in _ARCHITECTURE_FIELDS if getattr(model, name) is not None}
    if model.preset is None:
        missing = [name for name in REQUIRED_WITHOUT_PRESET if name not in given]
        if missing:
            raise ValueError(f"{', '.join(missing)} missing")
        given.setdefault("num_key_value_heads", given["num_attention_heads"])
        given.setdefault("head_dim", given["hidden_size"] // given["num_attention_heads"])
        return Architecture(**given)
    base = PRESETS[model.preset]
    if "head_dim" not in given and ("hidden_size" in given or "num_attention_heads" in given):
        hidden = given.get("hidden_size", base.hidden_size)
        given["head_dim"] = hidden // given.get("num_attention_heads", base.num_attention_heads)
    if "num_attention_heads" in given and "num_key_value_heads" not in given:
        given["num_key_value_heads"] = given["num_attention_heads"]
    return replace(base, **given)
