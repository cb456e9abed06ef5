"""Layers against their definition in pure Python: sums, rows, bounds and norms, dense and convolutional."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from epaas_shared.errors import InvalidBundle
from epaas_shared.features import Encoding
from epaas_shared.layers import ConvolutionLayer, DenseLayer, Layer

SMALL = st.integers(-9, 9)


def integers(draw: st.DrawFn, shape: tuple[int, ...], numbers: st.SearchStrategy[int] = SMALL) -> NDArray[np.int64]:
    size = int(np.prod(shape))
    return np.array(draw(st.lists(numbers, min_size=size, max_size=size)), dtype=np.int64).reshape(shape)


@st.composite
def dense_layers(draw: st.DrawFn, inputs: int | None = None, numbers: st.SearchStrategy[int] = SMALL) -> DenseLayer:
    shape = (draw(st.integers(1, 4)), inputs or draw(st.integers(1, 7)))
    return DenseLayer(integers(draw, shape, numbers), integers(draw, shape[:1], numbers))


@st.composite
def convolutions(draw: st.DrawFn, *, small: bool = False) -> ConvolutionLayer:
    """With ``small``, at most 12 inputs."""
    height, width = draw(st.tuples(st.integers(1, 3 if small else 6), st.integers(1, 2 if small else 6)))
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    kernel = draw(st.tuples(st.integers(1, height + 2 * padding[0]), st.integers(1, width + 2 * padding[1])))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    filters, channels = draw(st.tuples(st.integers(1, 3), st.integers(1, 2 if small else 3)))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    weights = random.integers(-3, 4, (filters, channels, *kernel))
    return ConvolutionLayer(weights, random.integers(-5, 6, filters), height, width, stride, padding)


LAYERS = dense_layers() | convolutions()
SMALL_LAYERS = dense_layers() | convolutions(small=True)


def slow_rows(layer: Layer) -> list[list[int]]:
    """The whole matrix of a layer, written down neuron after neuron."""
    if isinstance(layer, DenseLayer):
        return layer.weights.tolist()
    assert isinstance(layer, ConvolutionLayer)
    filters, channels, kernel_height, kernel_width = layer.weights.shape
    output_height = (layer.height + 2 * layer.padding[0] - kernel_height) // layer.stride[0] + 1
    output_width = (layer.width + 2 * layer.padding[1] - kernel_width) // layer.stride[1] + 1
    rows = []
    for filter_, y, x in product(range(filters), range(output_height), range(output_width)):
        row = [0] * (channels * layer.height * layer.width)
        for channel, down, right in product(range(channels), range(kernel_height), range(kernel_width)):
            at_y = y * layer.stride[0] + down - layer.padding[0]
            at_x = x * layer.stride[1] + right - layer.padding[1]
            if 0 <= at_y < layer.height and 0 <= at_x < layer.width:
                place = channel * layer.height * layer.width + at_y * layer.width + at_x
                row[place] = int(layer.weights[filter_, channel, down, right])
        rows.append(row)
    return rows


def slow_thresholds(layer: Layer) -> list[int]:
    repeated = layer.outputs // len(layer.thresholds)
    return [int(threshold) for threshold in layer.thresholds for _ in range(repeated)]


def slow_sums(layer: Layer, bits: list[int]) -> list[int]:
    return [
        sum(weight * bit for weight, bit in zip(row, bits, strict=True)) - threshold
        for row, threshold in zip(slow_rows(layer), slow_thresholds(layer), strict=True)
    ]


def all_bits(count: int) -> NDArray[np.uint8]:
    return np.array(list(product((0, 1), repeat=count)), dtype=np.uint8)


def records(layer: Layer, count: int, seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 2, (count, layer.inputs)).astype(np.uint8)


@given(LAYERS, st.integers(0, 3), st.integers(0, 2**32))
def test_sums_are_those_of_the_definition(layer: Layer, count: int, seed: int) -> None:
    bits = records(layer, count, seed)
    sums = layer.sums(bits)
    assert (sums.shape, sums.dtype) == ((count, layer.outputs), np.int64)
    assert sums.tolist() == [slow_sums(layer, row) for row in bits.tolist()]


@given(dense_layers(numbers=st.integers(-(2**31), 2**31)))
def test_sums_are_those_of_exact_arithmetic(dense: DenseLayer) -> None:
    every = all_bits(dense.inputs)
    assert dense.sums(every).tolist() == [slow_sums(dense, row) for row in every.tolist()]


def test_many_records_of_a_convolution_are_evaluated_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    layer = ConvolutionLayer(random.integers(-1, 2, (2, 2, 3, 3)), np.array([1, -1]), 5, 4, (2, 1), (1, 1))
    bits = records(layer, 7, seed=1)
    whole = layer.sums(bits)
    for entries in (1, layer.outputs * layer.fan_in, 3 * layer.outputs * layer.fan_in):
        monkeypatch.setattr("epaas_shared.layers._WINDOW_ENTRIES", entries)
        assert (layer.sums(bits) == whole).all()


@given(LAYERS, st.data(), st.integers(0, 2**32))
def test_rows_of_any_block_reproduce_its_sums(layer: Layer, data: st.DataObject, seed: int) -> None:
    start = data.draw(st.integers(0, layer.outputs - 1))
    stop = data.draw(st.integers(start + 1, layer.outputs))
    rows = layer.rows(start, stop)
    assert rows.weights.shape == (stop - start, len(rows.inputs))
    assert (np.diff(rows.inputs) > 0).all()
    bits = records(layer, 3, seed)
    sums = bits[:, rows.inputs].astype(np.int64) @ rows.weights.T - rows.thresholds
    assert (sums == layer.sums(bits)[:, start:stop]).all()


def test_rows_of_a_convolution_name_only_the_receptive_fields() -> None:
    layer = ConvolutionLayer(np.ones((2, 1, 2, 2), dtype=np.int64), np.array([1, 2]), height=3, width=3)
    assert layer.rows(3, 4).inputs.tolist() == [4, 5, 7, 8]
    assert layer.rows(3, 5).inputs.tolist() == [0, 1, 3, 4, 5, 7, 8]
    assert layer.rows(3, 5).thresholds.tolist() == [1, 2]
    padded = ConvolutionLayer(layer.weights, layer.thresholds, height=3, width=3, padding=(1, 1))
    assert padded.rows(0, 1).inputs.tolist() == [0]


@given(SMALL_LAYERS)
def test_bounds_of_free_bits_are_reached_and_not_passed(layer: Layer) -> None:
    sums = layer.sums(all_bits(layer.inputs))
    low, high = layer.sum_bounds(None)
    assert low.tolist() == sums.min(axis=0).tolist()
    assert high.tolist() == sums.max(axis=0).tolist()


@st.composite
def layers_with_encodings(draw: st.DrawFn) -> tuple[Layer, list[Encoding]]:
    layer = draw(SMALL_LAYERS)
    only_free, encodings, start = draw(st.booleans()), [], 0
    while start < layer.inputs:
        size = 1 if only_free else draw(st.integers(1, min(4, layer.inputs - start)))
        one_hot = not only_free and draw(st.booleans())
        patterns = np.eye(size, dtype=np.uint8) if one_hot else np.tri(size + 1, size, -1, dtype=np.uint8)
        encodings.append(Encoding(slice(start, start + size), patterns))
        start += size
    return layer, encodings


@settings(deadline=None)
@given(layers_with_encodings())
def test_bounds_of_encodings_are_reached_and_not_passed(drawn: tuple[Layer, list[Encoding]]) -> None:
    layer, encodings = drawn
    every = product(*(encoding.patterns for encoding in encodings))
    sums = layer.sums(np.array([np.concatenate(parts) for parts in every], dtype=np.uint8))
    low, high = layer.sum_bounds(encodings)
    assert low.tolist() == sums.min(axis=0).tolist()
    assert high.tolist() == sums.max(axis=0).tolist()


def test_bounds_of_a_convolution_are_the_same_in_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    layer = ConvolutionLayer(random.integers(-1, 2, (3, 1, 3, 3)), np.array([1, 0, -1]), 4, 6, padding=(1, 0))
    encodings = [Encoding(slice(at, at + 3), np.eye(3, dtype=np.uint8)) for at in range(0, 24, 3)]
    whole = layer.sum_bounds(encodings)
    monkeypatch.setattr("epaas_shared.layers._BLOCK", 5)
    assert all((one == other).all() for one, other in zip(layer.sum_bounds(encodings), whole, strict=True))


@given(LAYERS)
def test_norms_and_sizes_are_those_of_the_rows(layer: Layer) -> None:
    rows = np.array(slow_rows(layer))
    assert layer.squared_norms().tolist() == (rows**2).sum(axis=1).tolist()
    assert (layer.outputs, layer.inputs) == rows.shape
    assert layer.largest_weight == abs(layer.weights).max()
    assert layer.fan_in == layer.weights[0].size


@pytest.mark.parametrize(
    ("weights", "thresholds"),
    [(np.zeros((2, 3)), np.zeros(3)), (np.zeros(3), np.zeros(3)), (np.zeros((0, 3)), np.zeros(0)),
     (np.zeros((3, 0)), np.zeros(3)), (np.zeros((2, 3)), np.zeros((2, 1))), (np.full((1, 2), 2**52), np.zeros(1))],
)  # fmt: skip
def test_a_layer_of_impossible_weights_is_none(weights: NDArray[np.int64], thresholds: NDArray[np.int64]) -> None:
    with pytest.raises(InvalidBundle) as caught:
        DenseLayer(weights, thresholds)
    assert caught.value.field == "weights"


@pytest.mark.parametrize(
    ("shape", "thresholds", "height", "width"),
    [((2, 3), 2, 5, 5), ((2, 1, 3, 3), 1, 5, 5), ((2, 0, 3, 3), 2, 5, 5), ((1, 1, 6, 1), 1, 5, 5),
     ((1, 1, 1, 6), 1, 5, 5)],
)  # fmt: skip
def test_a_convolution_that_does_not_fit_its_image_is_none(
    shape: tuple[int, ...], thresholds: int, height: int, width: int
) -> None:
    with pytest.raises(InvalidBundle) as caught:
        ConvolutionLayer(np.zeros(shape, dtype=np.int64), np.zeros(thresholds, dtype=np.int64), height, width)
    assert caught.value.field == "weights"


def test_a_threshold_beyond_all_sums_is_moved_to_their_edge() -> None:
    """Sums reach from -1 to 2; what a neuron decides stays the same."""
    weights, thresholds = np.tile([[1, 1, -1]], (5, 1)), np.array([-9, -1, 1, 3, 70])
    dense = DenseLayer(weights, thresholds)
    assert dense.within_reach().thresholds.tolist() == [-1, -1, 1, 3, 3]
    convolution = ConvolutionLayer(weights.reshape(5, 1, 1, 3), thresholds, height=2, width=4, padding=(0, 1))
    assert convolution.within_reach().thresholds.tolist() == [-1, -1, 1, 3, 3]
    for layer in (dense, convolution):
        bits = np.array(list(np.ndindex(*[2] * layer.inputs)), dtype=np.uint8)
        np.testing.assert_array_equal(layer.sums(bits) >= 0, layer.within_reach().sums(bits) >= 0)
