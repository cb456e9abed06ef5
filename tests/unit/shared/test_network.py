"""The plain network: layers one after another, heads, and how far the sums reach."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from epaas_shared.errors import InvalidBundle
from epaas_shared.features import Encoding
from epaas_shared.heads import Head, LabelArgmax, LabelBit, Scores
from epaas_shared.layers import ConvolutionLayer, DenseLayer, Integers
from epaas_shared.network import RECORDS_AT_ONCE, Network
from epaas_shared.ranges import SumRange, measured_ranges, worst_case_ranges
from epaas_shared.scores import ScoreScale


def random_dense(random: np.random.Generator, outputs: int, inputs: int) -> DenseLayer:
    return DenseLayer(random.integers(-3, 4, (outputs, inputs)), random.integers(-3, 4, outputs))


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Up to three layers, the first of them perhaps a convolution, and any head."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    widths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    first: ConvolutionLayer | DenseLayer
    if draw(st.booleans()):
        first = ConvolutionLayer(random.integers(-1, 2, (2, 1, 2, 2)), random.integers(-1, 2, 2), 3, 2, padding=(0, 1))
    else:
        first = random_dense(random, draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    layers = (first, *(random_dense(random, after, before) for before, after in pairwise([first.outputs, *widths])))
    scale = draw(st.none() | st.builds(ScoreScale, bits=st.integers(1, 3), minimum=st.just(-5), step=st.just(2)))
    return Network(layers, Scores(widths[-1], scale) if scale else None)


def all_bits(count: int) -> NDArray[np.uint8]:
    return np.array(list(product((0, 1), repeat=count)), dtype=np.uint8)


def layer(weights: list[list[int]], thresholds: list[int]) -> DenseLayer:
    return DenseLayer(np.array(weights, dtype=np.int64), np.array(thresholds, dtype=np.int64))


def last_sums(network: Network, bits: NDArray[np.uint8]) -> Integers:
    for before in network.layers[:-1]:
        bits = (before.sums(bits) >= 0).astype(np.uint8)
    return network.layers[-1].sums(bits)


@given(networks())
def test_the_plain_values_are_those_of_the_evaluated_layers(network: Network) -> None:
    every = all_bits(network.inputs)
    values = network.evaluate(every)
    assert values.shape == (len(every), network.values)
    assert values.tolist() == (network.evaluate_bits(every) @ network.head.combination.T).tolist()
    assert network.neurons == sum(layer.outputs for layer in network.evaluated_layers)


@given(networks())
def test_the_prediction_is_that_of_the_last_sums(network: Network) -> None:
    every = all_bits(network.inputs)
    sums = last_sums(network, every)
    if network.scores:
        sums = np.clip((sums - network.scores.minimum) // network.scores.step, 0, 2**network.scores.bits - 1)
        assert network.evaluate(every).tolist() == sums.tolist()
    elif sums.shape[1] == 1:
        sums = np.concatenate([-np.ones_like(sums), 2 * sums + 1], axis=1)
        sums[:, 0] = 0
    assert network.predict(every) == sums.argmax(axis=1).tolist()


@pytest.mark.parametrize("count", [0, 1, RECORDS_AT_ONCE, RECORDS_AT_ONCE + 1])
def test_any_number_of_records_is_evaluated(count: int) -> None:
    network = Network((layer([[1, 1]], [2]),))
    bits = np.random.default_rng(0).integers(0, 2, (count, 2)).astype(np.uint8)
    assert network.evaluate(bits).tolist() == bits.all(axis=1)[:, None].tolist()
    assert network.predict(bits) == bits.all(axis=1).tolist()


def test_the_head_follows_from_the_outputs() -> None:
    assert Network((layer([[1]], [0]),)).head == LabelBit()
    assert Network((layer([[1]] * 5, [0] * 5),)).head == LabelArgmax(5)
    assert Network((layer([[1]] * 5, [0] * 5),)).values == 3


@pytest.mark.parametrize("head", [LabelBit(), LabelArgmax(3), Scores(1, ScoreScale(bits=1, minimum=0, step=1))])
def test_a_head_for_another_number_of_outputs_is_refused(head: Head) -> None:
    with pytest.raises(InvalidBundle) as caught:
        Network((layer([[1], [1]], [0, 0]),), head)
    assert caught.value.field == "layers[0].weights"


def test_layers_must_fit_one_another() -> None:
    with pytest.raises(InvalidBundle) as caught:
        Network((layer([[1, 1]], [0]), layer([[1, 1]], [0])))
    assert caught.value.field == "layers[1].weights"
    with pytest.raises(InvalidBundle):
        Network(())


def test_the_last_layer_is_dense() -> None:
    convolution = ConvolutionLayer(np.ones((1, 1, 2, 2), dtype=np.int64), np.array([1]), height=2, width=2)
    with pytest.raises(InvalidBundle) as caught:
        Network((convolution,))
    assert caught.value.field == "layers[0].kind"


def pairs(count: int) -> list[Encoding]:
    return [Encoding(slice(2 * index, 2 * index + 2), np.eye(2, dtype=np.uint8)) for index in range(count)]


def test_the_worst_case_is_that_of_the_records_in_the_first_layer_and_of_any_bits_after_it() -> None:
    network = Network((layer([[1, 2, -1, 0], [5, 5, 5, 5]], [3, 9]), layer([[4, -7]], [2])))
    assert worst_case_ranges(network, pairs(2)) == (
        SumRange(-3, 1, 100, fresh=True, source="worst-case"),
        SumRange(-9, 2, 65, fresh=False, source="worst-case"),
    )


def test_the_worst_case_covers_the_layers_of_the_head() -> None:
    network = Network((layer([[1, 0], [0, 1], [0, 0]], [0, 0, 1]),))
    reached = worst_case_ranges(network, pairs(1))
    assert [(one.minimum, one.maximum, one.squared_norm, one.fresh) for one in reached] == [
        # S_0 - S_1 is 1 or -1; S_0 - S_2 and S_1 - S_2 are 1 or 2, never below 0, and so are moved to 0 or 1
        (-1, 1, 2, True),
        (-2, 0, 2, False),  # a class wins if and only if its sum is the greatest possible
    ]


@given(networks(), st.integers(0, 2**32))
def test_measured_ranges_are_reached_and_within_the_worst_case(network: Network, seed: int) -> None:
    bits = np.random.default_rng(seed).integers(0, 2, (5, network.inputs)).astype(np.uint8)
    free = [Encoding(slice(at, at + 1), np.array([[0], [1]], dtype=np.uint8)) for at in range(network.inputs)]
    measured = measured_ranges(network, bits)
    for seen, worst, evaluated in zip(
        measured, worst_case_ranges(network, free), network.evaluated_layers, strict=True
    ):
        sums = evaluated.sums(bits)
        assert (seen.minimum, seen.maximum, seen.source) == (sums.min(), sums.max(), "measured")
        assert worst.minimum <= seen.minimum <= seen.maximum <= worst.maximum
        assert (seen.squared_norm, seen.fresh) == (worst.squared_norm, worst.fresh)
        bits = (sums >= 0).astype(np.uint8)
    assert measured[0].fresh
    assert not any(reached.fresh for reached in measured[1:])


def test_ranges_are_measured_over_all_records() -> None:
    network = Network((layer([[3, -4]], [0]),))
    bits = np.zeros((2 * RECORDS_AT_ONCE + 1, 2), dtype=np.uint8)
    bits[0, 0] = bits[-1, 1] = 1
    (reached,) = measured_ranges(network, bits)
    assert (reached.minimum, reached.maximum) == (-4, 3)
