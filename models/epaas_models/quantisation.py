"""Straight-through estimators: discrete weights and bits forward, a gradient of the real ones backward.

Courbariaux et al. 2016 (thesis 8.3.2). Latent weights are real numbers in [-1, 1]; what a layer multiplies by is an
integer. Knows no layers and no data.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from epaas_models.architecture import Weights

REACH = 1.5
"""Standard deviations from the threshold at which a bit's gradient has fallen to zero."""


class _Step(torch.autograd.Function):
    """[z >= 0]; backward the slope of a smooth step, a triangle around the threshold (Liu et al. 2018, Bi-Real Net).

    It ends at ``reach``; a reach of 0 leaves no slope at all, as the step itself has none.
    """

    @staticmethod
    def forward(context: Any, z: Tensor, reach: float) -> Tensor:
        context.save_for_backward(z)
        context.reach = reach
        return (z >= 0).to(z.dtype)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (z,) = context.saved_tensors
        if not context.reach:
            return torch.zeros_like(gradient), None
        return gradient * (1 - z.abs() / context.reach).clamp(min=0), None


def step(z: Tensor, reach: float = REACH) -> Tensor:
    """Bits [z >= 0] of normalised sums."""
    bits: Tensor = _Step.apply(z, reach)  # type: ignore[no-untyped-call]
    return bits


def quantise(latent: Tensor, weights: Weights, threshold: float = 0.5) -> Tensor:
    """Integers of a latent tensor: the sign, or the nearest of -m to m to m times the latent weight.

    A ternary weight is 0 up to the magnitude ``threshold``, the half unless training schedules another.
    """
    if weights == "binary":
        return torch.where(latent >= 0, 1.0, -1.0)
    if weights == "ternary":
        return torch.where(latent.abs() > threshold, latent.sign(), torch.zeros(()))
    return (latent * weights).round()


def straight_through(latent: Tensor, weights: Weights, threshold: float = 0.5) -> Tensor:
    """:func:`quantise` forward; backward as if the integers were the scaled latent weights."""
    scaled = latent * (weights if isinstance(weights, int) else 1)
    return scaled + (quantise(latent, weights, threshold) - scaled).detach()


def rounded(values: Tensor) -> Tensor:
    """Nearest integers forward, the identity backward."""
    return values + (values.round() - values).detach()
