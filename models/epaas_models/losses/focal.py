"""Focal loss -(1 - p)^gamma log p of the true class's probability p (Lin et al. 2017; thesis 7.3), by how gamma is set.

Gammas are constants to the gradient: a gamma that depends on p is not differentiated.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional

from epaas_models.losses.gamma import neutral_gamma
from epaas_models.losses.loss import ClassificationLoss, log_probabilities_of

Gamma = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, lt=1)]


def log_others(log_probabilities: Tensor, labels: Tensor) -> Tensor:
    """log(1 - p), (n,): the sum of the other classes, which keeps its digits where p rounds to 1."""
    true = functional.one_hot(labels, log_probabilities.shape[1]).bool()
    return log_probabilities.masked_fill(true, -torch.inf).logsumexp(dim=1)


def focal_loss(logits: Tensor, labels: Tensor, gamma: float | Tensor) -> Tensor:
    """Mean focal loss, a scalar, of logits (n, classes) and labels (n,); gamma is a number or one a row, (n,)."""
    log_probabilities = functional.log_softmax(logits, dim=1)
    weight = (gamma * log_others(log_probabilities, labels)).exp()
    return -(weight * log_probabilities_of(log_probabilities, labels)).mean()


class Focal(ClassificationLoss):
    """One gamma for all rows and all of training; 0 makes it cross-entropy."""

    kind: Literal["focal"] = "focal"
    gamma: Gamma = 3.0

    def __call__(self, logits: Tensor, labels: Tensor, share: float) -> Tensor:  # noqa: ARG002
        return focal_loss(logits, labels, self.gamma)


class _Steps(ClassificationLoss):
    """Gammas over consecutive intervals of something between 0 and 1; an interval has its lower end, not its upper."""

    gammas: Annotated[tuple[Gamma, ...], Field(min_length=1)]
    thresholds: tuple[Share, ...]

    @model_validator(mode="after")
    def _intervals(self) -> _Steps:
        if len(self.gammas) != len(self.thresholds) + 1:
            raise ValueError("there must be one gamma more than thresholds")
        if any(low >= high for low, high in pairwise(self.thresholds)):
            raise ValueError("thresholds must rise")
        return self


class ScheduledFocal(_Steps):
    """FLSc: gamma by how much of training is done. The default is FLSc-531 of the reference code (350 epochs)."""

    kind: Literal["focal-scheduled"] = "focal-scheduled"
    gammas: Annotated[tuple[Gamma, ...], Field(min_length=1)] = (5.0, 3.0, 1.0)
    thresholds: tuple[Share, ...] = (100 / 350, 250 / 350)

    def __call__(self, logits: Tensor, labels: Tensor, share: float) -> Tensor:
        return focal_loss(logits, labels, self.gammas[sum(share >= threshold for threshold in self.thresholds)])


class SampleDependentFocal(_Steps):
    """FLSD: gamma by each row's p. The default is FLSD-53: 5 below 0.2, else 3 (thesis 7.3.4).

    The thesis sets the step once at 0.2, where Theorem 7 gives about 5, and once at 0.25; its code has it at 0.2. That
    code has a third interval from 0.5 on, whose gamma is its option ``gamma``, and FLSD-53 only with that at 3.
    """

    kind: Literal["focal-sample-dependent"] = "focal-sample-dependent"
    gammas: Annotated[tuple[Gamma, ...], Field(min_length=1)] = (5.0, 3.0)
    thresholds: tuple[Share, ...] = (0.2,)

    def __call__(self, logits: Tensor, labels: Tensor, share: float) -> Tensor:  # noqa: ARG002
        return focal_loss(logits, labels, self.gammas_of(_probabilities(logits, labels)))

    def gammas_of(self, probabilities: Tensor) -> Tensor:
        """From the probabilities (n,) of the true classes to gammas (n,)."""
        ends = probabilities.new_tensor(self.thresholds)
        return probabilities.new_tensor(self.gammas)[torch.bucketize(probabilities, ends, right=True)]


class NeutralFocal(ClassificationLoss):
    """Theorem 7's gamma of each row's p between two thresholds, and of the nearer threshold outside.

    So gradients are those of cross-entropy times more than 1 below ``low``, exactly 1 up to ``high`` and less than 1
    above: the policy that FLSD-53 rounds to two gammas (thesis 7.3.4). ``low`` bounds gamma, which else grows without
    end as p falls.
    """

    kind: Literal["focal-neutral"] = "focal-neutral"
    low: float = Field(default=0.2, gt=0, lt=0.5)
    high: float = Field(default=0.25, gt=0, lt=0.5)

    @model_validator(mode="after")
    def _in_order(self) -> NeutralFocal:
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self

    def __call__(self, logits: Tensor, labels: Tensor, share: float) -> Tensor:  # noqa: ARG002
        return focal_loss(logits, labels, self.gammas_of(_probabilities(logits, labels)))

    def gammas_of(self, probabilities: Tensor) -> Tensor:
        """From the probabilities (n,) of the true classes to gammas (n,)."""
        bounded = probabilities.double().clamp(self.low, self.high).cpu().numpy()
        return torch.from_numpy(neutral_gamma(bounded)).to(probabilities)


def _probabilities(logits: Tensor, labels: Tensor) -> Tensor:
    """Of the true classes, (n,), as constants."""
    return log_probabilities_of(functional.log_softmax(logits.detach(), dim=1), labels).exp()
