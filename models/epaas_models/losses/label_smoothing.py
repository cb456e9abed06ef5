"""Cross-entropy with smoothed labels (thesis 7.5, after Müller et al. 2019).

A share ``smoothing`` of the label is spread over the wrong classes, each getting smoothing / (classes - 1), as in the
thesis and its code. Torch's ``label_smoothing`` spreads its share over all classes, the true one among them, so that
its s is this one's s (classes - 1) / classes.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor
from torch.nn import functional

from epaas_models.losses.loss import ClassificationLoss, log_probabilities_of


class LabelSmoothing(ClassificationLoss):
    kind: Literal["label-smoothing"] = "label-smoothing"
    smoothing: float = Field(default=0.05, ge=0, lt=1)
    """Alpha; 0.05 was the best in the thesis."""

    def __call__(self, logits: Tensor, labels: Tensor, share: float) -> Tensor:  # noqa: ARG002
        log_probabilities = functional.log_softmax(logits, dim=1)
        true = log_probabilities_of(log_probabilities, labels)
        wrong = (log_probabilities.sum(dim=1) - true) / (logits.shape[1] - 1)
        return -((1 - self.smoothing) * true + self.smoothing * wrong).mean()
