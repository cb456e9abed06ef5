"""Claims of sections 7.2, 7.3 and 7.5.2 about what happens in training, judged on pictures."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from epaas_models.experiments.claims import Verdict, mean_and_spread, means
from epaas_models.experiments.early_stopping import CRITERIA
from epaas_models.experiments.focal.small import PICTURES
from epaas_models.experiments.focal.table_claims import FOCAL, spreads
from epaas_models.experiments.logs import Logs

_FIXED: Final = ("cross-entropy", "focal-1", "focal-2", "focal-3")
_RISE: Final = 1.1
"""From which factor on a test NLL counts as risen."""


def curves(logs: Logs, arm: str, name: str) -> NDArray[np.float64]:
    """A curve of an arm, (seeds, epochs)."""
    return np.array([log.measured[f"curve_{name}"] for log in logs.of(PICTURES.name, arm)], dtype=np.float64)


def rises(logs: Logs, arm: str, name: str) -> NDArray[np.float64]:
    """By seed: a curve at the end over what it was when the test NLL was least."""
    values, least = curves(logs, arm, name), curves(logs, arm, "test_nll").argmin(axis=1)
    found: NDArray[np.float64] = values[:, -1] / values[np.arange(len(values)), least]
    return found


def nll_overfitting(logs: Logs) -> Verdict:
    names = ("test_nll", "test_nll_wrong", "test_nll_right", "test_entropy_wrong", "test_error")
    nll, wrong, right, entropy, error = (rises(logs, "cross-entropy", name) for name in names)
    holds = (nll >= _RISE) & (wrong > 1) & (right <= 1) & (entropy < 1) & (error <= 1)
    return Verdict(
        "end of training over epoch of least test NLL: "
        + ", ".join(
            f"{what} x{mean_and_spread(list(values), 2)}"
            for what, values in (
                ("NLL", nll),
                ("of wrong rows", wrong),
                ("of right rows", right),
                ("entropy of wrong rows", entropy),
                ("error", error),
            )
        )
        + f"; all five in {holds.sum()} of {len(holds)} seeds",
        bool(holds.all()),
    )


def less_nll_overfitting(logs: Logs) -> Verdict:
    risen = {arm: rises(logs, arm, "test_nll_wrong") for arm in _FIXED}
    entropy = {arm: curves(logs, arm, "test_entropy_wrong")[:, -1] for arm in _FIXED}
    holds = all(
        (risen[arm] < risen["cross-entropy"]).all() and (entropy[arm] > entropy["cross-entropy"]).all()
        for arm in _FIXED[1:]
    )
    return Verdict(
        "; ".join(
            f"{arm} NLL of wrong rows x{mean_and_spread(list(risen[arm]), 2)},"
            f" their entropy {mean_and_spread(list(entropy[arm]), 2)}"
            for arm in _FIXED
        ),
        holds,
    )


def weight_norms(logs: Logs) -> Verdict:
    norm = means(logs, PICTURES, "head_norm")
    return Verdict(
        f"norm of the last layer {spreads(logs, PICTURES, 'head_norm', _FIXED, 2)}",
        all(norm[low] < norm[high] for high, low in pairwise(_FIXED)),
    )


def gradient_norms(logs: Logs) -> Verdict:
    focal, entropy = (curves(logs, arm, "gradient_norm") for arm in ("focal-3", "cross-entropy"))
    halves = [float(part.mean()) for part in np.array_split((focal / entropy).mean(axis=0), 2)]
    at_end = focal[:, -1] / entropy[:, -1]
    return Verdict(
        f"gradient norm of focal-3 over that of cross-entropy: {halves[0]:.2f} in the first half of training,"
        f" {halves[1]:.2f} in the second, {mean_and_spread(list(at_end), 2)} at the end",
        max(halves) < 1 and bool((at_end < 1).all()),
    )


def greater_gamma(logs: Logs) -> Verdict:
    ece = means(logs, PICTURES, "ece")
    return Verdict(
        f"ECE {spreads(logs, PICTURES, 'ece', _FIXED)}",
        all(ece[low] < ece[high] for high, low in pairwise(_FIXED)),
    )


def sample_dependent(logs: Logs) -> Verdict:
    arms = ("focal-3", "flsc-531", "flsd-53", "neutral")
    ece = means(logs, PICTURES, "ece")
    return Verdict(
        f"ECE {spreads(logs, PICTURES, 'ece', (*arms, 'dual-focal'))}",
        ece["flsd-53"] <= min(ece["focal-3"], ece["flsc-531"]),
    )


def early_stopping(logs: Logs) -> Verdict:
    ece = {kind: means(logs, PICTURES, f"{kind}_ece") for kind in CRITERIA}
    return Verdict(
        "; ".join(f"by {kind}: {spreads(logs, PICTURES, f'{kind}_ece', ('cross-entropy', 'focal-3'))}" for kind in ece),
        all(found["focal-3"] < found["cross-entropy"] for found in ece.values()),
    )


def price_of_stopping(logs: Logs) -> Verdict:
    ece, stopped = means(logs, PICTURES, "ece"), means(logs, PICTURES, "ece_ece")
    error, worse = means(logs, PICTURES, "error"), means(logs, PICTURES, "ece_error")
    arm = "cross-entropy"
    return Verdict(
        f"ECE {ece[arm]:.3f} at the end, {stopped[arm]:.3f} stopped; error {error[arm]:.3f} and {worse[arm]:.3f}",
        stopped[arm] < ece[arm] and worse[arm] > error[arm] + 0.01,
    )


def confident_and_calibrated(logs: Logs) -> Verdict:
    before, after = (means(logs, PICTURES, measure) for measure in ("above_99", "above_99_scaled"))
    return Verdict(
        f"|S99| before {spreads(logs, PICTURES, 'above_99', ('cross-entropy', 'mmce', *FOCAL))};"
        f" after {spreads(logs, PICTURES, 'above_99_scaled', ('cross-entropy', 'mmce', *FOCAL))}",
        all(before[arm] < before["cross-entropy"] and after[arm] > after["cross-entropy"] for arm in FOCAL),
    )


def confidence_after_all_is_learnt(logs: Logs) -> Verdict:
    error, sure = (curves(logs, "cross-entropy", f"training_{name}") for name in ("error", "confidence"))
    learnt = [int(np.argmax(row <= 0.01)) if (row <= 0.01).any() else -1 for row in error]
    risen = [float(row[-1] - row[epoch]) for row, epoch in zip(sure, learnt, strict=True)]
    return Verdict(
        f"training error at most 1 % after epochs {', '.join(str(epoch + 1) for epoch in learnt)} of {sure.shape[1]};"
        f" training confidence rises by {mean_and_spread(risen, 4)} from there to {sure[:, -1].mean():.4f}",
        all(rise > 0 for rise in risen) and -1 not in learnt,
    )
