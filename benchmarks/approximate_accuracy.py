"""What a network gets right when some of its layers are evaluated by ``approximate``, whose thresholds err.

The error is normal and the same for every neuron of a layer: that of the key switch and the modulus switch of one
bootstrap, beside which the noise of the layer's inputs is nothing (``circuits.noise``). It is measured on ciphertexts
as in ``approximate.py``, and drawn anew for every sum here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from approximate import approximate_error
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score
from workbench import Workbench

from epaas_models.reliability.intervals import wilson_interval
from epaas_server.bundles import Bundle
from epaas_server.circuits.noise import step_error
from epaas_server.plan import Plan
from epaas_server.strategies.approximate import Approximate
from epaas_shared.features import Bits
from epaas_shared.network import Network, batches

REPETITIONS = 5
SAMPLES = 128
"""Neurons at every distance from the threshold."""


@dataclass(frozen=True)
class StepError:
    """The normal error of a layer's thresholds, in units of its sums."""

    mean: float
    std: float


def accuracy_under_errors(bundle: Bundle, plan: Plan, bits: Bits, labels: NDArray[np.int64]) -> dict[str, Any]:
    """Accuracy, with its 95 % interval, over encoded records (rows, inputs) under errors that are measured here."""
    measured = list(approximate_error(Workbench(), SAMPLES).values())
    errors: list[StepError | None] = []
    described = []
    for number, layer in enumerate(plan.layers, start=1):
        if layer.strategy != Approximate.name:
            errors.append(None)
            continue
        scale = Approximate.scale(layer.sums, bundle.profile)
        nearest = min(measured, key=lambda case: abs(case["scale"] - scale))
        # sums times 2^scale meet the same error
        unit = 2.0 ** (nearest["scale"] - scale)
        error = StepError(nearest["mean"] * unit, nearest["standard_deviation"] * unit)
        errors.append(error)
        norm = layer.sums.squared_norm * 4**scale
        described.append(
            {
                "layer": number,
                "scale": scale,
                "measured_at_scale": nearest["scale"],
                "mean": round(error.mean, 3),
                "standard_deviation": round(error.std, 3),
                "standard_deviation_by_the_noise_model": round(step_error(bundle.profile, norm) / 2**scale, 3),
            }
        )
    random = np.random.default_rng(5)
    runs = [predicted(bundle.network, errors, bits, random) for _ in range(REPETITIONS)]
    accuracies = [float(np.mean(run == labels)) for run in runs]
    accuracy = float(np.mean(accuracies))
    return {
        "accuracy": accuracy,
        "interval": wilson_interval(round(accuracy * len(labels)), len(labels)),
        "balanced_accuracy": float(np.mean([balanced_accuracy_score(labels, run) for run in runs])),
        "accuracy_of_repetitions": accuracies,
        "errors": described,
    }


def predicted(
    network: Network, errors: Sequence[StepError | None], bits: Bits, random: np.random.Generator
) -> NDArray[np.int64]:
    """The classes (rows,) of records (rows, inputs); a layer without an error decides as it should.

    A step lies half a unit below its threshold, as ``Approximate`` puts it.
    """
    found: list[int] = []
    for part in batches(bits):
        for layer, error in zip(network.evaluated_layers, errors, strict=True):
            sums = layer.sums(part)
            if error is None:
                part = (sums >= 0).astype(np.uint8)
            else:
                part = (sums + 0.5 >= random.normal(error.mean, error.std, sums.shape)).astype(np.uint8)
        found += network.head.indices(part.astype(np.int64) @ network.head.combination.T)
    return np.array(found)
