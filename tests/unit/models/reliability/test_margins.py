"""Margins by hand, and percentiles against another library's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from epaas_models.reliability.generalisation.margins import distribution, distribution_if_any, margins


def test_margins_by_hand() -> None:
    logits = np.array([[3.0, 1.0, 2.5], [0.0, 4.0, -1.0], [-2.0, -2.5, -7.0]])
    np.testing.assert_allclose(margins(logits, np.array([0, 2, 1])), [0.5, -5.0, -0.5])
    np.testing.assert_array_equal(logits[0], [3.0, 1.0, 2.5])  # left as it was


@given(st.integers(2, 6), st.integers(0, 1000))
def test_a_margin_is_positive_where_the_prediction_is_right(classes: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    logits, labels = random.normal(size=(20, classes)), random.integers(0, classes, 20)
    np.testing.assert_array_equal(margins(logits, labels) > 0, logits.argmax(axis=1) == labels)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_percentiles_are_those_of_torch(values: list[float]) -> None:
    found = distribution(np.array(values))
    expected = torch.quantile(
        torch.tensor(values, dtype=torch.float64),
        torch.tensor([0.05, 0.25, 0.5, 0.75, 0.9, 0.95], dtype=torch.float64),
    )
    given_percentiles = [found.p5, found.p25, found.median, found.p75, found.p90, found.p95]
    np.testing.assert_allclose(given_percentiles, expected.numpy(), rtol=1e-9, atol=1e-9)
    assert found.rows == len(values)


def test_of_nothing_there_is_no_distribution() -> None:
    assert distribution_if_any(np.empty(0)) is None
    one = distribution_if_any(np.array([2.0]))
    assert one is not None
    assert (one.rows, one.p5, one.p95) == (1, pytest.approx(2.0), pytest.approx(2.0))
