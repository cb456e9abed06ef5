"""Neurons as netlists: weights of any sign and size, and the +1 trick, which shares the sum of all inputs."""

from __future__ import annotations

import numpy as np
import pytest
from clear_circuits import PROFILE, evaluated, reach
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_drawing import random_bits
from netlist_running import every, run

from epaas_server.strategies import STRATEGIES
from epaas_server.strategies.adders import Form
from epaas_server.strategies.comparisons import Comparison, ReduceTree, SortingNetwork
from epaas_server.strategies.gates import Gates
from epaas_server.strategies.netlist import pruned
from epaas_server.strategies.neurons import neurons, plus_one_of
from epaas_server.strategies.sorting import Network
from epaas_shared.layers import ConvolutionLayer, DenseLayer, Layer, Rows

TREES: list[Comparison] = [ReduceTree(form) for form in Form]
SORTERS: list[Comparison] = [SortingNetwork(network, form) for network in Network for form in Form]
EACH = pytest.mark.parametrize("comparison", [*TREES, *SORTERS], ids=str)


@EACH
@settings(max_examples=25)
@given(weights=st.lists(st.integers(1, 1) | st.integers(1, 4), min_size=1, max_size=7), place=st.floats(0, 1))
def test_a_weighted_sum_is_compared_with_its_threshold(
    comparison: Comparison, weights: list[int], place: float
) -> None:
    weights = sorted(weights)
    threshold = 1 + round(place * (sum(weights) - 1))
    netlist = comparison.direct(tuple(weights), threshold)
    cases = every(len(weights))
    assert run(netlist, cases)[:, 0].tolist() == (cases @ np.array(weights) >= threshold).astype(int).tolist()


@EACH
@settings(max_examples=25)
@given(
    shape=st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(1, 4)),
    clear=st.integers(0, 9),
    offset=st.integers(0, 5),
    negated=st.booleans(),
)
def test_a_sum_is_compared_with_the_sum_of_all_inputs(
    comparison: Comparison, shape: tuple[int, int, int], clear: int, offset: int, negated: bool
) -> None:
    doubled, single, inputs = shape
    shared = comparison.total(inputs, offset)
    netlist = comparison.against_total(doubled, single, clear, len(shared.outputs), negated)
    if netlist is None:
        assert single
        assert not comparison.takes_single
        return
    cases = every(doubled + single + inputs)
    own, others = cases[:, : doubled + single], cases[:, doubled + single :]
    found = run(netlist, np.concatenate([own, run(shared, others)], axis=1))[:, 0]
    reached = 2 * own[:, :doubled].sum(axis=1) + own[:, doubled:].sum(axis=1) + clear >= others.sum(axis=1) + offset
    assert found.tolist() == (reached != negated).astype(int).tolist()


@EACH
def test_an_output_is_as_noisy_as_a_bit_and_no_input(comparison: Comparison) -> None:
    for weights, threshold in [((1,), 1), ((1, 1), 1), ((1, 1), 2), ((1,) * 9, 4), ((1, 1, 3), 3), ((1,) * 40, 40)]:
        (output,) = comparison.direct(weights, threshold).outputs
        assert output.squared_norm == 1
        assert output.terms[0][0] >= len(weights)
    shared = comparison.total(9, 3)
    assert all(output.squared_norm <= 1 for output in shared.outputs)


@EACH
@pytest.mark.parametrize("weights", [(1,) * 12, (1,) * 5 + (2, 3)])
@pytest.mark.parametrize("threshold", [1, 4, 8, 10])
def test_no_gate_is_made_in_vain_but_those_that_the_thesis_counts(
    comparison: Comparison, weights: tuple[int, ...], threshold: int
) -> None:
    """In the form of plain gates a tree or network is whole, whichever of its outputs are read."""
    netlist = comparison.direct(weights, threshold)
    if comparison.form is Form.GATES:  # type: ignore[attr-defined]
        others = {len(comparison.direct(weights, other).gates) for other in range(1, 11)}
        assert len(others) == 1
    else:
        assert pruned(netlist) == netlist


def whole(layer: Layer) -> Rows:
    return layer.rows(0, layer.outputs)


def random_layer(weights: tuple[int, ...], outputs: int, inputs: int, seed: int) -> DenseLayer:
    """Thresholds near the middle of the sums."""
    random = np.random.default_rng(seed)
    matrix = random.choice(np.array(weights, dtype=np.int64), (outputs, inputs))
    return DenseLayer(matrix, np.rint(matrix.sum(axis=1) / 2).astype(np.int64))


