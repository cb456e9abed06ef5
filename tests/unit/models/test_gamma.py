"""Theorem 7 against a root finder that knows nothing of Lambert's function."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from epaas_models.losses.gamma import favoured_probability, gradient_ratio, neutral_gamma

few = settings(max_examples=50)


def ratio(p: float, gamma: float) -> float:
    """g(p, gamma) - 1 by its definition: slopes of the two losses in p."""
    step = 1e-6 * p
    focal = [(1 - q) ** gamma * np.log(q) for q in (p - step, p + step)]
    entropy = [np.log(q) for q in (p - step, p + step)]
    return float((focal[1] - focal[0]) / (entropy[1] - entropy[0]))


@few
@given(st.floats(0.01, 0.97), st.floats(0, 10))
def test_the_ratio_is_that_of_the_losses_slopes(p: float, gamma: float) -> None:
    assert float(gradient_ratio(p, gamma)) == pytest.approx(ratio(p, gamma), rel=1e-5, abs=1e-7)


@few
@given(st.floats(0.001, 0.495))
def test_the_neutral_gamma_is_the_root_of_its_equation(p: float) -> None:
    def excess(gamma: float) -> float:
        return (gamma - 1) * np.log1p(-p) + np.log(1 - p - gamma * p * np.log(p))

    peak = (1 - p) / (p * np.log(p)) - 1 / np.log1p(-p)  # where the excess turns; its other root is 0
    root = brentq(excess, peak, 50 / p, xtol=1e-12)
    assert float(neutral_gamma(p)) == pytest.approx(root, rel=1e-6, abs=1e-6)


@few
@given(st.floats(0.01, 0.49), st.floats(0.001, 0.999))
def test_at_the_neutral_gamma_gradients_are_greater_below_and_less_above(p0: float, p: float) -> None:
    gamma = neutral_gamma(p0)
    assert float(gradient_ratio(p0, gamma)) == pytest.approx(1)
    if abs(p - p0) > 1e-3:
        assert (gradient_ratio(p, gamma) >= 1) == (p <= p0)


@few
@given(st.floats(0.01, 0.99), st.floats(0, 1), st.floats(0, 10))
def test_from_the_neutral_gamma_on_gradients_are_less_above(p0: float, along: float, more: float) -> None:
    """The theorem's first sentence, with probabilities from 1/2 on, where gamma* is 0."""
    p = p0 + along * (0.999 - p0) if p0 < 0.999 else p0
    assert gradient_ratio(p, neutral_gamma(p0) + more) <= 1 + 1e-9


@few
@given(st.floats(0.5, 0.999))
def test_from_one_half_on_no_gamma_but_0_is_neutral(p: float) -> None:
    assert neutral_gamma(p) == 0
    assert (gradient_ratio(p, np.linspace(0.01, 20, 50)) < 1).all()


def test_the_values_that_the_thesis_gives() -> None:
    """g(0.2, 5) and g(0.25, 3) are about 1, and with gamma 1 the threshold is about 0.4, which is 1/e."""
    assert neutral_gamma([0.2, 0.25]).round() == pytest.approx([5, 3])
    assert brentq(lambda p: float(gradient_ratio(p, 1)) - 1, 0.1, 0.9) == pytest.approx(np.exp(-1))
    assert neutral_gamma(np.exp(-1)) == pytest.approx(1)


@few
@given(st.floats(0.51, 0.99), st.sampled_from([1, 2, 3]))
def test_focal_loss_favours_more_entropy_than_the_target_has(target: float, gamma: int) -> None:
    """Figure 7.3, at the root of the loss's slope; with gamma 0, cross-entropy, it favours the target."""
    favoured = favoured_probability(target, gamma)
    assert 0.5 < favoured < target
    slope = target / favoured * gradient_ratio(favoured, gamma)
    assert slope == pytest.approx((1 - target) / (1 - favoured) * gradient_ratio(1 - favoured, gamma), rel=1e-3)
    assert favoured_probability(target, 0) == pytest.approx(target, abs=1e-5)
    assert favoured_probability(1 - target, gamma) == pytest.approx(1 - favoured, abs=1e-5)


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1, float("nan")])
def test_what_is_no_probability_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        neutral_gamma(p)
