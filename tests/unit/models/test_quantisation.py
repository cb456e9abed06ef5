"""Straight-through estimators: exact integers forward, the gradient of real numbers backward."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from epaas_models.architecture import Weights
from epaas_models.quantisation import quantise, rounded, step, straight_through

WEIGHTS = st.sampled_from(["binary", "ternary"]) | st.integers(2, 63)
LATENTS = st.lists(st.sampled_from([0.0, -0.0, 0.5, -0.5, 1.0, -1.0]) | st.floats(-1, 1, width=32), min_size=1)


def plain(latent: float, weights: Weights) -> float:
    if weights == "binary":
        return 1.0 if latent >= 0 else -1.0
    scale = np.float32(weights if isinstance(weights, int) else 1)
    return float(np.rint(np.float32(latent) * scale))


@given(LATENTS, WEIGHTS)
def test_integers_are_those_of_the_plain_definition(latents: list[float], weights: Weights) -> None:
    integers = quantise(torch.tensor(latents), weights)
    assert integers.tolist() == [plain(latent, weights) for latent in latents]
    most = weights if isinstance(weights, int) else 1
    assert bool((integers.abs() <= most).all())


@given(LATENTS, WEIGHTS)
def test_forward_the_integers_are_exact(latents: list[float], weights: Weights) -> None:
    """A rounding error here would make torch and the exported integers differ."""
    latent = torch.tensor(latents)
    assert straight_through(latent, weights).tolist() == quantise(latent, weights).tolist()


@given(LATENTS, WEIGHTS)
def test_backward_the_weights_are_the_scaled_latent_ones(latents: list[float], weights: Weights) -> None:
    latent = torch.tensor(latents, requires_grad=True)
    upstream = torch.arange(1.0, len(latents) + 1)
    straight_through(latent, weights).backward(upstream)
    scale = weights if isinstance(weights, int) else 1
    assert latent.grad is not None
    assert latent.grad.tolist() == (upstream * scale).tolist()


@pytest.mark.parametrize(
    ("z", "bit", "slope"),
    [(0.0, 1, 1), (0.75, 1, 0.5), (-0.75, 0, 0.5), (1.5, 1, 0), (-1.5, 0, 0), (9.0, 1, 0), (-9.0, 0, 0), (-1e-9, 0, 1)],
)
def test_a_bit_steps_at_zero_and_its_gradient_vanishes_far_from_there(z: float, bit: int, slope: float) -> None:
    sums = torch.tensor([z], requires_grad=True)
    bits = step(sums)
    assert bits.tolist() == [bit]
    bits.backward(torch.tensor([3.0]))
    assert sums.grad is not None
    assert sums.grad.tolist() == pytest.approx([3 * slope])


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1))
def test_rounded_values_are_integers_with_the_gradient_of_the_values(values: list[float]) -> None:
    real = torch.tensor(values, requires_grad=True)
    whole = rounded(real)
    assert whole.tolist() == np.rint(np.array(values, dtype=np.float32)).tolist()
    whole.sum().backward()  # type: ignore[no-untyped-call]
    assert real.grad is not None
    assert real.grad.tolist() == [1.0] * len(values)


@given(LATENTS, st.floats(0, 0.875, width=32))
def test_a_ternary_weight_is_zero_up_to_its_threshold(latents: list[float], threshold: float) -> None:
    integers = quantise(torch.tensor(latents), "ternary", threshold)
    found = np.array(latents, dtype=np.float32)
    assert (integers.numpy() == np.sign(found) * (np.abs(found) > np.float32(threshold))).all()
