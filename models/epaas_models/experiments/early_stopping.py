"""Early stopping: the epoch at which a network was best on validation rows (thesis 7.3.2, table 7.1).

Knows no losses: what is best is judged by the logits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from epaas_models.confidence import negative_log_likelihood
from epaas_models.experiments.learning import outputs_of
from epaas_models.reliability.calibration.measures import expected_calibration_error
from epaas_models.reliability.subject import softmax

Reals = NDArray[np.float64]
Labels = NDArray[np.int64]
Criterion: TypeAlias = Literal["nll", "ece", "error"]

CRITERIA: dict[Criterion, Callable[[Reals, Labels], float]] = {
    "nll": negative_log_likelihood,
    "ece": lambda logits, labels: expected_calibration_error(softmax(logits), labels),
    "error": lambda logits, labels: float(np.mean(logits.argmax(axis=1) != labels)),
}
"""From logits (n, classes) and labels (n,) to what should be small."""


class EarlyStopping:
    """Keeps the weights of the best epoch, the first of several; says when there was no better one for ``patience``.

    Without ``patience`` it never stops anything: then it is the best epoch in hindsight. Put it among the ``parts`` of
    :func:`epaas_models.experiments.learning.learn`, so that it survives an interruption.
    """

    def __init__(self, criterion: Criterion, patience: int | None = None) -> None:
        self.criterion = criterion
        self.patience = patience
        self.epoch = -1
        """The best one, from 0."""
        self.value = np.inf
        self._weights: dict[str, Tensor] = {}

    def observe(self, epoch: int, network: nn.Module, logits: Reals, labels: Labels) -> bool:
        """Whether to stop after this epoch, from which validation logits (n, classes) and labels (n,) are."""
        value = CRITERIA[self.criterion](logits, labels)
        if value < self.value:
            self.epoch, self.value = epoch, value
            self._weights = {name: weights.detach().clone() for name, weights in network.state_dict().items()}
        return self.patience is not None and epoch - self.epoch >= self.patience

    def watch(self, inputs: Tensor, labels: Tensor, device: str = "cpu") -> Callable[[int, nn.Module], bool]:
        """An ``after_epoch`` that observes these validation rows."""
        known = labels.cpu().numpy()

        def after_epoch(epoch: int, network: nn.Module) -> bool:
            return self.observe(epoch, network, outputs_of(network, inputs, device=device).double().numpy(), known)

        return after_epoch

    def restore(self, network: nn.Module) -> None:
        """Give a network the weights of the best epoch. Raises LookupError where nothing was observed."""
        if self.epoch < 0:
            raise LookupError("no epoch was observed")
        network.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, object]:
        return {"epoch": self.epoch, "value": float(self.value), "weights": self._weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch, self.value, self._weights = state["epoch"], state["value"], dict(state["weights"])


@torch.no_grad()
def at_best(stopping: EarlyStopping, network: nn.Module, inputs: Tensor, *, device: str = "cpu") -> Reals:
    """Logits (n, classes) that the best epoch gives to inputs (n, ...); the network keeps the weights it has."""
    now = {name: weights.detach().clone() for name, weights in network.state_dict().items()}
    stopping.restore(network)
    logits: Reals = outputs_of(network, inputs, device=device).double().numpy()
    network.load_state_dict(now)
    return logits
