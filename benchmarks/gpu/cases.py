"""What is measured: jobs by size, number format, ZeRO stage, recomputation and batch, the most telling first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pretrain_api.spec.job import PretrainJob

VOCABULARY = 50_304
"""GPT-2's, rounded up to a multiple of 128."""
SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"hiddenSize": 64, "intermediateSize": 176, "numHiddenLayers": 2, "numAttentionHeads": 4},
    "124m": {"hiddenSize": 768, "intermediateSize": 2048, "numHiddenLayers": 12, "numAttentionHeads": 12},
    "350m": {"hiddenSize": 1024, "intermediateSize": 2816, "numHiddenLayers": 24, "numAttentionHeads": 16},
    "1.3b": {"hiddenSize": 2048, "intermediateSize": 5504, "numHiddenLayers": 24, "numAttentionHeads": 16},
    "2.7b": {"hiddenSize": 2560, "intermediateSize": 6912, "numHiddenLayers": 32, "numAttentionHeads": 20},
}
"""LLaMA-like networks of the widths and depths of GPT-3's table 2.1."""


@dataclass(frozen=True)
class Case:
    """One run: some steps of a job on one GPU."""

    size: str
    sequence_length: int = 2048
    micro_batch_size: int = 4
    micro_batches: int = 1
    precision: str = "bf16"
    zero: int = 1
    recompute: str = "none"
    compiled: bool = False
    loss_chunk_elements: int | None = None
    """Logits that the loss computes at a time; None: the trainer's own number."""
    steps: int = 2
    """Steps that are timed, after two that aren't."""
    profile: bool = False
    """Say which kernels take the time of a step."""

    @property
    def name(self) -> str:
        """What tells the case from the others."""
        parts = [self.size, f"{self.micro_batches}x{self.micro_batch_size}x{self.sequence_length}", self.precision]
        parts += [f"zero {self.zero}", f"recompute {self.recompute}"]
        if self.compiled:
            parts.append("compiled")
        if self.loss_chunk_elements is not None:
            parts.append(f"loss chunk {self.loss_chunk_elements}")
        return ", ".join(parts)

    def job(self) -> PretrainJob:
        """Return the job."""
        batch = self.micro_batches * self.micro_batch_size * self.sequence_length
        training = {
            "tokens": batch * 1000,
            "sequenceLength": self.sequence_length,
            "microBatchSize": self.micro_batch_size,
            "batch": {"stages": [{"tokens": batch, "from": 0}]},
            "learningRate": {"peak": 3e-4},
            "precision": self.precision,
            "parallelism": {"zero": self.zero},
            "activationCheckpointing": self.recompute,
            "compile": self.compiled,
        }
        spec = {
            "data": {"sources": [{"name": "random", "uri": "sample://python"}]},
            "model": {**SIZES[self.size], "vocabSize": VOCABULARY},
            "training": training,
            "trainer": {"numNodes": 1, "numProcPerNode": 1},
        }
        names = {"apiVersion": "pretrain.dev/v1alpha1", "kind": "PretrainJob", "metadata": {"name": "measured"}}
        return PretrainJob.model_validate({**names, "spec": spec})


SMALL = Case("124m", sequence_length=1024, micro_batch_size=16, micro_batches=4, steps=6)
LARGE = Case("1.3b", micro_batch_size=8, micro_batches=2, steps=3)


def cases() -> Iterator[Case]:
    """Yield all cases: those whose speed matters, then those whose memory does, then what might make it faster."""
    yield replace(SMALL, profile=True)
    yield replace(LARGE, profile=True)
    yield replace(SMALL, compiled=True)
    yield replace(LARGE, compiled=True)
    for recompute in ("selective", "full"):
        yield replace(SMALL, recompute=recompute)
        yield replace(LARGE, recompute=recompute)
        yield replace(LARGE, recompute=recompute, compiled=True)
    yield Case("350m", micro_batch_size=8, compiled=True)
    yield from _memory_cases()
    for chunk in (1 << 24, 1 << 28):
        yield replace(SMALL, loss_chunk_elements=chunk)
        yield replace(LARGE, loss_chunk_elements=chunk)
    yield replace(SMALL, compiled=True, loss_chunk_elements=1 << 28)
    yield replace(LARGE, compiled=True, loss_chunk_elements=1 << 28, recompute="full")
    yield Case("350m", micro_batch_size=8, micro_batches=2, zero=3)  # last, as ZeRO 3 never gives its memory back
    yield Case("1.3b", micro_batch_size=4, zero=3)


def _memory_cases() -> Iterator[Case]:
    for precision, zero in (("fp16", 1), ("fp32", 0), ("tf32", 1)):
        yield replace(SMALL, precision=precision, zero=zero, steps=3)
    yield replace(LARGE, precision="fp16", steps=2)
    middle = Case("350m", micro_batch_size=8)
    for zero in (0, 1, 2):
        yield replace(middle, zero=zero, micro_batches=2)
    for recompute in ("selective", "full"):
        yield replace(middle, recompute=recompute)
    yield replace(middle, micro_batch_size=2, sequence_length=8192)
    yield replace(middle, precision="fp16", zero=2)
    yield Case("1.3b", micro_batch_size=1, zero=2)
    yield Case("2.7b", micro_batch_size=2, recompute="full")
    yield Case("2.7b", micro_batch_size=2, recompute="selective", zero=2)
