"""What low-rank layers are compared with: a bottleneck, a convex penalty on a batch's rank (thesis 6.4.2, 6.5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from epaas_models.low_rank.penalised import ActivationPenalty


class Bottleneck(nn.Module):
    """Bottle-LR (6.4.2): activations (n, m) times V V^T with V (m, rank), without a bias or an activation function.

    Unlike the low-rank layer it is part of the network, and all gradients pass through it.
    """

    def __init__(self, dimensions: int, rank: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.linalg.qr(torch.randn(dimensions, rank)).Q)

    def forward(self, activations: Tensor) -> Tensor:
        squeezed: Tensor = activations @ self.factor @ self.factor.T
        return squeezed


class NuclearNorm(ActivationPenalty):
    """``weight`` times the sum of singular values of a batch's activations (6.5): a convex stand-in for their rank."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def penalty(self, activations: Tensor) -> Tensor:
        """Of activations (n, m); grows with the batch, as the thesis has it."""
        values: Tensor = torch.linalg.svdvals(activations)
        return self.weight * values.sum()
