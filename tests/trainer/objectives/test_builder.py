"""What holds for all objectives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from objective_samples import RESERVED, builder, samples, text, vocabulary

from pretrain_api.objectives import ModelKind
from pretrain_api.spec.objective import Objective
from pretrain_trainer.errors import InvalidConfiguration
from pretrain_trainer.objectives.batch import Batch
from pretrain_trainer.objectives.builder import BatchBuilder
from pretrain_trainer.objectives.vocabulary import sentence_ends, word_starts

CASES: list[tuple[ModelKind, dict[str, Any]]] = [
    ("decoder", {"type": "causal-lm"}),
    ("decoder", {"type": "prefix-lm"}),
    ("decoder", {"type": "fill-in-the-middle"}),
    ("decoder", {"type": "span-corruption"}),
    ("decoder", {"type": "mixture-of-denoisers"}),
    ("encoder-decoder", {"type": "span-corruption"}),
    ("encoder-decoder", {"type": "mixture-of-denoisers"}),
    ("encoder-decoder", {"type": "denoising", "noise": ["permutation", "infilling", "masking", "deletion"]}),
    ("encoder-decoder", {"type": "prefix-lm"}),
    ("encoder", {"type": "masked-lm"}),
    ("encoder", {"type": "masked-lm", "maskUnit": "word"}),
    ("encoder", {"type": "masked-lm", "maskUnit": "span", "sentencePairs": "sop"}),
    ("encoder", {"type": "masked-lm", "sentencePairs": "nsp"}),
    ("decoder", {"type": "mixture", "mixture": [{"type": "causal-lm"}, {"type": "prefix-lm"}]}),
]


def samples_as_rows(batch: Batch) -> np.ndarray:
    return np.column_stack([batch[name].reshape(len(batch[name]), -1) for name in sorted(batch)])


@pytest.mark.parametrize(("kind", "objective"), CASES)
def test_a_sample_does_not_depend_on_its_batch(kind: ModelKind, objective: dict[str, Any]) -> None:
    """So that neither resuming nor another number of ranks changes it."""
    made = builder(kind, 64, **objective)
    rows, partners = text(40, made.shape.window, document=30), text(40, made.shape.window, 2)
    index = np.arange(100, 140)
    whole = made.build(index, rows, partners=partners)
    again = builder(kind, 64, **objective)
    for chosen in (np.array([3]), np.array([39, 0, 17]), np.arange(20, 40)):
        part = again.build(index[chosen], rows[chosen], partners=partners[chosen])
        for name, array in part.items():
            assert np.array_equal(array, whole[name][chosen]), name


@pytest.mark.parametrize(("kind", "objective"), CASES[1:])
def test_samples_depend_on_index_and_seed(kind: ModelKind, objective: dict[str, Any]) -> None:
    made = builder(kind, 64, **objective)
    rows = text(20, made.shape.window)
    whole = samples_as_rows(made.build(np.arange(20), rows))
    others = made.build(np.arange(20, 40), rows), builder(kind, 64, seed=8, **objective).build(np.arange(20), rows)
    for other in others:
        assert (whole != samples_as_rows(other)).any(axis=1).mean() > 0.4  # half of FIM's documents stay as they are


@pytest.mark.parametrize(("kind", "objective"), CASES)
def test_arrays_are_of_one_shape_for_the_whole_run(kind: ModelKind, objective: dict[str, Any]) -> None:
    made = builder(kind, 64, **objective)
    _, batch = samples(made, 3)
    for name, array in batch.items():
        assert array.dtype == np.int64
        assert array.flags.c_contiguous
        if name in ("prefix_lengths", "sentence_labels"):
            assert array.shape == (3,)
        else:
            assert array.shape == (3, made.shape.targets if name in ("labels", "decoder_input_ids") else 64)


@pytest.mark.parametrize(("kind", "objective"), CASES)
def test_even_no_text_makes_a_sample(kind: ModelKind, objective: dict[str, Any]) -> None:
    made = builder(kind, 64, **objective)
    for length in range(4):
        batch = made.build(np.zeros(1, dtype=np.int64), text(1, made.shape.window), np.array([length]))
        assert (batch["labels"] != -100).sum() <= length + 6


def test_objectives_take_turns_by_their_weights() -> None:
    parts = [{"type": "causal-lm", "weight": 3}, {"type": "span-corruption"}]
    made = builder("decoder", 64, type="mixture", mixture=parts)
    rows, batch = samples(made, 10_000)
    causal = batch["prefix_lengths"] == 0
    assert causal.mean() == pytest.approx(0.75, abs=0.02)
    assert np.array_equal(causal, made.choose(np.arange(10_000)) == 0)
    width = made.shape.window
    assert np.array_equal(batch["labels"][causal, :width], rows[causal, 1:])


def test_tokens_that_the_tokenizer_lacks_are_named() -> None:
    few = replace(vocabulary(), reserved={"[MASK]": RESERVED["[MASK]"]})
    with pytest.raises(
        InvalidConfiguration, match=r"lacks the tokens <extra_id_0>, <extra_id_1>, <extra_id_2> and 4 more"
    ):
        BatchBuilder(Objective(type="span-corruption"), "encoder-decoder", 128, few, 1)


def test_words_and_sentences_of_tokenizers() -> None:
    sentencepiece = ["<unk>", "\u2581the", "re", "\u2581end", ".", "<0x0A>"]
    assert word_starts(sentencepiece).tolist() == [False, True, False, True, False, False]
    assert sentence_ends(sentencepiece).tolist() == [False, False, False, False, True, True]
    assert word_starts(["the", "##re", "end", "."]).tolist() == [True, False, True, True]
    assert word_starts(["\u0120the", "re", "\u010a"]).tolist() == [True, False, True]
    assert sentence_ends(['."', "!", "e.g", "\u010a"]).tolist() == [True, True, False, True]
