"""Temperatures against scikit-learn, and against trying every one of the grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from probabilities_making import drawn, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from epaas_models.confidence import fit_temperature, negative_log_likelihood
from epaas_models.reliability.calibration.measures import expected_calibration_error
from epaas_models.reliability.calibration.temperature import GRID, temperature_by_ece


class Given(ClassifierMixin, BaseEstimator):
    """Says that the logits are what it is given."""

    def fit(self, logits: NDArray[np.float64], labels: NDArray[np.int64]) -> Given:
        self.classes_ = np.unique(labels)
        self.n_features_in_ = logits.shape[1]
        return self

    def decision_function(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        return logits

    def predict(self, logits: NDArray[np.float64]) -> NDArray[np.int64]:
        return self.classes_[logits.argmax(axis=1)]


@pytest.mark.parametrize("heat", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("classes", [3, 5])
def test_the_temperature_by_likelihood_is_that_of_scikit_learn(classes: int, heat: float) -> None:
    logits, labels = drawn(1500, classes, seed=classes)
    logits = logits * heat
    model = CalibratedClassifierCV(FrozenEstimator(Given().fit(logits, labels)), method="temperature")
    theirs = model.fit(logits, labels).predict_proba(logits)
    ours = fit_temperature(logits, labels)
    assert ours == pytest.approx(heat, rel=0.15)
    assert softmax(logits / ours) == pytest.approx(theirs, abs=1e-3)
    spread = np.log(theirs[:, 0] / theirs[:, 1])
    apart = np.abs(spread) > 0.1
    assert np.median((logits[:, 0] - logits[:, 1])[apart] / spread[apart]) == pytest.approx(ours, rel=1e-3)
    assert negative_log_likelihood(logits / ours, labels) <= -np.log(theirs[np.arange(1500), labels]).mean() + 1e-9


def test_the_grid_is_the_tenths_without_drift() -> None:
    assert GRID.tolist() == [float(f"{tenth // 10}.{tenth % 10}") for tenth in range(1, 101)]


@settings(max_examples=10, deadline=None)
@given(st.integers(2, 4), st.sampled_from([0.2, 1.0, 2.5, 20.0]), st.integers(0, 100))
def test_the_temperature_by_error_is_the_first_best_of_the_grid(classes: int, heat: float, seed: int) -> None:
    logits, labels = drawn(120, classes, seed)
    errors = [expected_calibration_error(softmax(logits * heat / t), labels, 5) for t in GRID]
    chosen = temperature_by_ece(logits * heat, labels, 5)
    assert errors[round(chosen * 10) - 1] == pytest.approx(min(errors), abs=1e-9)


def test_of_equally_good_temperatures_the_first_is_taken() -> None:
    """Logits that are all the same give the same probabilities at any temperature."""
    assert temperature_by_ece(np.zeros((10, 2)), np.arange(10) % 2) == 0.1


def test_both_find_the_temperature_that_labels_were_drawn_with() -> None:
    logits, labels = drawn(20_000, 3, 0)
    assert temperature_by_ece(logits * 2.5, labels) == pytest.approx(2.5, abs=0.15)
    assert fit_temperature(logits * 2.5, labels) == pytest.approx(2.5, rel=0.03)
