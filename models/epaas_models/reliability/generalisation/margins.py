"""Margins, and how measures of rows are summed up. Knows no networks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from epaas_shared.report.generalisation import Distribution

_PERCENTILES = {"p5": 5, "p25": 25, "median": 50, "p75": 75, "p90": 90, "p95": 95}


def margins(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The logit of the true class less the greatest of the others (thesis Definition 10).

    Logits (n, classes) and class indices (n,) to (n,), in units of the logits. Negative where a row is misclassified.
    """
    rows = np.arange(len(labels))
    others = logits.copy()
    others[rows, labels] = -np.inf
    found: NDArray[np.float64] = logits[rows, labels] - others.max(axis=1)
    return found


def distribution(values: NDArray[Any]) -> Distribution:
    """Percentiles, by linear interpolation, of at least one finite value."""
    cuts = np.percentile(values, list(_PERCENTILES.values()))
    return Distribution(rows=len(values), **dict(zip(_PERCENTILES, cuts.tolist(), strict=True)))


def distribution_if_any(values: NDArray[Any]) -> Distribution | None:
    """As :func:`distribution`; None without values."""
    return distribution(values) if len(values) else None
