"""Baselines: what they reach is what scikit-learn reaches, on the rows that they say."""

from __future__ import annotations

import numpy as np
import pytest
from classifiers_making import category, schema, table
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from epaas_models.reliability.accuracy import baselines
from epaas_models.reliability.accuracy.baselines import logistic_baseline, majority_baseline
from epaas_models.reliability.intervals import wilson_interval
from epaas_shared.features import ImageFeature


def test_the_majority_is_that_of_the_training_rows_and_judged_on_the_test_rows() -> None:
    made = majority_baseline(np.array([0, 0, 0, 1]), np.array([1, 1, 1, 0]), ("malignant", "benign"))
    assert made.name == "the most frequent class of the training rows, malignant"
    assert made.accuracy.model_dump() == {"value": 0.25, "interval": wilson_interval(1, 4), "rows": 4}
    assert (made.balanced_accuracy, made.auroc) == (0.5, 0.5)
    three = majority_baseline(np.array([2, 2, 1]), np.array([0, 1, 2, 2]), ("a", "b", "c"))
    assert (three.accuracy.value, three.auroc) == (0.5, 0.5)
    assert three.balanced_accuracy == pytest.approx(1 / 3)


def test_a_table_of_numbers_is_learnt_from_the_numbers() -> None:
    """The bits say nothing here: all numbers are on one side of their thresholds."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 300)
    columns = {"f0": 0.7 + 0.1 * labels + random.normal(0, 0.05, 300), "f1": random.uniform(0.6, 1, 300)}
    training = {name: column[:200] for name, column in columns.items()}
    test = {name: column[200:] for name, column in columns.items()}
    made = logistic_baseline(schema(2, 2), training, labels[:200], test, labels[200:], seed=0)
    scaler = StandardScaler().fit(np.column_stack(list(training.values())))
    model = LogisticRegression().fit(scaler.transform(np.column_stack(list(training.values()))), labels[:200])
    numbers = scaler.transform(np.column_stack(list(test.values())))
    assert made.name == "logistic regression on the raw numbers"
    assert made.accuracy.value == pytest.approx(model.score(numbers, labels[200:]))
    assert made.accuracy.value > 0.7
    assert made.auroc == pytest.approx(roc_auc_score(labels[200:], model.decision_function(numbers)))


def categories(rows: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, rows)
    told = np.where(random.random(rows) < 0.8, labels, random.integers(0, 3, rows))
    return {"told": np.array(list("abc"), dtype=object)[told], "noise": np.full(rows, "x", dtype=object)}, labels


def test_categories_are_learnt_from_their_bits() -> None:
    toy = table((category("told", "a", "b", "c"), category("noise", "x", "y")), 3)
    (training, labels), (test, truth) = categories(300, 0), categories(200, 1)
    made = logistic_baseline(toy, training, labels, test, truth, seed=0)
    told = np.array([list("abc").index(text) for text in test["told"]])
    assert made.name == "logistic regression on the encoded bits of 300 training rows"
    assert made.accuracy.value == pytest.approx(np.mean(told == truth))
    assert made.auroc is not None
    assert made.auroc > 0.8


def test_pictures_are_learnt_from_as_many_rows_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 500 pictures with two white pixels each, 3 parts of 50 rows have at least 250 bits set."""
    monkeypatch.setattr(baselines, "MOST_ONES", 250)
    monkeypatch.setattr(baselines, "_ROWS_AT_ONCE", 50)
    feature = ImageFeature(name="image", height=2, width=4, thresholds=(100.0,), framing="whole")
    labels = np.random.default_rng(0).integers(0, 2, 500)
    images = np.zeros((500, 2, 4))
    images[np.arange(500), :, 2 * labels] = 255
    made = logistic_baseline(table((feature,), 2), {"image": images}, labels, {"image": images}, labels, seed=0)
    assert made.name == "logistic regression on the encoded bits of 150 training rows"
    assert made.accuracy.model_dump() == {"value": 1, "interval": wilson_interval(500, 500), "rows": 500}


def test_without_a_class_in_the_training_rows_there_is_no_area() -> None:
    toy = table((category("told", "a", "b", "c"), category("noise", "x", "y")), 3)
    columns, labels = categories(300, 0)
    some = {name: column[labels < 2] for name, column in columns.items()}
    made = logistic_baseline(toy, some, labels[labels < 2], columns, labels, seed=0)
    assert made.auroc is None
    assert made.accuracy.value < 0.8
