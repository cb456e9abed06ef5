"""What a model must beat: predictors that anyone could make of the same training rows, on the same test rows."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from epaas_models.reliability.accuracy.classification import auroc, balanced_accuracy
from epaas_models.reliability.calibration.measures import Labels
from epaas_models.reliability.intervals import rate
from epaas_models.reliability.subject import Columns
from epaas_shared.features import NumberFeature
from epaas_shared.report.accuracy import Baseline
from epaas_shared.schema import InputSchema

MOST_ONES = 5_000_000
"""Set bits that a logistic regression learns from: all of Diabetes, 16,384 digits of MNIST; more takes minutes."""
_ITERATIONS = 100
_ROWS_AT_ONCE = 4096


def majority_baseline(training_labels: Labels, test_labels: Labels, classes: tuple[str, ...]) -> Baseline:
    """Whatever the record, the class that most training rows have; labels are (rows,)."""
    majority = int(np.bincount(training_labels).argmax())
    predicted = np.full_like(test_labels, majority)
    return _judged(
        f"the most frequent class of the training rows, {classes[majority]}",
        test_labels,
        predicted,
        np.zeros((len(test_labels), 1 if len(classes) == 2 else len(classes))),
    )


def logistic_baseline(
    schema: InputSchema,
    training_columns: Columns,
    training_labels: Labels,
    test_columns: Columns,
    test_labels: Labels,
    *,
    seed: int,
) -> Baseline:
    """Logistic regression (L2, C = 1, L-BFGS of at most 100 iterations), from checked values and labels (rows,).

    Of the raw numbers, standardised, where a record has nothing but numbers; else of the encoded bits of training rows,
    all or as many random ones as have :data:`MOST_ONES`: its name says how many. They must be of two classes or more.
    """
    if all(isinstance(feature, NumberFeature) for feature in schema.features):
        model, name = make_pipeline(StandardScaler(), LogisticRegression(max_iter=_ITERATIONS)), "the raw numbers"
        training, test, learnt = _numbers(schema, training_columns), _numbers(schema, test_columns), training_labels
    else:
        order = np.random.default_rng(seed).permutation(len(training_labels))
        model, training = LogisticRegression(max_iter=_ITERATIONS), _encoded(schema, training_columns, order, MOST_ONES)
        test, learnt = _encoded(schema, test_columns, np.arange(len(test_labels))), training_labels[order]
        learnt = learnt[: training.shape[0]]
        name = f"the encoded bits of {len(learnt):,} training rows"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the iterations are a budget
        model.fit(training, learnt)
    decisions = model.decision_function(test)
    scores = decisions[:, None] if decisions.ndim == 1 else decisions
    every = len(model.classes_) == len(schema.classes)
    return _judged(f"logistic regression on {name}", test_labels, model.predict(test), scores if every else None)


def _judged(name: str, labels: Labels, predicted: Labels, scores: NDArray[Any] | None) -> Baseline:
    return Baseline(
        name=name,
        accuracy=rate(int((predicted == labels).sum()), len(labels)),
        balanced_accuracy=balanced_accuracy(labels, predicted),
        auroc=None if scores is None else auroc(scores, labels),
    )


def _numbers(schema: InputSchema, columns: Columns) -> NDArray[np.float64]:
    """Raw values, (rows, features)."""
    return np.column_stack([np.asarray(columns[feature.name], dtype=np.float64) for feature in schema.features])


def _encoded(schema: InputSchema, columns: Columns, order: NDArray[np.int64], most: float = math.inf) -> csr_matrix:
    """Bits of the rows in this order, (rows, bits), up to those with which ``most`` bits are set, in parts of rows."""
    parts: list[csr_matrix] = []
    for start in range(0, len(order), _ROWS_AT_ONCE):
        if sum(part.nnz for part in parts) >= most:
            break
        rows = order[start : start + _ROWS_AT_ONCE]
        part = schema.encode_columns({feature.name: columns[feature.name][rows] for feature in schema.features})
        parts.append(csr_matrix(part, dtype=np.float64))
    return vstack(parts, format="csr")
