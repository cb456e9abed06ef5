"""Measures of calibration: of probabilities (n, classes) and labels (n,), nothing else (thesis 3.3.2).

Errors over bins are sums of absolute values of means over rows, so that a bootstrap needs the rows' parts only
(:func:`binned_gaps`, :func:`classwise_gaps`). Knows neither networks, temperatures nor intervals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from epaas_shared.report.calibration import Bin, BrierScore

Reals = NDArray[np.float64]
Labels = NDArray[np.int64]

BINS = 15
"""Of the thesis's tables and of Guo et al. 2017."""


@dataclass(frozen=True)
class Binning:
    """Which bin each row is in, (n,), and the ends of the bins, (bins,)."""

    index: NDArray[np.intp]
    low: Reals
    high: Reals

    def __len__(self) -> int:
        return len(self.low)


def equal_width(values: Reals, bins: int) -> Binning:
    """Bins [low, high) of shares in [0, 1]; the last has its upper end as well, so that a confidence of 1 is in it."""
    edges = np.linspace(0, 1, bins + 1)
    index = np.minimum(np.searchsorted(edges, values, side="right") - 1, bins - 1)
    return Binning(index, edges[:-1], edges[1:])


def equal_mass(values: Reals, bins: int) -> Binning:
    """At most ``bins`` bins of about the same number of rows, from the least value in each to the greatest.

    Equal values are never parted: all of them are where the middle one of them belongs. So the order of rows does not
    matter, every row is in a bin, and where ties are many some bins are fuller and there are fewer.
    """
    found, place, rows = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(rows) - rows / 2
    wanted = np.minimum((middle * bins / len(values)).astype(np.intp), bins - 1)
    _, starts, index = np.unique(wanted, return_index=True, return_inverse=True)
    ends = np.append(starts[1:], len(found)) - 1
    return Binning(index[place], found[starts], found[ends])


def top_label(probabilities: Reals, labels: Labels) -> tuple[Reals, NDArray[np.bool_]]:
    """Confidence in the predicted class, the first of equals, and whether it is the true one; both (n,)."""
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == labels


def binned_gaps(confidence: Reals, right: NDArray[np.bool_], binning: Binning) -> Reals:
    """right - confidence of each row in the column of its bin, and 0 in the others: (n, bins)."""
    gaps = np.zeros((len(confidence), len(binning)))
    gaps[np.arange(len(confidence)), binning.index] = right.astype(np.float64) - confidence
    return gaps


def classwise_gaps(probabilities: Reals, labels: Labels, bins: int) -> Reals:
    """The gaps of every class, whether predicted or not, over the number of classes: (n, classes * bins)."""
    classes = probabilities.shape[1]
    columns = [
        binned_gaps(probabilities[:, label], labels == label, equal_width(probabilities[:, label], bins))
        for label in range(classes)
    ]
    return np.concatenate(columns, axis=1) / classes


def total_gap(gaps: Reals) -> float:
    """Of gaps (n, bins): sum over bins of their share of rows times |accuracy - confidence|."""
    return float(np.abs(gaps.mean(axis=0)).sum())


def expected_calibration_error(probabilities: Reals, labels: Labels, bins: int = BINS) -> float:
    """ECE (equation 3.21), in [0, 1]."""
    confidence, right = top_label(probabilities, labels)
    return total_gap(binned_gaps(confidence, right, equal_width(confidence, bins)))


def maximum_calibration_error(probabilities: Reals, labels: Labels, bins: int = BINS) -> float:
    """MCE (equation 3.22), in [0, 1]: the gap of the worst bin that has rows, be they ever so few."""
    confidence, right = top_label(probabilities, labels)
    binning = equal_width(confidence, bins)
    rows = np.bincount(binning.index, minlength=bins)
    gaps = np.abs(binned_gaps(confidence, right, binning).sum(axis=0))
    return float((gaps[rows > 0] / rows[rows > 0]).max())


def adaptive_calibration_error(probabilities: Reals, labels: Labels, bins: int = BINS) -> float:
    """AdaECE: ECE over bins of equal mass (Nixon et al. 2019; thesis 3.3.2), in [0, 1]."""
    confidence, right = top_label(probabilities, labels)
    return total_gap(binned_gaps(confidence, right, equal_mass(confidence, bins)))


def classwise_calibration_error(probabilities: Reals, labels: Labels, bins: int = BINS) -> float:
    """Classwise ECE (equation 3.23), in [0, 1]; the classes are the columns, whether they have rows or not."""
    return total_gap(classwise_gaps(probabilities, labels, bins))


def overconfidence(probabilities: Reals, labels: Labels) -> float:
    """Mean confidence less accuracy, in [-1, 1]: positive is over-confident."""
    confidence, right = top_label(probabilities, labels)
    return float(confidence.mean() - right.mean())


def above_99(probabilities: Reals) -> float:
    """|S99| as a share of rows: confidence higher than 99 % (thesis, table 7.8)."""
    return float(np.mean(probabilities.max(axis=1) > 0.99))


def top_k(probabilities: Reals, labels: Labels, k: int) -> float:
    """Share of rows whose true class is among the ``k`` most probable; of equals the first come first."""
    ranked = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float(np.mean((ranked == labels[:, None]).any(axis=1)))


def brier(probabilities: Reals, labels: Labels, bins: int = BINS) -> BrierScore:
    """Brier score (equation 3.25), in [0, 2], and its parts, each summed over classes.

    Murphy's decomposition (1973) is of one class at a time, over bins of its probability; what probabilities differ
    within a bin is the remainder of Stephenson et al. (2008), here ``within_bins``.
    """
    parts = [_murphy(column, labels == label, bins) for label, column in enumerate(probabilities.T)]
    value, reliability, resolution, uncertainty, within = np.sum(parts, axis=0).tolist()
    return BrierScore(
        value=value, reliability=reliability, resolution=resolution, uncertainty=uncertainty, within_bins=within
    )


def _murphy(probability: Reals, happened: NDArray[np.bool_], bins: int) -> Reals:
    """Value, reliability, resolution, uncertainty and the rest, of one class."""
    index, base = equal_width(probability, bins).index, happened.mean()
    rows = np.maximum(1, np.bincount(index, minlength=bins))
    forecast = (np.bincount(index, probability, bins) / rows)[index]
    observed = (np.bincount(index, happened, bins) / rows)[index]
    variance, covariance = (probability - forecast) ** 2, (probability - forecast) * (happened - observed)
    columns = [
        (probability - happened) ** 2,
        (forecast - observed) ** 2,
        (observed - base) ** 2,
        np.full(len(index), base * (1 - base)),
        variance - 2 * covariance,
    ]
    means: Reals = np.mean(columns, axis=1)
    return means


def bars(confidence: Reals, right: NDArray[np.bool_], binning: Binning) -> tuple[Bin, ...]:
    """The bars of a reliability diagram, and of a histogram of the confidence by their rows."""
    rows = np.bincount(binning.index, minlength=len(binning))
    share = np.maximum(1, rows)
    means = np.bincount(binning.index, confidence, len(binning)) / share
    accuracies = np.bincount(binning.index, right, len(binning)) / share
    return tuple(
        Bin(
            low=float(binning.low[place]),
            high=float(binning.high[place]),
            rows=int(number),
            confidence=min(1.0, float(means[place])) if number else None,
            accuracy=float(accuracies[place]) if number else None,
        )
        for place, number in enumerate(rows)
    )
