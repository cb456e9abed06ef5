"""Brier loss: the squared distance of the predicted distribution from the one-hot label (thesis, equation 3.25)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional

from epaas_models.losses.loss import ClassificationLoss


class Brier(ClassificationLoss):
    """In [0, 2]: summed over classes, mean over rows."""

    kind: Literal["brier"] = "brier"

    def __call__(self, logits: Tensor, labels: Tensor, share: float) -> Tensor:  # noqa: ARG002
        probabilities = functional.softmax(logits, dim=1)
        return (probabilities - functional.one_hot(labels, logits.shape[1])).square().sum(dim=1).mean()
