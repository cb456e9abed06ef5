"""Claims of section 7.4 about a linear model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from epaas_models.experiments.claims import Verdict
from epaas_models.experiments.focal.small import LINEAR
from epaas_models.experiments.focal.table_claims import spreads
from epaas_models.experiments.logs import Logs

_NOISY = ("cross-entropy", "focal-1", "focal-3")
_SEPARABLE = ("cross-entropy-separable", "focal-1-separable", "focal-3-separable")


def _numbers(logs: Logs, arm: str, measure: str) -> NDArray[np.float64]:
    return np.array(logs.numbers(LINEAR.name, arm, measure))


def _falls(logs: Logs, measure: str, arms: tuple[str, ...]) -> bool:
    """Whether a measure falls from arm to arm, for every seed."""
    columns = np.array([_numbers(logs, arm, measure) for arm in arms])
    return bool((np.diff(columns, axis=0) < 0).all())


def norms(logs: Logs) -> Verdict:
    return Verdict(
        f"weights {spreads(logs, LINEAR, 'weight_norm', _NOISY, 2)};"
        f" logits {spreads(logs, LINEAR, 'logit_norm', _NOISY, 2)}",
        _falls(logs, "weight_norm", _NOISY) and _falls(logs, "logit_norm", _NOISY),
    )


def separable_norms(logs: Logs) -> Verdict:
    curves = np.array([log.measured["curve_weight_norm"] for log in logs.of(LINEAR.name, _SEPARABLE[0])], dtype=float)
    grows = bool((curves[:, -1] > 1.1 * curves[:, curves.shape[1] // 2]).all())
    return Verdict(
        f"weights {spreads(logs, LINEAR, 'weight_norm', _SEPARABLE, 2)}; of cross-entropy"
        f" x{np.mean(curves[:, -1] / curves[:, curves.shape[1] // 2]):.2f} over the second half of training",
        grows and _falls(logs, "weight_norm", _SEPARABLE),
    )


def mistakes(logs: Logs) -> Verdict:
    turned = np.abs(_numbers(logs, "focal-1", "angle") - _numbers(logs, "cross-entropy", "angle"))
    return Verdict(
        f"confidence of wrong points {spreads(logs, LINEAR, 'confidence_wrong', _NOISY)};"
        f" directions of cross-entropy and focal-1 differ by {turned.max():.1f} degrees at most;"
        f" ECE {spreads(logs, LINEAR, 'ece', _NOISY)}",
        _falls(logs, "confidence_wrong", _NOISY) and bool((turned < 10).all()),
    )


def sure_mistakes(logs: Logs) -> Verdict:
    sure = _numbers(logs, "cross-entropy", "sure_wrong")
    return Verdict(
        f"share of wrong points above 0.9 {spreads(logs, LINEAR, 'sure_wrong', _NOISY)}", bool((sure > 0.5).all())
    )
