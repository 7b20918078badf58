from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pretrain_trainer.models.cross_entropy import CHUNK_ELEMENTS, IGNORED_TARGET, linear_cross_entropy


def plain(hidden: Tensor, weight: Tensor, targets: Tensor, bias: Tensor | None, *z_losses: float) -> Tensor:
    """The same in torch's own terms."""
    logits = functional.linear(hidden, weight, bias).flatten(0, -2)
    counted = logits[targets.flatten() != IGNORED_TARGET]
    squares = counted.logsumexp(-1).square().mean(), counted.amax(-1).square().mean()
    return functional.cross_entropy(logits, targets.flatten()) + z_losses[0] * squares[0] + z_losses[1] * squares[1]


@pytest.mark.parametrize("z_losses", [(0.0, 0.0), (0.01, 0.0), (0.0, 0.01), (0.02, 0.01)])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("chunk_elements", [101 * 5, 1 << 22], ids=["chunks", "one chunk"])
def test_it_is_cross_entropy(
    monkeypatch: pytest.MonkeyPatch, chunk_elements: int, biased: bool, z_losses: tuple[float, float]
) -> None:
    monkeypatch.setitem(CHUNK_ELEMENTS, "cpu", chunk_elements)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(3, 9, 16, generator=generator, requires_grad=True)
    weight = torch.randn(101, 16, generator=generator, requires_grad=True)
    bias = torch.randn(101, generator=generator, requires_grad=True) if biased else None
    targets = torch.randint(0, 101, (3, 9), generator=generator)
    targets[0, :4] = IGNORED_TARGET
    learnt = (hidden, weight) if bias is None else (hidden, weight, bias)
    expected = plain(hidden, weight, targets, bias, *z_losses)
    found = linear_cross_entropy(hidden, weight, targets, bias, *z_losses)
    torch.testing.assert_close(found, expected)
    gradients = torch.autograd.grad(3.0 * found, learnt)
    torch.testing.assert_close(gradients, torch.autograd.grad(3.0 * expected, learnt))


def test_of_no_target_it_is_zero() -> None:
    hidden, weight = torch.randn(4, 8), torch.randn(10, 8)
    assert linear_cross_entropy(hidden, weight, torch.full((4,), IGNORED_TARGET)).item() == 0
    assert linear_cross_entropy(hidden[:0], weight, torch.zeros(0, dtype=torch.int64)).item() == 0
