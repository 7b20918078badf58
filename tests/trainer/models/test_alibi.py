"""ALiBi: slopes and biases as the paper has them."""

from __future__ import annotations

import pytest
import torch
from tiny_networks import numbers, tiny

from pretrain_trainer.models.alibi import distance_biases, slopes


def test_slopes_of_eight_heads_are_those_of_the_paper() -> None:
    """Section 3: 1/2, 1/4, … 1/256."""
    assert slopes(8) == [0.5**i for i in range(1, 9)]


@pytest.mark.parametrize("heads", [1, 2, 3, 6, 12, 16, 25, 71, 112])
def test_slopes_are_those_of_transformers(heads: int) -> None:
    from transformers.models.bloom.modeling_bloom import _get_alibi_slopes

    torch.testing.assert_close(torch.tensor(slopes(heads)), _get_alibi_slopes(heads, torch.device("cpu")))


def test_scores_fall_with_the_distance_in_both_directions() -> None:
    biases = distance_biases(2, 3, torch.device("cpu"))
    assert biases[0, 0].tolist() == [[0, -0.0625, -0.125], [-0.0625, 0, -0.0625], [-0.125, -0.0625, 0]]
    assert biases[0, 1, 2].tolist() == [-(2**-7), -(2**-8), 0]


def test_the_mask_has_the_type_of_the_weights() -> None:
    """Attention takes no other; and what isn't seen stays finite."""
    mask = tiny("bloom").bfloat16().view(numbers(2, 9), None, None).mask  # type: ignore[operator]
    assert mask.dtype == torch.bfloat16
    assert mask.isfinite().all()
