"""How often ``approximate`` gives a wrong bit, against the distance of a sum from its threshold, on ciphertexts."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_ndtr, ndtr
from workbench import Workbench, fired, random_bits, report

from epaas_server.circuits.noise import step_error
from epaas_server.strategies.approximate import Approximate
from epaas_shared.layers import DenseLayer
from epaas_shared.ranges import SumRange

_CASES = ((784, 24), (100, 6), (16, 2))
"""Inputs, and how far from the threshold sums are taken on either side: at the full range, and scaled up."""


def approximate_error(bench: Workbench, samples: int) -> dict[str, Any]:
    """For ``samples`` random neurons at every distance: how many were wrong, and the normal error that fits best."""
    cases = [_measured(bench, inputs, reach, samples) for inputs, reach in _CASES]
    return {f"scale {case['scale']}": case for case in cases}


def _measured(bench: Workbench, inputs: int, reach: int, samples: int) -> dict[str, Any]:
    """Thresholds are chosen around the sums of one record; a step lies half a unit below its threshold."""
    random = np.random.default_rng(2)
    bits = random_bits(random, inputs)
    distances = np.repeat(np.arange(-reach, reach), samples)
    weights = random.choice(np.array([-1, 1]), (len(distances), inputs))
    layer = DenseLayer(weights, weights @ bits.astype(np.int64) - distances)
    half = inputs // 2 + reach
    sums = SumRange(-half, half, inputs, fresh=True, source="measured")
    run = bench.evaluate(Approximate.name, layer, sums, bench.encrypt(bits))
    outcomes = bench.decrypt(run.bits)
    wrong = outcomes != fired(layer, bits)
    scale = Approximate.scale(sums, bench.profile)
    from_step = distances + 0.5
    mean, std = _fitted(from_step, outcomes)
    found = {
        "scale": scale,
        "inputs": inputs,
        "neurons": len(distances),
        "mean": round(mean, 3),
        "standard_deviation": round(std, 3),
        "standard_deviation_by_the_noise_model": round(step_error(bench.profile, 0) / 2**scale, 3),
        "curve": [
            {"distance": float(distance), "samples": samples, "wrong": int(wrong[from_step == distance].sum())}
            for distance in np.unique(from_step)
        ],
    }
    report(json.dumps(found))
    return found


def error_probability(distance: Any, mean: float, std: float) -> Any:
    """That a normal error moves a sum over a step at this distance, to whichever side is the wrong one."""
    beyond = (np.asarray(distance) - mean) / std
    return ndtr(np.where(np.asarray(distance) < 0, beyond, -beyond))


def _fitted(distances: Any, outcomes: Any) -> tuple[float, float]:
    """Mean and standard deviation of the normal error under which the outcomes are likeliest."""
    signs = np.where(outcomes, 1, -1)

    def unlikelihood(parameters: Any) -> float:
        mean, log_std = parameters
        return -float(log_ndtr(signs * (distances - mean) / np.exp(log_std)).sum())

    mean, log_std = minimize(unlikelihood, (0.0, np.log(np.abs(distances).mean())), method="Nelder-Mead").x
    return float(mean), float(np.exp(log_std))
