"""Calibrated confidence: the scale of a model's scores and the temperature that turns them into probabilities.

A client gets each class's sum in a few levels (:class:`~epaas_shared.scores.ScoreScale`). The temperature is fitted to
those levels, as a client sees them, on validation data (Guo et al. 2017), never on what trained the weights.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from epaas_shared.heads import Scores
from epaas_shared.layers import Integers
from epaas_shared.network import Network, batches
from epaas_shared.scores import ScoreScale

_TEMPERATURES = (1e-2, 1e4)
_STEPS_TRIED = 48


def class_sums(network: Network, bits: NDArray[np.uint8]) -> Integers:
    """Sums around their thresholds of the last layer, (records, classes)."""
    parts = []
    for part in batches(bits):
        for layer in network.layers[:-1]:
            part = (layer.sums(part) >= 0).astype(np.uint8)
        parts.append(network.layers[-1].sums(part))
    return np.concatenate(parts)


def log_losses(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """-log of the probability of the true class, (records,); finite whatever the logits, (records, classes)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(shifted).sum(axis=1))
    losses: NDArray[np.float64] = log_sums - shifted[np.arange(len(labels)), labels]
    return losses


def negative_log_likelihood(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Mean over records of -log of the probability of the true class."""
    return float(np.mean(log_losses(logits, labels)))


def fit_temperature(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The temperature with the least negative log-likelihood of softmax(scores / temperature)."""
    found = minimize_scalar(
        lambda log_heat: negative_log_likelihood(scores / np.exp(log_heat), labels),
        bounds=tuple(np.log(_TEMPERATURES)),
        method="bounded",
    )
    return float(np.exp(found.x))


def fit_scale(sums: Integers, labels: NDArray[np.int64], bits: int) -> ScoreScale:
    """The scale of ``2**bits`` levels that serves validation sums (records, classes) best, with its temperature.

    Tries widths of a level and tops of the scale; takes the least negative log-likelihood of the quantised scores. What
    is far below the greatest sums hardly matters, so that a narrow scale of the upper sums often wins.
    """
    top = int(sums.max(initial=0))
    best = (np.inf, ScoreScale(bits=bits, minimum=0, step=1))
    greatest = (1 << bits) - 1
    widest = max(1, -(-(top - int(sums.min())) // greatest))
    for step in np.unique(np.linspace(1, widest, _STEPS_TRIED).round().astype(int)):
        for quantile in (0.5, 0.75, 0.9, 0.98, 1.0):
            end = int(np.quantile(sums.max(axis=1), quantile))
            scale = ScoreScale(bits=bits, minimum=end - int(step) * greatest, step=int(step))
            scores = seen_scores(sums, scale)
            temperature = fit_temperature(scores, labels)
            loss = negative_log_likelihood(scores / temperature, labels)
            if loss < best[0]:
                best = (loss, scale.model_copy(update={"temperature": round(temperature, 4)}))
    return best[1]


def seen_scores(sums: Integers, scale: ScoreScale) -> NDArray[np.float64]:
    """Scores (records, classes) as a client reads them: the least sum of the level that each sum reached."""
    levels = Scores(sums.shape[1], scale).values(sums)
    return (scale.minimum + levels * scale.step).astype(np.float64)
