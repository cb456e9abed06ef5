"""Folding batch normalisation into integer thresholds, against torch on every input there is."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from epaas_models.folding import fold
from epaas_shared.layers import ConvolutionLayer, DenseLayer

WEIGHTS = st.sampled_from([-1.0, 0.0, 1.0])
SCALES = st.sampled_from([0.0, -0.0, 1e-8, -1e-8, 1e-30, -1e-30, 1.0, -1.0]) | st.floats(-4, 4, width=32)
SHIFTS = st.sampled_from([0.0, -0.0, 1e-8, -1e-8, 100.0, -100.0]) | st.floats(-4, 4, width=32)
MEANS = st.integers(-6, 6).map(lambda halves: halves / 2) | st.floats(-6, 6, width=32)
VARIANCES = st.sampled_from([0.0, 1e-12, 1.0, 0.25]) | st.floats(0, 10, width=32)


def batch_norm(scale: list[float], shift: list[float], mean: list[float], variance: list[float]) -> nn.BatchNorm1d:
    norm = nn.BatchNorm1d(len(scale))
    with torch.no_grad():
        norm.weight.copy_(torch.tensor(scale))
        norm.bias.copy_(torch.tensor(shift))
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(torch.tensor(mean))
    norm.running_var.copy_(torch.tensor(variance))
    return norm.eval()


@st.composite
def layers(draw: st.DrawFn, inputs: int) -> tuple[Tensor, nn.BatchNorm1d]:
    outputs = draw(st.integers(1, 4))

    def one_each(values: st.SearchStrategy[float]) -> list[float]:
        return draw(st.lists(values, min_size=outputs, max_size=outputs))

    rows = draw(st.lists(st.lists(WEIGHTS, min_size=inputs, max_size=inputs), min_size=outputs, max_size=outputs))
    return torch.tensor(rows), batch_norm(*(one_each(values) for values in (SCALES, SHIFTS, MEANS, VARIANCES)))


def folded_layer(weights: Tensor, norm: nn.BatchNorm1d) -> DenseLayer:
    return DenseLayer(*fold(weights, norm))


def every_input(count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.array(list(product((0, 1), repeat=count)), dtype=np.uint8)


def fires_in_torch(weights: Tensor, norm: nn.BatchNorm1d, bits: np.ndarray[Any, Any]) -> list[list[bool]]:
    with torch.no_grad():
        inputs = torch.tensor(bits, dtype=torch.float32)
        decided: list[list[bool]] = (norm(inputs @ weights.T) >= 0).tolist()
    return decided


@settings(max_examples=300)
@given(st.integers(1, 7).flatmap(layers))
def test_a_folded_layer_decides_as_torch_does_on_every_input(layer: tuple[Tensor, nn.BatchNorm1d]) -> None:
    weights, norm = layer
    bits = every_input(weights.shape[1])
    folded = folded_layer(weights, norm)
    assert (folded.sums(bits) >= 0).tolist() == fires_in_torch(weights, norm, bits)


@settings(max_examples=300)
@given(st.integers(1, 7).flatmap(layers))
def test_a_folded_threshold_is_no_further_out_than_it_must_be(layer: tuple[Tensor, nn.BatchNorm1d]) -> None:
    folded = folded_layer(*layer)
    low, high = folded.sum_bounds(None)
    assert (low <= 0).all()  # T is at least the least sum: a neuron that always fires needs no more
    assert (high >= -1).all()  # and at most one above the greatest


@given(st.integers(1, 7).flatmap(layers))
def test_folding_changes_signs_only_where_the_scale_is_negative(layer: tuple[Tensor, nn.BatchNorm1d]) -> None:
    weights, norm = layer
    folded = folded_layer(weights, norm)
    for row, original, scale in zip(folded.weights, weights.numpy(), norm.weight.tolist(), strict=True):
        assert row.tolist() == (-original if scale < 0 else original).astype(int).tolist()


@pytest.mark.parametrize("scale", [1.0, -1.0, 0.3, -0.3, 1e-20])
@pytest.mark.parametrize(("shift", "fires"), [(50.0, True), (-50.0, False)])
def test_a_constant_neuron_stays_constant(scale: float, shift: float, fires: bool) -> None:
    weights = torch.tensor([[1.0, -1.0, 0.0, 1.0]])
    folded = folded_layer(weights, batch_norm([scale], [shift], [0.5], [1.0]))
    assert set((folded.sums(every_input(4)) >= 0).ravel().tolist()) == {fires}
    low, high = folded.sum_bounds(None)
    assert (int(low[0]) == 0) if fires else (int(high[0]) == -1)


@pytest.mark.parametrize(("shift", "fires"), [(0.0, True), (1e-30, True), (-1e-30, False)])
def test_a_neuron_without_a_scale_is_decided_by_its_shift(shift: float, fires: bool) -> None:
    folded = folded_layer(torch.tensor([[1.0, -1.0]]), batch_norm([0.0], [shift], [3.0], [2.0]))
    assert set((folded.sums(every_input(2)) >= 0).ravel().tolist()) == {fires}


def test_a_neuron_without_weights_is_folded() -> None:
    weights = torch.zeros(2, 3)
    norm = batch_norm([1.0, 1.0], [0.5, -0.5], [0.0, 0.0], [1.0, 1.0])
    folded = folded_layer(weights, norm)
    assert (folded.sums(every_input(3)) >= 0).tolist() == [[True, False]] * 8


@pytest.mark.parametrize("scale", [1.0, -1.0])
@pytest.mark.parametrize("mean", [-2.0, -0.5, 0.0, 0.5, 1.0, 2.0])
def test_the_threshold_is_the_first_sum_that_fires(scale: float, mean: float) -> None:
    """Without a shift, [scale * (sum - mean) >= 0]: from the mean up, or, with a negative scale, from it down."""
    weights = torch.tensor([[1.0, 1.0, -1.0, -1.0]])
    folded = folded_layer(weights, batch_norm([scale], [0.0], [mean], [1.0]))
    sums = every_input(4).astype(int) @ np.array([1, 1, -1, -1])
    assert (folded.sums(every_input(4))[:, 0] >= 0).tolist() == (scale * (sums - mean) >= 0).tolist()


def test_a_folded_convolution_decides_as_torch_does() -> None:
    """Ties at zero and negative scales among them: means and shifts are multiples of a half."""
    generator = torch.Generator().manual_seed(5)
    convolution = nn.Conv2d(2, 6, (3, 2), stride=(2, 1), padding=(1, 0), bias=False)
    norm = nn.BatchNorm2d(6).eval()
    with torch.no_grad():
        convolution.weight.copy_(torch.randint(-1, 2, convolution.weight.shape, generator=generator))
        norm.weight.copy_(torch.tensor([1.0, -1.0, 0.5, -0.5, 0.0, 2.0]))
        norm.bias.copy_(torch.tensor([0.0, 0.0, 0.5, -0.5, 0.0, -100.0]))
        assert norm.running_mean is not None
        norm.running_mean.copy_(torch.tensor([0.0, 1.0, -1.0, 0.5, 3.0, 0.0]))
    layer = ConvolutionLayer(*fold(convolution.weight, norm), height=5, width=4, stride=(2, 1), padding=(1, 0))
    bits = np.random.default_rng(5).integers(0, 2, (200, layer.inputs), dtype=np.uint8)
    with torch.no_grad():
        images = torch.tensor(bits, dtype=torch.float32).reshape(-1, 2, 5, 4)
        fires = (norm(convolution(images)) >= 0).reshape(len(bits), -1).numpy()
    np.testing.assert_array_equal(layer.sums(bits) >= 0, fires)
    assert 0 < fires.mean() < 1
