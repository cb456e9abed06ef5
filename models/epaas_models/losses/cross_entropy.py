"""Cross-entropy with one-hot labels: the negative log-likelihood of the true class (thesis 7.2)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional

from epaas_models.losses.loss import ClassificationLoss


class CrossEntropy(ClassificationLoss):
    kind: Literal["cross-entropy"] = "cross-entropy"

    def __call__(self, logits: Tensor, labels: Tensor, share: float) -> Tensor:  # noqa: ARG002
        return functional.cross_entropy(logits, labels)
