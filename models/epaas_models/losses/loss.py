"""What every loss of this package is: a frozen configuration that can be called.

Losses know logits and labels of a batch and how far training is; neither networks nor data.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from pydantic import BaseModel, ConfigDict
from torch import Tensor


class ClassificationLoss(BaseModel, ABC):
    """A subclass a loss; its field ``kind`` names it in a configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @abstractmethod
    def __call__(self, logits: Tensor, labels: Tensor, share: float) -> Tensor:
        """Mean loss, a scalar, of logits (n, classes) and the labels (n,) of the true classes; two classes at least.

        ``share`` in [0, 1] is how much of training is done, which only schedules use. Loss and gradient are finite for
        any logits whose differences are finite numbers.
        """


def log_probabilities_of(log_probabilities: Tensor, labels: Tensor) -> Tensor:
    """Of the true classes: from (n, classes) and (n,) to (n,)."""
    return log_probabilities.gather(1, labels[:, None]).squeeze(1)
