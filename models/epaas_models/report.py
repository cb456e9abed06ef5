"""The report beside a model: what it gets right, with intervals and against the simplest baseline.

Every number comes with the rows that it was measured on. The format is a first one; issues to come add calibration,
robustness and cost.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from epaas_shared.network import Network
from epaas_shared.schema import Bits

REPORT_FORMAT = "epaas-report/1"


def accuracy(network: Network, bits: Bits, truth: NDArray[np.int64]) -> float:
    """Share of rows whose label is right; ``bits`` of shape (rows, inputs)."""
    return float(np.mean(np.array(network.predict(bits)) == truth))


def classification_report(
    network: Network, bits: Bits, truth: NDArray[np.int64], training_truth: NDArray[np.int64], classes: tuple[str, ...]
) -> dict[str, Any]:
    """Test accuracy with its 95 % Wilson interval, the majority baseline, and both per class.

    The majority class is that of the training rows, as a predictor that never looks at a record would have it.
    """
    predicted = np.array(network.predict(bits))
    right = int((predicted == truth).sum())
    interval = binomtest(right, len(truth)).proportion_ci(method="wilson")
    majority = int(np.bincount(training_truth).argmax())
    confusion = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(confusion, (truth, predicted), 1)
    return {
        "rows": len(truth),
        "accuracy": right / len(truth),
        "accuracy_interval_95": [float(interval.low), float(interval.high)],
        "majority_baseline": {"label": classes[majority], "accuracy": float(np.mean(truth == majority))},
        "per_class": {
            name: {"rows": int(row.sum()), "recall": float(row[index] / row.sum()) if row.sum() else None}
            for index, (name, row) in enumerate(zip(classes, confusion, strict=True))
        },
        "confusion": {"rows_are": "truth", "columns_are": "prediction", "counts": confusion.tolist()},
    }


def spread(accuracies: list[float]) -> dict[str, Any]:
    """Mean and spread of the test accuracy over random splits."""
    values = np.array(accuracies)
    return {
        "splits": len(values),
        "mean": float(values.mean()),
        "standard_deviation": float(values.std(ddof=1)) if len(values) > 1 else None,
        "minimum": float(values.min()),
        "maximum": float(values.max()),
    }
