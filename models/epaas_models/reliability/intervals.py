"""How sure a number that was measured on so many rows is: Wilson's interval, the bootstrap over rows, the null band.

Knows neither networks nor what is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from epaas_models.reliability.calibration.measures import binned_gaps, equal_width
from epaas_shared.report.measures import Measure, Rate

Reals = NDArray[np.float64]
Statistic = Callable[[Reals], Reals]
"""Takes how often each row was drawn, (rows, resamples), to numbers a resample, (numbers, resamples)."""

_ENTRIES_AT_ONCE = 1 << 21
"""Of rows by resamples: bounds the memory of a bootstrap."""
_ENDS = (2.5, 97.5)


def wilson_interval(right: int, rows: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share; of no rows it is everything, (0, 1)."""
    if not rows:
        return 0.0, 1.0
    interval = binomtest(right, rows).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def rate(right: int, rows: int) -> Rate:
    """The share ``right`` of ``rows``, at least one, with its interval."""
    return Rate(value=right / rows, interval=wilson_interval(right, rows), rows=rows)


def bootstrap(statistic: Statistic, rows: int, *, resamples: int, seed: int) -> Reals:
    """A statistic of resamples of the rows, drawn with replacement (Efron 1979): (numbers, resamples)."""
    return np.concatenate([statistic(counts) for counts in _draws(rows, resamples, seed)], axis=1)


def _draws(rows: int, resamples: int, seed: int) -> Iterator[Reals]:
    random = np.random.default_rng(seed)
    for width in _widths(rows, resamples):
        places = random.integers(0, rows, (rows, width)) * width + np.arange(width)
        yield np.bincount(places.ravel(), minlength=rows * width).reshape(rows, width).astype(np.float64)


def _widths(rows: int, resamples: int) -> Iterator[int]:
    """How many resamples at once, until there are enough."""
    most = max(1, _ENTRIES_AT_ONCE // rows)
    for done in range(0, resamples, most):
        yield min(most, resamples - done)


def percentile_interval(replicates: Reals) -> tuple[float, float] | None:
    """The middle 95 % of replicates (resamples,). NaN is a resample without a value; None if all are."""
    with_value = replicates[~np.isnan(replicates)]
    if not len(with_value):
        return None
    low, high = np.percentile(with_value, _ENDS)
    return float(low), float(high)


def centred_interval(replicates: Reals, value: float) -> tuple[float, float]:
    """The middle 95 % of replicates (resamples,) moved so that their mean is ``value``, and not below 0.

    For sums of absolute values, as calibration errors are: resampling adds noise to every bin, and noise to absolute
    values. Plain percentiles of a small error are too high: with 400 rows of a perfectly calibrated model, one interval
    in six is wholly above the error to be expected.
    """
    low, high = np.percentile(replicates - replicates.mean() + value, _ENDS)
    return max(0.0, float(low)), max(0.0, float(high))


def percentile_measure(value: float, replicates: Reals) -> Measure:
    """A number whose interval is :func:`percentile_interval`."""
    return Measure(value=value, interval=percentile_interval(replicates))


def centred_measure(value: float, replicates: Reals) -> Measure:
    """A number whose interval is :func:`centred_interval`."""
    return Measure(value=value, interval=centred_interval(replicates, value))


def null_band(confidence: Reals, bins: int, *, resamples: int, seed: int) -> tuple[float, float]:
    """The middle 95 % of the expected calibration errors of a perfectly calibrated model with these confidences (n,).

    Rows of such a model are right with the probability that it says (Bröcker and Smith 2007, "consistency resampling").
    """
    random = np.random.default_rng(seed)
    rows, binning = len(confidence), equal_width(confidence, bins)
    members = binned_gaps(np.zeros(rows), np.ones(rows, dtype=np.bool_), binning).T
    expected = members @ confidence
    errors = []
    for width in _widths(rows, resamples):
        right = random.random((rows, width)) < confidence[:, None]
        errors.append(np.abs(members @ right - expected[:, None]).sum(axis=0) / rows)
    low, high = np.percentile(np.concatenate(errors), _ENDS)
    return float(low), float(high)
