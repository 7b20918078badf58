"""Documented settings as a section of a job: `model`, `training`, and what had to be added or can't be said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pretrain_api.estimates.published import PublishedModel, published_models
from pretrain_api.estimates.scaling_laws import CHINCHILLA_TOKENS_PER_PARAMETER
from pretrain_api.estimates.settings import DocumentedSettings, documented_settings
from pretrain_api.quantities import parse_tokens

SEQUENCE_LENGTH = 2048
"""Of a row without a published model."""
RANKS = 8
"""Batches are multiples of so many sequences, where they are large enough: a machine's GPUs divide them."""
UNDOCUMENTED_TOKENS = 300 * 10**9
UNDOCUMENTED_BATCH_TOKENS = 4 * 1024 * 1024
UNDOCUMENTED_PEAK = 1e-4
TYPICAL_WARMUP = 0.005
"""Share of the training, where the source doesn't say: 0.1 to 0.5 % is usual."""

_WARMUP: dict[str, tuple[int, str]] = {
    "GPT-3": (375_000_000, "375 M tokens"),
    "BLOOM": (375_000_000, "375 M tokens"),
    "OPT": (2000 * 2 * 1024 * 1024, "2,000 steps"),
    "LLaMA 7B, 13B": (2000 * 4 * 1024 * 1024, "2,000 steps"),
    "LLaMA 33B, 65B": (2000 * 4 * 1024 * 1024, "2,000 steps"),
    "LLaMA-2 7B, 13B": (2000 * 4 * 1024 * 1024, "2,000 steps"),
    "LLaMA-2": (2000 * 4 * 1024 * 1024, "2,000 steps"),
    "DeepSeek": (2000 * 18_874_368, "2,000 steps"),
    "BERT": (10_000 * 128 * 1024, "10,000 steps"),
    "T5": (10_000 * 64 * 1024, "10,000 steps"),
}
_GROWTH: dict[str, tuple[float, str]] = {
    "GPT-3": (12e9, "linearly over the first 4 to 12 billion tokens"),
    "Jurassic-1": (12e9, "as GPT-3"),
    "MT-NLG": (12e9, "over the first 12 billion tokens"),
    "PaLM": (189e9, "doubled at steps 50,000 and 115,000"),
    "GLM-130B": (0.025, "over the first 2.5 % of the samples"),
    "Falcon": (100e9, "over the first 100 billion tokens"),
    "Gopher": (0.5, "doubled mid-training"),
    "Chinchilla": (0.5, "doubled mid-training"),
}
"""How long a batch grows: tokens, or a share of the training below 1."""
_OBJECTIVES: dict[str, dict[str, Any]] = {
    "bert": {"type": "masked-lm", "sentencePairs": "nsp"},
    "t5": {"type": "span-corruption"},
}
"""By family."""
_DECAY = {
    "warmup+cosine": "cosine",
    "warmup+linear": "linear",
    "warmup+manual": "linear",
    "warmup": "constant",
    "inverse-sqrt": "inverse-sqrt",
}


@dataclass
class TrainingSection:
    """A part of a job."""

    name: str
    source: str
    model: dict[str, Any] | None
    """`spec.model`; None where this version can't train the model."""
    objective: dict[str, Any] | None = None
    """`spec.objective`; None: causal language modelling."""
    training: dict[str, Any] = field(default_factory=dict)
    """`spec.training`."""
    notes: dict[str, str] = field(default_factory=dict)
    """By field of `training`: what the source says else, or that it doesn't say."""


def section_names() -> list[str]:
    """Return all names there are settings for: models, and rows of the table without one."""
    rows = {model.settings for model in published_models().values()}
    return [
        *(name for name, model in published_models().items() if model.settings),
        *(_slug(row) for row in documented_settings() if row not in rows),
    ]


def training_section(name: str) -> TrainingSection:
    """Return the section of a published model, or of a row of the table by its name in small letters.

    Raises:
        KeyError: No settings are documented under that name.
    """
    model = published_models().get(name)
    rows = documented_settings()
    row = rows.get(model.settings or "") if model else next((r for r in rows.values() if _slug(r.model) == name), None)
    if row is None:
        raise KeyError(name)
    section = TrainingSection(name, row.source, {"preset": name} if model and model.trainable else None)
    section.objective = _OBJECTIVES.get(model.network.family) if model and model.trainable else None
    if row.note:
        section.notes["source"] = row.note
    _fill(section, row, model)
    return section


def _slug(row: str) -> str:
    return row.lower().replace(", ", "-").replace(" ", "-")


