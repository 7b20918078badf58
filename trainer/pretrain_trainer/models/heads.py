"""Output projections, and the losses on top of them."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from pretrain_trainer.models.cross_entropy import IGNORED_TARGET, linear_cross_entropy


class LanguageModelHead(nn.Linear):
    """Output projection; with targets it goes straight on to the loss.

    Attributes:
        compiled: Whether torch.compile makes the kernels of the loss in training.
    """

    def __init__(self, hidden_size: int, vocab_size: int, z_loss: float) -> None:
        """Take the weight of the z-loss (PaLM: Chowdhery et al. 2022, section 5: 1e-4); 0: there's none."""
        super().__init__(hidden_size, vocab_size, bias=False)
        self.z_loss = z_loss
        self.compiled = False

    def forward(self, hidden: Tensor, targets: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        """Return logits [..., vocabulary], or the mean cross-entropy (in training with the z-loss) if there are
        targets."""
        if targets is None:
            return functional.linear(hidden, self.weight, bias)
        z_loss = self.z_loss if self.training else 0.0
        return linear_cross_entropy(hidden, self.weight, targets, bias, z_loss, self.compiled and self.training)


def shifted(labels: Tensor, places: int) -> Tensor:
    """Return the labels that come `places` later, int64[batch, length]; there are none for the last ones."""
    return functional.pad(labels[:, places:], (0, places), value=IGNORED_TARGET)
