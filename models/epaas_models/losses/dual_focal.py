"""Dual focal loss (Tao, Dong and Xu, ICML 2023): focal loss that also looks at the class just behind the true one."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from epaas_models.losses.focal import log_others
from epaas_models.losses.loss import ClassificationLoss, log_probabilities_of


class DualFocal(ClassificationLoss):
    """-(1 - p + q)^gamma log p, where q is the greatest probability that is less than the true class's p, 0 if none is.

    Where p is far above q it is focal loss; where q is close behind it is nearer to cross-entropy, so that focal loss's
    lack of confidence is made up for. q is differentiated, as in the paper's code.
    """

    kind: Literal["dual-focal"] = "dual-focal"
    gamma: float = Field(default=5.0, ge=0)

    def __call__(self, logits: Tensor, labels: Tensor, share: float) -> Tensor:  # noqa: ARG002
        log_probabilities = functional.log_softmax(logits, dim=1)
        true = log_probabilities_of(log_probabilities, labels)
        behind = log_probabilities.masked_fill(log_probabilities >= true[:, None], -torch.inf).amax(dim=1)
        weight = (self.gamma * torch.logaddexp(log_others(log_probabilities, labels), behind)).exp()
        return -(weight * true).mean()
