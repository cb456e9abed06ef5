"""A regression rounded to small integers: every feature's function stays within half a unit of the real one."""

from __future__ import annotations

from typing import Any, Self
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from training_making import share_right

from epaas_models import rounding
from epaas_models.objective import Examples
from epaas_models.rounding import RoundedRegression, train_rounded
from epaas_shared.features import NumberFeature
from epaas_shared.schema import InputSchema


def thermometers(*sizes: int) -> InputSchema:
    """Features of 0 to 1 with so many thresholds each."""
    features = tuple(
        NumberFeature(
            name=f"f{i}",
            kind="thresholds",
            edges=tuple(float(edge) for edge in np.linspace(0, 1, size + 2)[1:-1]),
            minimum=0.0,
            maximum=1.0,
        )
        for i, size in enumerate(sizes)
    )
    return InputSchema(task="toy", version=1, title="Toy", target="answer", classes=("no", "yes"), features=features)


def task(schema: InputSchema, rows: int, seed: int) -> Examples:
    """Labels of the sum of the features' values, beyond its middle or not."""
    random = np.random.default_rng(seed)
    values = random.random((rows, len(schema.features)))
    bits = schema.encode_columns({feature.name: values[:, i] for i, feature in enumerate(schema.features)})
    return Examples(bits, (values.sum(axis=1) > len(schema.features) / 2).astype(np.int64))


class Given(LogisticRegression):
    """A regression whose coefficients are as they are drawn, where it is fitted to all bits."""

    coefficients: Any = None

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        super().fit(X, y, sample_weight)
        if X.shape[1] > 1:
            self.coef_ = np.array([type(self).coefficients])
        return self


SCHEMA = thermometers(1, 5, 12)


def rounded_weights(real: list[float], largest: int, unit_quantile: float) -> np.ndarray[Any, np.dtype[np.int64]]:
    examples = task(SCHEMA, 40, 0)
    with patch.object(rounding, "LogisticRegression", type("Drawn", (Given,), {"coefficients": real})):
        network, _ = train_rounded(
            examples.bits,
            examples.labels,
            SCHEMA,
            RoundedRegression(largest_weight=largest, unit_quantile=unit_quantile),
        )
    return network.layers[0].weights[0]


REAL = st.lists(st.floats(-5, 5).filter(lambda weight: abs(weight) > 1e-3), min_size=18, max_size=18)


@settings(max_examples=30)
@given(REAL, st.floats(0.1, 1))
def test_the_function_of_each_feature_is_within_half_a_unit(real: list[float], unit_quantile: float) -> None:
    unit = np.quantile(np.abs(real), unit_quantile)
    weights = rounded_weights(real, 10**6, unit_quantile)
    assume(weights.any())
    start = 0
    for feature in SCHEMA.features:
        part = slice(start, start + feature.bits)
        away = np.cumsum(weights[part]) - np.cumsum(real[part]) / unit
        assert np.abs(away).max() <= 0.5 + 1e-6
        start += feature.bits


@settings(max_examples=30)
@given(REAL, st.integers(1, 4))
def test_weights_are_cut_at_the_largest(real: list[float], largest: int) -> None:
    weights, free = rounded_weights(real, largest, 0.3), rounded_weights(real, 10**6, 0.3)
    assert weights.tolist() == np.clip(free, -largest, largest).tolist()


@pytest.mark.parametrize("largest", [1, 3])
def test_a_neuron_is_learnt_that_separates(largest: int) -> None:
    schema = thermometers(9, 9, 9)
    learn, held_out = task(schema, 400, 1), task(schema, 1000, 2)
    network, _ = train_rounded(learn.bits, learn.labels, schema, RoundedRegression(largest_weight=largest))
    (layer,) = network.layers
    assert layer.outputs == 1
    assert np.abs(layer.weights).max() <= largest
    assert share_right(network, held_out) >= 0.93


def test_the_threshold_is_the_best_one_for_its_weights() -> None:
    schema = thermometers(9, 9, 9)
    examples = task(schema, 400, 3)
    network, _ = train_rounded(examples.bits, examples.labels, schema, RoundedRegression())
    (layer,) = network.layers
    sums, truth = layer.sums(examples.bits)[:, 0], examples.labels == 1
    right = {moved: float(((sums >= moved) == truth).mean()) for moved in range(-8, 9)}
    assert right[0] >= max(right.values()) - 0.02
    assert right[0] > max(right[-5], right[5]) + 0.03


def test_labels_the_other_way_round_give_the_opposite_answers() -> None:
    schema = thermometers(9, 9)
    examples = task(schema, 300, 4)
    network, _ = train_rounded(examples.bits, 1 - examples.labels, schema, RoundedRegression())
    assert share_right(network, examples) < 0.1


def test_the_unit_makes_calibrated_logits_of_the_sums() -> None:
    """As the regression of the labels on the sums alone has them."""
    schema = thermometers(9, 9, 9)
    examples = task(schema, 400, 3)
    network, unit = train_rounded(examples.bits, examples.labels, schema, RoundedRegression())
    sums = network.layers[0].sums(examples.bits)
    line = LogisticRegression(C=np.inf).fit(sums, examples.labels)
    assert unit == pytest.approx(1 / line.coef_[0, 0], rel=0.02)
