"""The plain network against its definition in pure Python, and the refusal of what a profile cannot evaluate."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from epaas_shared.errors import InvalidBundle
from epaas_shared.network import DenseLayer, Network, check_fits, labels
from epaas_shared.profile import default_profile

PROFILE = default_profile()


@st.composite
def layers(draw: st.DrawFn, inputs: int, outputs: int, largest: int = 9) -> DenseLayer:
    whole = st.integers(-largest, largest)
    weights = draw(st.lists(st.lists(whole, min_size=inputs, max_size=inputs), min_size=outputs, max_size=outputs))
    thresholds = draw(st.lists(whole, min_size=outputs, max_size=outputs))
    return DenseLayer(np.array(weights, dtype=np.int64), np.array(thresholds, dtype=np.int64))


@st.composite
def networks(draw: st.DrawFn) -> Network:
    widths = draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    return Network(tuple(draw(layers(inputs, outputs)) for inputs, outputs in pairwise(widths)))


def slow_sums(layer: DenseLayer, bits: tuple[int, ...]) -> list[int]:
    weights, thresholds = layer.weights.tolist(), layer.thresholds.tolist()
    return [sum(w * x for w, x in zip(row, bits, strict=True)) - t for row, t in zip(weights, thresholds, strict=True)]


def slow_evaluate(network: Network, bits: tuple[int, ...]) -> tuple[int, ...]:
    for layer in network.layers:
        bits = tuple(int(total >= 0) for total in slow_sums(layer, bits))
    return bits


def all_bits(count: int) -> NDArray[np.uint8]:
    return np.array(list(product((0, 1), repeat=count)), dtype=np.uint8)


def layer(weights: list[list[int]], thresholds: list[int]) -> DenseLayer:
    return DenseLayer(np.array(weights, dtype=np.int64), np.array(thresholds, dtype=np.int64))


@given(networks())
def test_every_input_is_evaluated_as_defined(network: Network) -> None:
    every = all_bits(network.inputs)
    outputs = network.evaluate(every)
    assert outputs.dtype == np.uint8
    assert [tuple(row) for row in outputs.tolist()] == [slow_evaluate(network, tuple(row)) for row in every.tolist()]
    assert network.neurons == sum(len(layer.thresholds) for layer in network.layers)


@given(st.integers(1, 5).flatmap(lambda inputs: layers(inputs, 3, largest=2**15)))
def test_sums_are_those_of_exact_arithmetic(dense: DenseLayer) -> None:
    every = all_bits(dense.inputs)
    assert dense.sums(every).tolist() == [slow_sums(dense, tuple(row)) for row in every.tolist()]


@given(st.integers(1, 8).flatmap(lambda inputs: layers(inputs, 2)))
def test_bounds_of_free_bits_are_reached_and_not_passed(dense: DenseLayer) -> None:
    sums = dense.sums(all_bits(dense.inputs))
    low, high = dense.sum_bounds(None)
    assert low.tolist() == sums.min(axis=0).tolist()
    assert high.tolist() == sums.max(axis=0).tolist()


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_bounds_of_one_hot_groups_are_reached_and_not_passed(sizes: list[int], data: st.DataObject) -> None:
    dense = data.draw(layers(sum(sizes), 2))
    ends = np.cumsum(sizes).tolist()
    groups = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    every = np.array([np.concatenate(rows) for rows in product(*(np.eye(size) for size in sizes))], dtype=np.uint8)
    sums = dense.sums(every)
    low, high = dense.sum_bounds(groups)
    assert low.tolist() == sums.min(axis=0).tolist()
    assert high.tolist() == sums.max(axis=0).tolist()


def pairs(count: int) -> list[slice]:
    return [slice(2 * index, 2 * index + 2) for index in range(count)]


def span(total: int, threshold: int) -> DenseLayer:
    """Two neurons, of which the second sums over ``total`` pairs of one-hot bits to 0..total around its threshold."""
    return layer([[0, 0] * total, [0, 1] * total], [0, threshold])


def test_a_sum_that_just_fills_the_range_is_accepted() -> None:
    assert (PROFILE.sum_minimum, PROFILE.sum_maximum) == (-512, 511)
    check_fits(Network((span(1023, 512),)), PROFILE, pairs(1023))


@pytest.mark.parametrize(("total", "threshold"), [(1023, 511), (1023, 513), (1024, 512), (1, -511), (1, 513)])
def test_a_sum_just_outside_the_range_is_refused_by_neuron(total: int, threshold: int) -> None:
    with pytest.raises(InvalidBundle) as caught:
        check_fits(Network((span(total, threshold),)), PROFILE, pairs(total))
    assert caught.value.field == "layers[0].thresholds[1]"
    assert f"from {-threshold} to {total - threshold}" in caught.value.detail


@pytest.mark.parametrize("threshold", [512, -510])
def test_a_threshold_at_the_end_of_the_range_is_accepted(threshold: int) -> None:
    check_fits(Network((span(1, threshold),)), PROFILE, pairs(1))


def test_one_hot_groups_count_in_the_first_layer_only() -> None:
    first = layer([[0, 0]] * 1026, [0] * 1026)
    fits = Network((first, layer([[1] * 1023 + [0] * 3], [512])))
    check_fits(fits, PROFILE, pairs(1))
    too_wide = Network((first, layer([[1] * 1024 + [0] * 2], [512])))
    with pytest.raises(InvalidBundle) as caught:
        check_fits(too_wide, PROFILE, pairs(1))
    assert caught.value.field == "layers[1].thresholds[0]"


def test_squared_weights_of_bootstrapped_inputs_stay_within_the_budget() -> None:
    assert PROFILE.squared_norm_budget == 63**2 + 63**2
    first = layer([[0, 0]] * 3, [0] * 3)
    check_fits(Network((first, layer([[1, 0, 0], [63, -63, 0]], [0, 0]))), PROFILE, pairs(1))
    with pytest.raises(InvalidBundle) as caught:
        check_fits(Network((first, layer([[1, 0, 0], [63, -63, 1]], [0, 0]))), PROFILE, pairs(1))
    assert caught.value.field == "layers[1].weights[1]"
    assert "7939" in caught.value.detail


def test_squared_weights_of_fresh_inputs_have_a_larger_budget() -> None:
    assert PROFILE.fresh_squared_norm_budget == 4096 * 1024**2
    groups = [slice(0, 4096), slice(4096, 4097)]
    within = layer([[0] * 4097, [1024] * 4096 + [0]], [0, 1024])
    check_fits(Network((within,)), PROFILE, groups)
    beyond = layer([[0] * 4097, [1024] * 4096 + [1]], [0, 1024])
    with pytest.raises(InvalidBundle) as caught:
        check_fits(Network((beyond,)), PROFILE, groups)
    assert caught.value.field == "layers[0].weights[1]"


@pytest.mark.parametrize(
    ("weights", "thresholds"),
    [(np.zeros((2, 3)), np.zeros(3)), (np.zeros(3), np.zeros(3)), (np.zeros((0, 3)), np.zeros(0)),
     (np.zeros((3, 0)), np.zeros(3)), (np.zeros((2, 3)), np.zeros((2, 1)))],
)  # fmt: skip
def test_a_layer_of_impossible_shape_is_none(weights: NDArray[np.int64], thresholds: NDArray[np.int64]) -> None:
    with pytest.raises(InvalidBundle):
        DenseLayer(weights, thresholds)


def test_layers_must_fit_one_another() -> None:
    with pytest.raises(InvalidBundle) as caught:
        Network((layer([[1, 1]], [0]), layer([[1, 1]], [0])))
    assert caught.value.field == "layers[1].weights"
    with pytest.raises(InvalidBundle):
        Network(())


def test_a_label_is_the_one_output_bit() -> None:
    assert labels(np.array([[0], [1], [1]], dtype=np.uint8)) == [0, 1, 1]
    for shape in ((3,), (3, 2)):
        with pytest.raises(InvalidBundle):
            labels(np.zeros(shape, dtype=np.uint8))
