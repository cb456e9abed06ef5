"""Temperatures, from the logits (n, classes) and labels (n,) of validation rows: what logits are divided by.

By the negative log-likelihood (Guo et al. 2017) it is :func:`epaas_models.confidence.fit_temperature`; here is the one
of the thesis's tables. Knows no networks.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from epaas_models.reliability.calibration.measures import BINS, Labels, Reals, expected_calibration_error
from epaas_models.reliability.subject import softmax

GRID: Final = np.arange(1, 101) / 10
"""0.1, 0.2, ..., 10 (thesis 7.5), each the nearest number there is to it: adding 0.1 up would drift."""


def temperature_by_ece(logits: Reals, labels: Labels, bins: int = BINS) -> float:
    """The temperature of the grid with the least expected calibration error, the first of several.

    The grid is in units of the logits: of sums it is the grid times what they were divided by.
    """
    errors = [expected_calibration_error(softmax(logits, heat), labels, bins) for heat in GRID]
    return float(GRID[int(np.argmin(errors))])
