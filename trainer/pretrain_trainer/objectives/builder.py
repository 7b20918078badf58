"""Building batches: which objective a sample has, and its recipe."""

from __future__ import annotations

import numpy as np

from pretrain_api.objectives import ModelKind, sample_shape
from pretrain_api.spec.objective import Objective
from pretrain_trainer.data.dataset import IGNORED_TARGET
from pretrain_trainer.data.permutation import keyed_hash
from pretrain_trainer.objectives.batch import Batch, Int64Array, empty_batch
from pretrain_trainer.objectives.recipes import Recipe, Windows, make_recipe
from pretrain_trainer.objectives.vocabulary import Vocabulary

_SAMPLE = 0x73616D706C650001  # keeps these hashes apart from those of other uses of the seed
_CHOICE = 0x63686F6963650001


class BatchBuilder:
    """Makes batches of windows. A sample is a pure function of seed, sample index and window."""

    def __init__(
        self, objective: Objective, kind: ModelKind, sequence_length: int, vocabulary: Vocabulary, seed: int
    ) -> None:
        """Look up what the objective needs.

        Args:
            objective: What is to be learnt.
            kind: The kind of network.
            sequence_length: Width of the inputs.
            vocabulary: The tokenizer's.
            seed: Seed of the run.

        Raises:
            InvalidConfiguration: The tokenizer lacks what the objective needs.
        """
        self.kind: ModelKind = kind
        self.shape = sample_shape(objective, kind, sequence_length)
        self.vocabulary = vocabulary
        self.needs_partners = any(part.sentence_pairs == "nsp" for part in objective.parts)
        self._sample_key, self._choice_key = keyed_hash(_SAMPLE, seed), keyed_hash(_CHOICE, seed)
        self._masks_documents = objective.document_masking
        self.has_prefixes = any(part.type not in ("causal-lm", "fill-in-the-middle") for part in objective.parts)
        self._has_pairs = any(part.sentence_pairs for part in objective.parts)
        self._recipes: list[Recipe] = [make_recipe(part, kind, sequence_length, vocabulary) for part in objective.parts]
        self._cumulative = np.cumsum([part.weight for part in objective.parts])

    def build(
        self, index: Int64Array, rows: Int64Array, lengths: Int64Array | None = None, partners: Int64Array | None = None
    ) -> Batch:
        """Return the samples with the given indices.

        Args:
            index: int64[batch], places in the run.
            rows: int64[batch, window + 1], text; the last token serves as a label only.
            lengths: int64[batch], tokens of each row; default: all.
            partners: int64[batch, window + 1], text of other documents; needed where `needs_partners`.
        """
        if lengths is None:
            lengths = np.full(index.size, rows.shape[1], dtype=np.int64)
        keys = keyed_hash(index, after=self._sample_key)
        windows = Windows(rows, lengths, rows if partners is None else partners, keys)
        batch = empty_batch(self.kind, self.shape, index.size, self.vocabulary.pad)
        choice = self.choose(index)
        for number, recipe in enumerate(self._recipes):
            which = np.flatnonzero(choice == number)
            if which.size:
                recipe(windows, which, batch)
        return self._completed(batch)

    def choose(self, index: Int64Array) -> Int64Array:
        """Return the number of each sample's objective, int64[batch]."""
        if len(self._recipes) == 1:
            return np.zeros(index.size, dtype=np.int64)
        at = keyed_hash(index, after=self._choice_key) / 2.0**64 * self._cumulative[-1]
        choice = np.searchsorted(self._cumulative, at, side="right").astype(np.int64)
        last: Int64Array = np.minimum(choice, len(self._recipes) - 1)  # rounding may put it one further
        return last

    def _completed(self, batch: Batch) -> Batch:
        """Leave out what no objective of this run has, add what depends on the whole."""
        if self.kind == "decoder" and not self.has_prefixes:
            del batch["prefix_lengths"]
        if self.kind == "encoder" and not self._has_pairs:
            del batch["sentence_labels"]
        if self.kind == "encoder-decoder":
            batch["decoder_input_ids"] = written_before(batch["labels"], self.vocabulary.pad)
        if self._masks_documents:
            from pretrain_trainer.objectives.kernels.text import number_documents

            inputs = batch["input_ids"]
            batch["document_ids"], batch["position_ids"] = np.empty_like(inputs), np.empty_like(inputs)
            number_documents(inputs, self.vocabulary.end, batch["document_ids"], batch["position_ids"])
        return batch


def written_before(labels: Int64Array, pad: int) -> Int64Array:
    """Return what a decoder has written before each of its labels, int64[batch, targets]: at first padding (T5)."""
    inputs = np.full_like(labels, pad)
    inputs[:, 1:] = np.where(labels[:, :-1] == IGNORED_TARGET, pad, labels[:, :-1])
    return inputs
