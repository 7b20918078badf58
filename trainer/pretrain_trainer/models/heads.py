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

    def __init__(self, hidden_size: int, vocab_size: int, z_loss: float, max_z_loss: float = 0.0) -> None:
        """Take the weights of the z-loss (PaLM: Chowdhery et al. 2022, section 5: 1e-4) and of that of the largest
        logit (Baichuan 2: Yang et al. 2023, section 2.5: 2e-4); 0: there's none."""
        super().__init__(hidden_size, vocab_size, bias=False)
        self.z_loss, self.max_z_loss = z_loss, max_z_loss
        self.compiled = False

    def forward(self, hidden: Tensor, targets: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        """Return logits [..., vocabulary], or the mean cross-entropy (in training with the z-losses) if there are
        targets."""
        weight = self.projection()
        if targets is None:
            return functional.linear(hidden, weight, bias)
        z_losses = (self.z_loss, self.max_z_loss) if self.training else (0.0, 0.0)
        return linear_cross_entropy(hidden, weight, targets, bias, *z_losses, self.compiled and self.training)

    def projection(self) -> Tensor:
        """Return the matrix that gives the logits, [vocabulary, hidden_size]."""
        return self.weight


class NormalizedHead(LanguageModelHead):
    """Output projection whose rows have the length 1, so that a logit is the hidden state's share in a token's
    direction (Yang et al. 2023, section 2.5)."""

    def projection(self) -> Tensor:
        """Return the matrix that gives the logits, [vocabulary, hidden_size]."""
        return functional.normalize(self.weight)


def shifted(labels: Tensor, places: int) -> Tensor:
    """Return the labels that come `places` later, int64[batch, length]; there are none for the last ones."""
    return functional.pad(labels[:, places:], (0, places), value=IGNORED_TARGET)
