"""The test rows by the values of a column, such as age: whether a model serves all of them alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epaas_models.reliability.accuracy.classification import balanced_accuracy
from epaas_models.reliability.calibration.chapter import ROWS_A_BIN
from epaas_models.reliability.calibration.measures import Labels, Reals, binned_gaps, equal_width, top_label, total_gap
from epaas_models.reliability.intervals import bootstrap, centred_measure, rate
from epaas_models.reliability.subject import Columns, Subject, softmax
from epaas_shared.features import Bits
from epaas_shared.report.accuracy import Subgroup
from epaas_shared.report.calibration import Calibration
from epaas_shared.report.measures import Measure

FEWEST_ROWS = 30
"""A value with fewer test rows is left out: its interval would say nothing, and its rows might be recognised."""
MISSING = "(missing)"


def measure_subgroups(
    subject: Subject,
    columns: Columns,
    bits: Bits,
    labels: Labels,
    by: Sequence[str],
    *,
    calibration: Calibration,
    seed: int,
    resamples: int = 1000,
) -> tuple[Subgroup, ...]:
    """Each value, in order, of the columns named in ``by``. Test rows: columns and labels (rows,), bits (rows, inputs).

    ``calibration`` is the chapter on the same rows; its temperature and bins are those of the calibration error, which
    a value has if it has as many rows a bin as the chapter asks for.
    """
    predicted = subject.predict(bits)
    probabilities = softmax(subject.confidence_logits(bits), calibration.temperature_by_nll)

    def group(column: str, value: str, rows: NDArray[np.bool_]) -> Subgroup:
        true = labels[rows]
        enough = len(true) >= calibration.bins * ROWS_A_BIN
        return Subgroup(
            column=column,
            value=value,
            accuracy=rate(int((predicted[rows] == true).sum()), len(true)),
            balanced_accuracy=balanced_accuracy(true, predicted[rows]),
            majority=float(np.bincount(true).max() / len(true)),
            expected_calibration_error=_error(probabilities[rows], true, calibration.bins, seed, resamples)
            if enough
            else None,
        )

    found = []
    for column in by:
        texts = np.array([_text(value) for value in columns[column]])
        values, rows = np.unique(texts, return_counts=True)
        found += [group(column, str(value), texts == value) for value in values[rows >= FEWEST_ROWS]]
    return tuple(found)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float | int | np.number) else str(value) or MISSING


def _error(probabilities: Reals, labels: Labels, bins: int, seed: int, resamples: int) -> Measure:
    confidence, right = top_label(probabilities, labels)
    gaps = binned_gaps(confidence, right, equal_width(confidence, bins))

    def statistic(counts: Reals) -> Reals:
        errors: Reals = np.abs(gaps.T @ counts / len(labels)).sum(axis=0, keepdims=True)
        return errors

    (replicates,) = bootstrap(statistic, len(labels), resamples=resamples, seed=seed)
    return centred_measure(total_gap(gaps), replicates)