@EACH
@settings(max_examples=8)
@given(
    seed=st.integers(0, 2**32),
    inputs=st.integers(44, 60),
    zeros=st.booleans(),
    thresholds=st.sampled_from(["anywhere", "low", "high"]),
)
def test_the_plus_one_trick_changes_no_bit(
    comparison: Comparison, seed: int, inputs: int, zeros: bool, thresholds: str
) -> None:
    """In layers where it is used: neurons with few, many, or only weights of one sign, and with zeros."""
    random = np.random.default_rng(seed)
    weights = np.where(random.random((9, inputs)) < np.linspace(0, 1, 9)[:, None], 1, -1)
    if zeros:
        weights[::2, :3] = 0
    low, high = np.minimum(weights, 0).sum(axis=1), np.maximum(weights, 0).sum(axis=1)
    first, last = {"anywhere": (low, high + 1), "low": (low + 1, low + 3), "high": (high - 2, high)}[thresholds]
    tested = DenseLayer(weights, random.integers(first, last, endpoint=True))
    shared = plus_one_of(tested, comparison)
    assert shared is not None
    widest = max(len(neuron.sources) for neuron in neurons(whole(tested), comparison, shared))
    assert widest > len(shared.total(comparison).outputs), "neurons read the total"
    bits = random_bits(3, inputs, seed)
    bits[1], bits[2] = 0, 1
    found = evaluated(Gates("tested", comparison, plus_one=True), tested, bits, reach(tested))
    assert found.bits.tolist() == (tested.sums(bits) >= 0).astype(int).tolist()


@pytest.mark.parametrize("name", ["reduce-tree", "reduce-tree-gates", "reduce-tree-levelled"])
def test_the_plus_one_trick_halves_a_wide_layer_of_trees(name: str) -> None:
    assert saving(name, random_layer((-1, 1), 64, 784, seed=0)) >= 1.6


@pytest.mark.slow
def test_the_plus_one_trick_halves_a_wide_layer_of_sorting_networks() -> None:
    assert saving("sorting-network", random_layer((-1, 1), 64, 784, seed=0)) >= 1.6


@pytest.mark.parametrize("name", ["sorting-network", "sorting-network-bitonic", "sorting-network-levelled"])
def test_the_plus_one_trick_saves_a_third_of_a_narrower_layer_of_sorting_networks(name: str) -> None:
    assert saving(name, random_layer((-1, 1), 16, 100, seed=0)) >= 1.5


def saving(name: str, layer: DenseLayer) -> float:
    """How many times fewer bootstraps there are with the +1 trick."""
    plain, shared = (STRATEGIES[n].work(layer, reach(layer), 1, PROFILE).bootstraps for n in (name, f"{name}+1"))
    return plain / shared


@pytest.mark.parametrize("name", [name for name in STRATEGIES if f"{name}+1" in STRATEGIES])
@pytest.mark.parametrize(
    "layer",
    [
        random_layer((-1, 1), 1, 100, 1),  # one neuron does not pay for the sum of all inputs
        random_layer((-1, 1), 30, 20, 1),
        random_layer((1,), 20, 20, 1),
        random_layer((-1, 0, 1), 20, 90, 1),  # as many zeros as either sign
        random_layer((-1, -1, -1, -1, 0, 1, 1, 1, 1), 20, 90, 1),  # a tree counts zeros, a sorting network cannot
        random_layer((-2, -1, 1, 2), 9, 20, 1),
    ],
    ids=["one neuron", "narrow", "one sign", "sparse", "some zeros", "integers"],
)
def test_the_plus_one_trick_is_left_out_where_it_would_cost_more(name: str, layer: DenseLayer) -> None:
    assert saving(name, layer) >= 1


def test_only_ternary_dense_layers_share_a_total() -> None:
    wide = random_layer((-1, 1), 20, 90, seed=1)
    for comparison in [*TREES, *SORTERS]:
        assert plus_one_of(wide, comparison) is not None
        assert plus_one_of(DenseLayer(wide.weights * 2, wide.thresholds), comparison) is None
        image = ConvolutionLayer(wide.weights.reshape(20, 1, 9, 10), wide.thresholds, height=9, width=10)
        assert plus_one_of(image, comparison) is None


@EACH
def test_neurons_of_the_same_weights_and_threshold_share_one_netlist(comparison: Comparison) -> None:
    """Up to the order and the signs of their weights, which are in where the inputs come from."""
    weights = np.array([[1, -1, 0, 1, 3], [3, 1, 1, 1, 0], [-1, -1, -1, 0, -3]])
    tested = DenseLayer(weights, 4 + np.minimum(weights, 0).sum(axis=1))
    found = list(neurons(whole(tested), comparison, None))
    assert found[0].netlist is found[1].netlist is found[2].netlist
    assert [neuron.sources.tolist() for neuron in found] == [[0, 1, 3, 4], [1, 2, 3, 0], [0, 1, 2, 4]]
    assert [neuron.negated.tolist() for neuron in found] == [[0, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]]
