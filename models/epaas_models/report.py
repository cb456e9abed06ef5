"""The report beside a model: what it gets right, with intervals and against the simplest baseline.

Every number comes with the rows that it was measured on, and is of the integer network, as the server evaluates it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from epaas_models.confidence import class_sums, negative_log_likelihood, seen_scores
from epaas_shared.features import Bits
from epaas_shared.network import Network

REPORT_FORMAT = "epaas-report/1"
_BINS = 15


def accuracy(network: Network, bits: Bits, truth: NDArray[np.int64]) -> float:
    """Share of rows whose label is right; ``bits`` of shape (rows, inputs)."""
    return float(np.mean(np.array(network.predict(bits)) == truth))


def classification_report(
    network: Network, bits: Bits, truth: NDArray[np.int64], training_truth: NDArray[np.int64], classes: tuple[str, ...]
) -> dict[str, Any]:
    """Test accuracy with its 95 % Wilson interval, balanced accuracy, AUROC, the majority baseline, and each class.

    The majority class is that of the training rows, as a predictor that never looks at a record would have it. The
    area under the ROC curve is of the exact sums (one class against the rest, averaged), which a client does not see.
    """
    predicted = np.array(network.predict(bits))
    right = int((predicted == truth).sum())
    majority = int(np.bincount(training_truth).argmax())
    confusion = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(confusion, (truth, predicted), 1)
    recalls = [row[index] / row.sum() for index, row in enumerate(confusion) if row.sum()]
    return {
        "rows": len(truth),
        "accuracy": right / len(truth),
        "accuracy_interval_95": wilson_interval(right, len(truth)),
        "balanced_accuracy": float(np.mean(recalls)),
        "auroc": auroc(class_sums(network, bits), truth),
        "majority_baseline": {"label": classes[majority], "accuracy": float(np.mean(truth == majority))},
        "per_class": {
            name: {"rows": int(row.sum()), "recall": float(row[index] / row.sum()) if row.sum() else None}
            for index, (name, row) in enumerate(zip(classes, confusion, strict=True))
        },
        "confusion": {"rows_are": "truth", "columns_are": "prediction", "counts": confusion.tolist()},
    }


def wilson_interval(right: int, rows: int) -> list[float]:
    """The 95 % Wilson interval of a share."""
    interval = binomtest(right, rows).proportion_ci(method="wilson")
    return [float(interval.low), float(interval.high)]


def confidence_report(network: Network, bits: Bits, truth: NDArray[np.int64]) -> dict[str, Any] | None:
    """How good the probabilities are that a client makes of the scores; None for a model that gives a label only.

    The expected calibration error is over 15 bins of the confidence of equal width (Guo et al. 2017).
    """
    scale = network.scores
    if scale is None or scale.temperature is None:
        return None
    logits = seen_scores(class_sums(network, bits), scale) / scale.temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = [abs(right[bins == b].sum() - confidence[bins == b].sum()) for b in range(_BINS)]
    return {
        "temperature": scale.temperature,
        "levels": scale.greatest_level + 1,
        "negative_log_likelihood": negative_log_likelihood(logits, truth),
        "expected_calibration_error": float(sum(gaps) / len(truth)),
        "mean_confidence": float(confidence.mean()),
    }


def auroc(scores: NDArray[Any], truth: NDArray[np.int64]) -> float | None:
    """Area under the ROC curve of scores (rows, 1 or classes), one class against the rest, averaged over classes.

    A single column is the score of the second of two classes. None where a class has no row.
    """
    if len(np.unique(truth)) < max(2, scores.shape[1]):
        return None
    if scores.shape[1] == 1:
        return float(roc_auc_score(truth, scores[:, 0]))
    return float(np.mean([roc_auc_score(truth == label, scores[:, label]) for label in range(scores.shape[1])]))


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
