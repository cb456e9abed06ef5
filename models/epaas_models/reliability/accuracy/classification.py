"""Measures of classification, and what resampling rows makes of them. Knows no intervals and no chapter."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.metrics import confusion_matrix, roc_auc_score

from epaas_models.reliability.calibration.measures import Labels, Reals
from epaas_shared.features import Bits
from epaas_shared.network import Network


def accuracy(network: Network, bits: Bits, labels: Labels) -> float:
    """Share of rows whose label is right; ``bits`` of shape (rows, inputs)."""
    return float(np.mean(np.array(network.predict(bits)) == labels))


def confusion(labels: Labels, predicted: Labels, classes: int) -> NDArray[np.int64]:
    """Rows by truth and prediction, (classes, classes)."""
    counts: NDArray[np.int64] = confusion_matrix(labels, predicted, labels=range(classes))
    return counts


def balanced_accuracy(labels: Labels, predicted: Labels) -> float:
    """Mean recall of the classes that have rows, at least one."""
    return float(np.mean([np.mean(predicted[labels == label] == label) for label in np.unique(labels)]))


def resampled_balanced_accuracy(labels: Labels, predicted: Labels, counts: Reals) -> Reals:
    """Balanced accuracy of resamples, from how often each row was drawn: (rows, resamples) to (resamples,)."""
    members = (labels == np.unique(labels)[:, None]).astype(np.float64)
    rows, hits = members @ counts, (members * (predicted == labels)) @ counts
    recalls = np.divide(hits, rows, out=np.zeros_like(hits), where=rows > 0)
    balanced: Reals = recalls.sum(axis=0) / (rows > 0).sum(axis=0)
    return balanced


def auroc(scores: NDArray[Any], labels: Labels) -> float | None:
    """Area under the ROC curve of scores (rows, 1 or classes), one class against the rest, averaged over classes.

    A single column is the score of the second of two classes. None where a class has no row.
    """
    if len(np.unique(labels)) < max(2, scores.shape[1]):
        return None
    return float(np.mean([roc_auc_score(yes, column) for column, yes in _one_against_the_rest(scores, labels)]))


def resampled_auroc(scores: NDArray[Any], labels: Labels, counts: Reals) -> Reals:
    """As :func:`auroc` of resamples, (rows, resamples) to (resamples,); NaN where a class was never drawn."""
    areas = [_area(column, yes, counts) for column, yes in _one_against_the_rest(scores, labels)]
    means: Reals = np.mean(areas, axis=0)
    return means


def _one_against_the_rest(scores: NDArray[Any], labels: Labels) -> list[tuple[NDArray[Any], NDArray[np.bool_]]]:
    """The score of a class and which rows are of it, class by class."""
    first = 1 if scores.shape[1] == 1 else 0
    return [(column, labels == first + place) for place, column in enumerate(scores.T)]


def _area(score: NDArray[Any], yes: NDArray[np.bool_], counts: Reals) -> Reals:
    """Share of pairs of a row of the class and another in which the first has the greater score; ties count half."""
    found, place = np.unique(score, return_inverse=True)
    by_score = csr_matrix((np.ones(len(score)), (place, np.arange(len(score)))), shape=(len(found), len(score)))
    positive, negative = by_score[:, yes] @ counts[yes], by_score[:, ~yes] @ counts[~yes]
    below = np.cumsum(negative, axis=0) - negative / 2
    pairs = positive.sum(axis=0) * negative.sum(axis=0)
    in_order = (positive * below).sum(axis=0)
    area: Reals = np.divide(in_order, pairs, out=np.full_like(pairs, np.nan), where=pairs > 0)
    return area
