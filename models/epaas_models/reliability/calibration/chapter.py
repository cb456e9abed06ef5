"""The chapter on calibration: a network's confidence before and after temperature scaling, and what to make of it.

Temperatures are of validation rows, everything else is measured on test rows. Knows no training and no data set.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.sparse import csr_matrix

from epaas_models.confidence import fit_temperature, log_losses
from epaas_models.reliability.calibration.measures import (
    BINS,
    Labels,
    Reals,
    above_99,
    bars,
    binned_gaps,
    brier,
    classwise_gaps,
    equal_mass,
    equal_width,
    maximum_calibration_error,
    top_k,
    top_label,
    total_gap,
)
from epaas_models.reliability.calibration.temperature import GRID, temperature_by_ece
from epaas_models.reliability.intervals import bootstrap, centred_measure, null_band, percentile_measure
from epaas_models.reliability.subject import Subject, softmax
from epaas_shared.features import Bits
from epaas_shared.report.calibration import Calibration, CalibrationMeasures

Verdict = Literal["consistent with perfect calibration", "over-confident", "under-confident", "miscalibrated"]

ROWS_A_BIN = 30
"""On average: of 30 rows, an accuracy has a standard error of up to 0.09."""
_TOP = (1, 2, 3, 5)
_EXTREME = (0.011, 9_900.0)
"""Temperatures beyond are where the search ended, not where the likelihood has its top."""


def bins_for(rows: int) -> int:
    """The thesis's 15 bins, or as many as have :data:`ROWS_A_BIN` rows on average, and at least one."""
    return max(1, min(BINS, rows // ROWS_A_BIN))


def measure_calibration(
    subject: Subject,
    validation_bits: Bits,
    validation_labels: Labels,
    test_bits: Bits,
    test_labels: Labels,
    *,
    seed: int,
    resamples: int = 1000,
) -> Calibration:
    """Calibration on the test rows; bits are (rows, inputs), labels class indices (rows,), intervals of ``resamples``.

    A temperature that the bundle's scores carry is what a client divides by, and was fitted to validation rows when the
    scale was chosen: it is taken as it is, so that ``after`` is of a client's own probabilities. Any other is fitted
    here. Without validation rows there is nothing to fit, and temperatures are 1.
    """
    held_out, logits = subject.confidence_logits(validation_bits), subject.confidence_logits(test_bits)
    bins = bins_for(len(test_labels))
    by_nll, by_ece = _temperatures(subject, held_out, validation_labels)
    before, after, after_by_ece = (
        measure_scaled(logits, test_labels, temperature, bins, seed=seed, resamples=resamples)
        for temperature in (1.0, by_nll, by_ece)
    )
    scale = subject.network.scores
    return Calibration(
        seen_by_client=scale is not None,
        source=subject.source,
        validation_rows=len(validation_labels),
        bins=bins,
        temperature_by_nll=by_nll,
        temperature_by_ece=by_ece,
        scale=subject.unit,
        before=before,
        after=after,
        after_by_ece=after_by_ece,
        verdict=verdict_of(after),
        warnings=(*_fitting_warnings(len(validation_labels), by_nll, by_ece), *_warnings(after, len(test_labels))),
    )


def measure_scaled(
    logits: Reals, labels: Labels, temperature: float, bins: int, *, seed: int, resamples: int
) -> CalibrationMeasures:
    """Measures of softmax(logits / temperature), from logits (n, classes) and labels (n,)."""
    probabilities = softmax(logits, temperature)
    confidence, right = top_label(probabilities, labels)
    binning, adaptive = equal_width(confidence, bins), equal_mass(confidence, bins)
    losses = log_losses(logits / temperature, labels)
    binned = [
        binned_gaps(confidence, right, binning),
        binned_gaps(confidence, right, adaptive),
        classwise_gaps(probabilities, labels, bins),
    ]
    columns = csr_matrix(np.column_stack([losses, confidence - right, *binned]).T)
    first = np.cumsum([2, *(gaps.shape[1] for gaps in binned)])[:-1]

    def statistic(counts: Reals) -> Reals:
        means = columns @ counts / len(labels)
        return np.concatenate([means[:2], np.add.reduceat(np.abs(means), first, axis=0)])

    nll, sure, ece, adaptive_error, classwise = bootstrap(statistic, len(labels), resamples=resamples, seed=seed)
    classes = probabilities.shape[1]
    return CalibrationMeasures(
        temperature=temperature,
        expected_calibration_error=centred_measure(total_gap(binned[0]), ece),
        null_band=null_band(confidence, bins, resamples=resamples, seed=seed),
        maximum_calibration_error=maximum_calibration_error(probabilities, labels, bins),
        adaptive_calibration_error=centred_measure(total_gap(binned[1]), adaptive_error),
        classwise_calibration_error=centred_measure(total_gap(binned[2]), classwise),
        negative_log_likelihood=percentile_measure(float(losses.mean()), nll),
        brier=brier(probabilities, labels, bins),
        overconfidence=percentile_measure(float(confidence.mean() - right.mean()), sure),
        above_99=above_99(probabilities),
        top_k={str(k): top_k(probabilities, labels, k) for k in _TOP if k < classes},
        bins=bars(confidence, right, binning),
        adaptive_bins=bars(confidence, right, adaptive),
    )


def verdict_of(measures: CalibrationMeasures) -> Verdict:
    """Consistent with perfect calibration up to the end of the null band, so that 1 in 40 perfect models is not.

    Beyond, it is the sign of the over-confidence, if its interval has one; else gaps of both signs make up for another.
    """
    if measures.expected_calibration_error.value <= measures.null_band[1]:
        return "consistent with perfect calibration"
    assert measures.overconfidence.interval is not None
    low, high = measures.overconfidence.interval
    return "over-confident" if low > 0 else "under-confident" if high < 0 else "miscalibrated"


def _temperatures(subject: Subject, logits: Reals, labels: Labels) -> tuple[float, float]:
    """By the likelihood and by the calibration error, in units of the logits."""
    scale = subject.network.scores
    given = scale.temperature / subject.unit if scale is not None and scale.temperature is not None else None
    if not len(labels):
        return given or 1.0, 1.0
    return given or fit_temperature(logits, labels), temperature_by_ece(logits, labels, bins_for(len(labels)))


def _fitting_warnings(rows: int, by_nll: float, by_ece: float) -> list[str]:
    if not rows:
        return ["there are no validation rows: a temperature that no bundle carries is 1, not fitted"]
    found = []
    if bins_for(rows) < BINS:
        found.append(f"{rows} validation rows are too few for {BINS} bins: temperature_by_ece is over {bins_for(rows)}")
    if not _EXTREME[0] < by_nll < _EXTREME[1]:
        found.append(
            "no temperature has the least negative log-likelihood: temperature_by_nll is where the search ends"
        )
    if by_ece in (GRID[0], GRID[-1]):
        found.append("temperature_by_ece is at an end of its grid: a better one may be beyond")
    return found


def _warnings(after: CalibrationMeasures, rows: int) -> list[str]:
    found = []
    if len(after.bins) < BINS:
        found.append(
            f"{rows} test rows are too few for {BINS} bins of {ROWS_A_BIN} rows on average: there are"
            f" {len(after.bins)}, and a perfectly calibrated model would measure up to {after.null_band[1]:.3f}"
        )
    gaps = [
        (abs(bar.accuracy - bar.confidence), bar.rows)
        for bar in after.bins
        if bar.accuracy is not None and bar.confidence is not None
    ]
    _, worst = max(gaps)
    if worst < ROWS_A_BIN:
        found.append(f"the maximum calibration error after scaling is that of a bin of {worst} rows")
    return found
