"""What chapter 7 measures of a classifier: its calibration at the end, and what happens to it from epoch to epoch.

Knows logits, labels and networks with a linear head; neither data nor losses beyond what they give.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from epaas_models.confidence import fit_temperature, log_losses
from epaas_models.losses import ClassificationLoss
from epaas_models.reliability.calibration.measures import (
    above_99,
    adaptive_calibration_error,
    brier,
    classwise_calibration_error,
    expected_calibration_error,
    maximum_calibration_error,
    overconfidence,
    top_k,
)
from epaas_models.reliability.calibration.temperature import temperature_by_ece
from epaas_models.reliability.subject import softmax

Reals = NDArray[np.float64]
Labels = NDArray[np.int64]


def calibration_measures(
    validation: Reals, validation_labels: Labels, test: Reals, test_labels: Labels
) -> dict[str, float]:
    """The columns of tables 7.2 to 7.8, as shares: of logits (n, classes) and labels (n,).

    Names that end in ``_scaled`` are after division by the temperature of least validation ECE, as in the thesis, in
    ``_scaled_by_nll`` by that of least validation NLL.
    """
    by_ece = temperature_by_ece(validation, validation_labels)
    by_nll = fit_temperature(validation, validation_labels)
    measures = {"temperature_by_ece": by_ece, "temperature_by_nll": by_nll}
    for suffix, temperature in (("", 1.0), ("_scaled", by_ece), ("_scaled_by_nll", by_nll)):
        probabilities = softmax(test, temperature)
        measures |= {
            f"ece{suffix}": expected_calibration_error(probabilities, test_labels),
            f"adaptive_ece{suffix}": adaptive_calibration_error(probabilities, test_labels),
            f"classwise_ece{suffix}": classwise_calibration_error(probabilities, test_labels),
            f"mce{suffix}": maximum_calibration_error(probabilities, test_labels),
            f"overconfidence{suffix}": overconfidence(probabilities, test_labels),
            f"nll{suffix}": float(log_losses(test / temperature, test_labels).mean()),
            f"brier{suffix}": brier(probabilities, test_labels).value,
            f"above_99{suffix}": above_99(probabilities),
            f"wrong_above_99{suffix}": _mean(
                probabilities.argmax(axis=1) != test_labels, probabilities.max(axis=1) > 0.99
            ),
        }
    return measures | {
        "error": float(np.mean(test.argmax(axis=1) != test_labels)),
        "error_top_5": 1 - top_k(softmax(test), test_labels, 5),
    }


def epoch_measures(training: Reals, training_labels: Labels, test: Reals, test_labels: Labels) -> dict[str, float]:
    """A point of the curves of figures 7.2 and 7.4; entropies are in nats."""
    losses, probabilities = log_losses(test, test_labels), softmax(test)
    right = test.argmax(axis=1) == test_labels
    entropies = -np.sum(probabilities * np.log(np.maximum(probabilities, np.finfo(np.float64).tiny)), axis=1)
    return {
        "training_nll": float(log_losses(training, training_labels).mean()),
        "training_error": float(np.mean(training.argmax(axis=1) != training_labels)),
        "training_confidence": float(softmax(training).max(axis=1).mean()),
        "test_nll": float(losses.mean()),
        "test_nll_right": _mean(losses, right),
        "test_nll_wrong": _mean(losses, ~right),
        "test_entropy_right": _mean(entropies, right),
        "test_entropy_wrong": _mean(entropies, ~right),
        "test_error": float(1 - right.mean()),
        "test_ece": expected_calibration_error(probabilities, test_labels),
        "test_logit_norm": float(np.linalg.norm(test - test.mean(axis=1, keepdims=True), axis=1).mean()),
    }


def head_of(network: nn.Module) -> nn.Linear:
    """The last linear layer."""
    return [module for module in network.modules() if isinstance(module, nn.Linear)][-1]


def head_gradient_norms(
    network: nn.Module, inputs: Tensor, labels: Tensor, loss: ClassificationLoss, share: float
) -> NDArray[np.float64]:
    """Norm of each row's gradient in the weights of the head, (n,), which is in figure 7.6 (inputs (n, ...)).

    A row's gradient is an outer product of those in its logits and what comes into the head. Of a loss that sets the
    rows of a batch against one another (MMCE), it is the row's part of the whole's gradient.
    """
    seen: list[Tensor] = []
    handle = head_of(network).register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        logits = network(inputs)
    handle.remove()
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(logits, labels, share) * len(labels), logits)
    norms: NDArray[np.float64] = (gradient.norm(dim=1) * seen[0].norm(dim=1)).double().cpu().numpy()
    return norms


class History:
    """Measures by name, a number an epoch; it survives an interruption among the ``parts`` of a training."""

    def __init__(self) -> None:
        self.curves: dict[str, list[float]] = {}

    def append(self, measures: dict[str, float]) -> None:
        for name, value in measures.items():
            self.curves.setdefault(name, []).append(value)

    def state_dict(self) -> dict[str, object]:
        return {name: list(values) for name, values in self.curves.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.curves = {name: list(values) for name, values in state.items()}


def _mean(values: NDArray[Any], chosen: NDArray[np.bool_]) -> float:
    """Over the chosen rows, 0 where there are none."""
    return float(values[chosen].mean()) if chosen.any() else 0.0