def _fill(section: TrainingSection, row: DocumentedSettings, model: PublishedModel | None) -> None:
    tokens, length = _tokens(section, model), model.context_length if model else SEQUENCE_LENGTH
    section.training = {
        "tokens": tokens,
        "sequenceLength": length,
        "microBatchSize": 1,
        "batch": {"stages": list(_stages(section, row, tokens, length))},
        "learningRate": _learning_rate(section, row, tokens),
        "optimizer": _optimizer(section, row),
        "precision": row.precision.lower() or "bf16",
    }
    if row.gradient_clip:
        section.training["gradientClip"] = float(row.gradient_clip)
    else:
        section.notes["gradientClip"] = "not documented: the default, 1.0"
    if not row.precision:
        section.notes["precision"] = "not documented"
    if section.training["optimizer"]["type"] == "adafactor":
        section.training["parallelism"] = {"zero": 0}
        section.notes["parallelism"] = "Adafactor looks at whole matrices"


def _tokens(section: TrainingSection, model: PublishedModel | None) -> int:
    if model is not None and model.training_tokens is not None:
        return model.training_tokens
    if model is not None:
        section.notes["tokens"] = "not documented: 20 a parameter"
        return int(CHINCHILLA_TOKENS_PER_PARAMETER * model.network.active_parameters())
    section.notes["tokens"] = "your own choice"
    return UNDOCUMENTED_TOKENS


def _stages(section: TrainingSection, row: DocumentedSettings, tokens: int, length: int) -> Iterator[dict[str, int]]:
    """Yield the batch's stages. One that grows is doubled, so that its mean follows a straight line."""
    first, _, last = row.batch_tokens.rpartition("->")
    if not last:
        section.notes["batch"] = "not documented"
    full = _batch(last, length) if last else UNDOCUMENTED_BATCH_TOKENS // length * length
    start = full // 2 if first == "warmup" else _batch(first, length) if first else full
    until, how = _GROWTH.get(row.model, (0.0, ""))
    if start != full:
        section.notes["batch"] = f"documented: {row.batch_tokens}, {how}"
    until = until * tokens if until < 1 else min(until, tokens / 2)
    sizes = [start]
    while sizes[-1] * 2 < full:
        sizes.append(sizes[-1] * 2)
    for size in sizes if start != full else []:
        # Where a straight line from `start` to `full` reaches this size.
        begins = int(until * (size - start) / (full - start)) if size > start else 0
        yield {"tokens": size, "from": begins // length * length}
    yield {"tokens": full, "from": int(until) // length * length if start != full else 0}


def _batch(text: str, length: int) -> int:
    """Return a documented batch as whole sequences: 4M means 4 Mi, 3.2M what is nearest."""
    exact = parse_tokens(text + "i") if text[:-1].isdecimal() else parse_tokens(text)
    unit = length * RANKS if exact >= length * RANKS else length
    return max(length, round(exact / unit) * unit)


def _learning_rate(section: TrainingSection, row: DocumentedSettings, tokens: int) -> dict[str, Any]:
    warmup, how = _WARMUP.get(row.model, (0, ""))
    if how:
        section.notes["learningRate.warmupTokens"] = f"documented: {how}"
    else:
        warmup = int(tokens * TYPICAL_WARMUP)
        section.notes["learningRate.warmupTokens"] = "0.5 % of the training"
    peak = float(row.peak_learning_rate) if row.peak_learning_rate else UNDOCUMENTED_PEAK
    if not row.peak_learning_rate:
        section.notes["learningRate.peak"] = "not documented"
    decay = _DECAY.get(row.schedule, "cosine")
    if row.schedule not in _DECAY:
        section.notes["learningRate.decay"] = "not documented"
    elif row.schedule == "warmup+manual":
        section.notes["learningRate.decay"] = "the authors lowered it by hand now and then"
    settings: dict[str, Any] = {"peak": peak, "warmupTokens": min(warmup, tokens // 2), "decay": decay}
    return settings | ({"floor": 0.0} if decay in ("linear", "inverse-sqrt") else {})


def _optimizer(section: TrainingSection, row: DocumentedSettings) -> dict[str, Any]:
    if row.optimizer == "Adafactor":
        settings: dict[str, Any] = {"type": "adafactor"}
    else:
        settings = {"type": "adamw", "betas": [0.9, 0.999 if row.model == "BERT" else 0.95]}
        if row.optimizer == "Adam":
            section.notes["optimizer.type"] = "documented as Adam; its weight decay is decoupled, as AdamW's"
        elif not row.optimizer:
            section.notes["optimizer.type"] = "not documented"
    if row.weight_decay == "lr^2":
        settings["weightDecay"] = float(row.peak_learning_rate) ** 2
        section.notes["optimizer.weightDecay"] = (
            "documented as the square of the current learning rate; here: of the peak"
        )
    elif row.weight_decay:
        settings["weightDecay"] = float(row.weight_decay)
    else:
        settings["weightDecay"] = 0.0 if row.optimizer == "Adafactor" else 0.1
        section.notes["optimizer.weightDecay"] = "not documented"
    return settings
