"""Every strategy says what the plain layer says, and does exactly the work that it announces; circuits in the clear."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from clear_circuits import PROFILE, ClearCircuits, evaluated, messages, reach
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_drawing import convolutions, dense_layers, random_bits, thresholds_for
from server_making import SHIFT, layer, trivial

from epaas_server.circuits.definitions import THRESHOLDS, Circuit
from epaas_server.engine.batches import Batched
from epaas_server.strategies import STRATEGIES
from epaas_server.strategies.accumulate import narrowest
from epaas_server.strategies.approximate import Approximate
from epaas_shared.layers import ConvolutionLayer, DenseLayer, Layer
from epaas_shared.ranges import SumRange

NAMES = sorted(STRATEGIES)
GATES = [name for name in NAMES if not STRATEGIES[name].hides_weights]
PLUS_ONE = [name for name in NAMES if name.endswith("+1")]
SEEDS = st.integers(0, 2**32)


def check(name: str, tested: Layer, records: int, seed: int, *, count_noise: bool = False) -> None:
    """``approximate`` too: what it gets wrong on real ciphertexts is by noise, which there is none of here."""
    strategy, sums = STRATEGIES[name], reach(tested)
    assert strategy.refusal(tested, sums, PROFILE) is None
    bits = random_bits(records, tested.inputs, seed)
    found = evaluated(strategy, tested, bits, sums, count_noise=count_noise)
    assert found.bits.tolist() == (tested.sums(bits) >= 0).astype(int).tolist()
    work = strategy.work(tested, sums, records, PROFILE)
    assert found.bootstraps == work.bootstraps
    assert found.calls == work.calls
    if count_noise:
        assert found.squared_norms.max() <= 1, "an output has the noise of one bit"


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30)
@given(tested=dense_layers(), records=st.integers(1, 3), seed=SEEDS)
def test_a_strategy_says_what_the_layer_says_by_the_work_announced(
    name: str, tested: DenseLayer, records: int, seed: int
) -> None:
    check(name, tested, records, seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=150)
@given(tested=dense_layers(), records=st.integers(1, 3), seed=SEEDS)
def test_a_strategy_says_what_the_layer_says_for_many_layers(
    name: str, tested: DenseLayer, records: int, seed: int
) -> None:
    check(name, tested, records, seed)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8)
@given(tested=dense_layers([(1, 14)]), records=st.integers(1, 2), seed=SEEDS)
def test_no_sum_is_noisier_than_its_circuit_provides_for(
    name: str, tested: DenseLayer, records: int, seed: int
) -> None:
    """And every output is as noisy as one bit, and is no levelled sum of the inputs (P2)."""
    check(name, tested, records, seed, count_noise=True)


@pytest.mark.parametrize("name", NAMES)
def test_no_sum_of_a_deep_circuit_is_noisier_than_its_circuit_provides_for(name: str) -> None:
    """Wide enough for levelled adders to need refreshing, and for the +1 trick to be used."""
    weights = np.ones((2, 96), dtype=np.int64)
    weights[0, 5:8] = weights[1, 60:64] = -1
    check(name, DenseLayer(weights, np.array([48, 40])), records=1, seed=2, count_noise=True)


@pytest.mark.parametrize("name", NAMES)
def test_many_neurons_of_several_records_are_evaluated_in_order(name: str) -> None:
    random = np.random.default_rng(4)
    weights = random.integers(-1, 2, (150, 6))
    check(name, DenseLayer(weights, thresholds_for(weights, random)).within_reach(), records=5, seed=1)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in PLUS_ONE])
@settings(max_examples=10)
@given(tested=convolutions(), records=st.integers(1, 3), seed=SEEDS)
def test_a_convolution_is_a_layer_like_any_other(name: str, tested: ConvolutionLayer, records: int, seed: int) -> None:
    check(name, tested, records, seed)


@pytest.mark.parametrize("name", PLUS_ONE)
def test_the_plus_one_trick_refuses_a_convolution_by_its_reason(name: str) -> None:
    tested = ConvolutionLayer(np.ones((2, 1, 2, 2), dtype=np.int64), np.array([1, 2]), height=3, width=3)
    reason = STRATEGIES[name].refusal(tested, reach(tested), PROFILE)
    assert reason is not None
    assert "windows of a convolution" in reason
    assert STRATEGIES[name.removesuffix("+1")].refusal(tested, reach(tested), PROFILE) is None


@pytest.mark.parametrize("circuit", THRESHOLDS, ids=lambda circuit: str(circuit.name))
@pytest.mark.parametrize("name", ["accumulate", "approximate"])
@pytest.mark.parametrize("fresh", [False, True])
def test_sums_are_compared_exactly_up_to_the_ends_of_a_circuits_range(name: str, circuit: Circuit, fresh: bool) -> None:
    """One input of weight 1: the sum for a set bit is its distance from the threshold."""
    half = circuit.half_range
    distances = np.array([-half, -half + 1, -1, 0, 1, half - 1])
    tested = DenseLayer(np.ones((len(distances), 1), dtype=np.int64), 1 - distances)
    sums = SumRange(-half, half - 1, 1, fresh, "worst-case")
    assert narrowest(sums, PROFILE) is circuit
    found = evaluated(STRATEGIES[name], tested, np.ones((1, 1), dtype=np.uint8), sums)
    assert found.bits.tolist() == [(distances >= 0).astype(int).tolist()]


def test_a_layer_takes_the_narrowest_circuit_that_covers_range_and_noise() -> None:
    def chosen(minimum: int, maximum: int, squared_norm: int = 1, *, fresh: bool = False) -> int | None:
        circuit = narrowest(SumRange(minimum, maximum, squared_norm, fresh, "worst-case"), PROFILE)
        return None if circuit is None else circuit.message_bits

    for bits in range(6, 11):
        half = 1 << (bits - 1)
        wider = bits + 1 if bits < 10 else None
        assert chosen(-half, half - 1) == bits
        assert chosen(-half - 1, half - 1) == wider
        assert chosen(-half, half) == wider
    budgets = [2 * 63**2 // 256, 2 * 126**2 // 64, 2 * 126**2 // 16, 2 * 63**2 // 4, 2 * 63**2]
    for bits, budget in zip(range(6, 11), budgets, strict=True):
        enough = [index + 6 for index, larger in enumerate(budgets) if larger >= budget]
        assert chosen(0, 0, budget) == min(enough)
        assert chosen(0, 0, budget + 1) != bits
        assert chosen(0, 0, budget + 1, fresh=True) == 6
    assert chosen(0, 0, PROFILE.squared_norm_budget) == 10
    assert chosen(0, 0, PROFILE.squared_norm_budget + 1) is None


@pytest.mark.parametrize("name", ["accumulate", "approximate"])
def test_a_narrower_range_is_cheaper_and_the_neurons_count(name: str) -> None:
    tested = layer([[1] * 9] * 300, [5] * 300)
    strategy = STRATEGIES[name]
    costs = [
        strategy.work(tested, SumRange(-half, half - 1, 9, False, "measured"), 2, PROFILE)
        for half in (circuit.half_range for circuit in THRESHOLDS)
    ]
    each = [5, 6, 7, 8, 9] if name == "accumulate" else [1] * 5
    assert [work.bootstraps for work in costs] == [600 * cost for cost in each]
    assert [work.depth for work in costs] == each
    assert costs[0].products == 2 * 300 * 9


@pytest.mark.parametrize("name", [name for name in NAMES if name not in GATES])
@settings(max_examples=15)
@given(st.integers(1, 6), st.integers(1, 2500), SEEDS)
def test_work_that_hides_weights_depends_on_shape_and_range_alone(
    name: str, outputs: int, inputs: int, seed: int
) -> None:
    """Whatever the zeros, signs and thresholds are, with one weight of the same size somewhere in each layer."""
    random = np.random.default_rng(seed)
    half = min(inputs + 3, 512) if name == "approximate" else inputs + 3
    sums = SumRange(-half, half - 1, inputs, False, "worst-case")
    zeros = np.zeros((outputs, inputs), dtype=np.int64)
    zeros[0, 0] = 1
    layers = [zeros, np.ones_like(zeros), random.integers(-1, 2, zeros.shape), random.choice([-1, 1], zeros.shape)]
    layers[2][-1, -1] = -1
    works = []
    for weights in layers:
        tested = DenseLayer(weights, thresholds_for(weights, random)).within_reach()
        assert STRATEGIES[name].refusal(tested, sums, PROFILE) is None
        works.append(STRATEGIES[name].work(tested, sums, 2, PROFILE))
    assert all(work == works[0] for work in works)


@pytest.mark.parametrize("name", GATES)
def test_a_strategy_of_gates_does_not_claim_to_hide_weights(name: str) -> None:
    """The same shape, the same range, and another cost."""
    few = layer([[1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0, 0, 0]], [2, 2])
    many = replace(few, weights=np.array([[1, 1, 1, 1, 0, 0, 0, 0], [1, 1, -1, -1, -1, -1, 1, 1]]))
    sums = SumRange(-8, 8, 8, False, "worst-case")
    works = [STRATEGIES[name].work(tested, sums, 1, PROFILE).bootstraps for tested in (few, many)]
    assert works[0] < works[1]
    assert not STRATEGIES[name].hides_weights


@pytest.mark.parametrize("name", GATES)
def test_weights_of_zero_drop_out_and_constant_neurons_cost_nothing(name: str) -> None:
    random = np.random.default_rng(3)
    strategy = STRATEGIES[name]

    def bootstraps(tested: DenseLayer) -> int:
        return strategy.work(tested, reach(tested), 2, PROFILE).bootstraps

    weights = random.choice([-1, 1], (3, 9))
    dense = DenseLayer(weights, weights @ random.integers(0, 2, 9)).within_reach()
    padded = DenseLayer(np.insert(weights, [0, 4, 4, 9], 0, axis=1), dense.thresholds)
    assert bootstraps(padded) == bootstraps(dense) > 0
    constant = layer([[1, -1, 1], [1, -1, 1], [0, 0, 0], [0, 0, 0]], [-1, 3, 0, 1])
    assert bootstraps(constant) == 0
    bits = random_bits(2, 3, 0)
    assert evaluated(strategy, constant, bits, reach(constant)).bits.tolist() == [[1, 0, 1, 0]] * 2
    both = DenseLayer(np.concatenate([weights, np.ones((2, 9), dtype=np.int64)]), np.append(dense.thresholds, [0, 10]))
    assert bootstraps(both) == bootstraps(dense)


@pytest.mark.parametrize("distance", [-513, 512])
@pytest.mark.parametrize("name", ["accumulate", "approximate"])
def test_a_sum_outside_the_range_would_be_noticed_here(name: str, distance: int) -> None:
    tested = layer([[1]], [1 - distance])
    with pytest.raises(AssertionError, match="range"):
        evaluated(
            STRATEGIES[name],
            tested,
            np.ones((1, 1), dtype=np.uint8),
            SumRange(-512, 511, 1, False, "worst-case"),
        )


def test_noise_beyond_the_budget_would_be_noticed_here() -> None:
    tested = layer([[63, 63]], [0])
    bits = np.zeros((1, 2), dtype=np.uint8)
    sums = SumRange(0, 126, 1, False, "worst-case")  # whose true squared norm no 8-bit circuit takes
    with pytest.raises(AssertionError, match="noise"):
        evaluated(STRATEGIES["accumulate"], tested, bits, sums, count_noise=True)


@given(st.integers(-3, 3), st.integers(-(2**54), 2**54))
def test_approximate_steps_half_way_between_two_sums(distance: int, noise: int) -> None:
    """Noise of less than half a unit never matters, and otherwise exactly where it crosses the step."""
    tested = layer([[1]], [1 - distance])
    sums = SumRange(-512, 511, 1, False, "worst-case")
    ciphertexts = trivial(np.ones((1, 1)), 1)
    ciphertexts += np.uint64(noise % 2**64)
    bootstrap = Batched(ClearCircuits(), lambda _: None)
    (output,) = STRATEGIES["approximate"].evaluate(tested, sums, ciphertexts, PROFILE, bootstrap)
    assert messages(output).tolist() == [int((distance << SHIFT) + (1 << SHIFT - 1) + noise >= 0)]


def test_approximate_scales_small_sums_up() -> None:
    scales = [
        Approximate.scale(SumRange(-circuit.half_range, circuit.half_range - 1, 1, False, "measured"), PROFILE)
        for circuit in THRESHOLDS
    ]
    assert scales == [4, 3, 2, 1, 0]
    with pytest.raises(ValueError, match="too large"):
        Approximate.scale(SumRange(-513, 0, 1, False, "measured"), PROFILE)
    wide = layer([[1] * 1500], [700])
    assert "-700 to 800" in (STRATEGIES["approximate"].refusal(wide, reach(wide), PROFILE) or "")
