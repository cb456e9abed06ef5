"""Sums that no single circuit covers are compared exactly by digits of their parts; circuits in the clear."""

from __future__ import annotations

from bisect import bisect

import numpy as np
import pytest
from clear_circuits import PROFILE, evaluated, reach
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from server_making import layer

from epaas_server.circuits.definitions import DIGIT, THRESHOLDS
from epaas_server.strategies import ACCUMULATE, STRATEGIES, split
from epaas_server.strategies.accumulate import narrowest
from epaas_server.strategies.split import ADDED_NORM, REMAINDER, TOTAL, Parts, parts_of
from epaas_shared.features import Bits
from epaas_shared.layers import ConvolutionLayer, DenseLayer, Integers
from epaas_shared.ranges import SumRange

WIDEST = 4095
"""Inputs of weight 1."""


def bits_of(counts: list[int], inputs: int, random: np.random.Generator) -> Bits:
    """A record for each number of ones, which are anywhere."""
    return np.stack([random.permutation(np.arange(inputs) < count) for count in counts]).astype(np.uint8)


def agrees(tested: DenseLayer, bits: Bits, *, count_noise: bool = False, fresh: bool = False) -> None:
    sums = reach(tested, fresh=fresh)
    assert narrowest(sums, PROFILE) is None, "the layer is split"
    assert ACCUMULATE.refusal(tested, sums, PROFILE) is None
    found = evaluated(ACCUMULATE, tested, bits, sums, count_noise=count_noise)
    assert found.bits.tolist() == (tested.sums(bits) >= 0).astype(int).tolist()
    work = ACCUMULATE.work(tested, sums, len(bits), PROFILE)
    assert (found.bootstraps, found.calls) == (work.bootstraps, work.calls)


def off_centre(weights: Integers, random: np.random.Generator) -> Integers:
    """Thresholds anywhere in reach, and at multiples of 256, where a digit changes, and around them."""
    low, high = np.minimum(weights, 0).sum(axis=1), np.maximum(weights, 0).sum(axis=1)
    anywhere = random.integers(low, high + 2)
    digits = low + 256 * random.integers(0, (high - low) // 256 + 1) + random.integers(-1, 2)
    return np.where(random.random(len(weights)) < 0.5, anywhere, np.clip(digits, low, high + 1))


@settings(max_examples=25)
@given(
    inputs=st.integers(1025, 1100) | st.integers(1025, WIDEST) | st.sampled_from([2046, 2047, 3069, 3070, WIDEST]),
    alphabet=st.sampled_from([(1,), (-1,), (-1, 1), (-1, 0, 1)]),
    seed=st.integers(0, 2**32),
)
def test_ternary_layers_of_any_width_are_split_exactly(inputs: int, alphabet: tuple[int, ...], seed: int) -> None:
    random = np.random.default_rng(seed)
    weights = random.choice(np.array(alphabet), (8, inputs))
    weights[0] = alphabet[0]
    thresholds = off_centre(weights, random)
    thresholds[0] = np.minimum(weights[0], 0).sum()  # so that the layer is wide enough whatever the others are
    records = bits_of([0, inputs, *random.integers(0, inputs, 2)], inputs, random)
    sums = weights @ records[2].astype(np.int64)
    thresholds[1:4] = sums[1:4] + np.array([0, 1, -1])
    agrees(DenseLayer(weights, thresholds).within_reach(), records)


@pytest.mark.parametrize("inputs", [1024, 1025, 2048, 3071, WIDEST])
def test_every_threshold_around_a_digit_is_exact_for_sums_around_it(inputs: int) -> None:
    """Neurons with thresholds around every multiple of 256, on records with sums around each of them."""
    edges = np.arange(0, inputs + 1, 256)
    near = np.unique(np.clip(edges[:, None] + np.arange(-1, 2), 0, inputs + 1).ravel())
    tested = DenseLayer(np.ones((len(near), inputs), dtype=np.int64), near)
    counts = [int(count) for count in near if count <= inputs]
    agrees(tested.within_reach(), bits_of([*counts, inputs], inputs, np.random.default_rng(inputs)))


@settings(max_examples=30)
@given(largest=st.integers(2, 63), inputs=st.integers(20, 700), sparse=st.booleans(), seed=st.integers(0, 2**32))
def test_layers_of_small_integers_are_split_exactly(largest: int, inputs: int, sparse: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    inputs = min(inputs, WIDEST // largest)
    weights = random.integers(-largest, largest, (6, inputs), endpoint=True)
    if sparse:
        weights[:, random.random(inputs) < 0.5] = 0
    weights[0] = largest
    thresholds = off_centre(weights, random)
    thresholds[0] = 0
    tested = DenseLayer(weights, thresholds).within_reach()
    assume(narrowest(reach(tested, fresh=True), PROFILE) is None)
    assume(parts_of(tested) is not None)
    agrees(tested, bits_of([0, inputs, inputs // 2, inputs // 3], inputs, random), fresh=True)


@pytest.mark.parametrize("largest", [100, 255, 400, 511])
def test_a_few_large_weights_are_split_exactly(largest: int) -> None:
    random = np.random.default_rng(largest)
    inputs = max(count for count in range(1, 60) if parts_of(layer([[largest] * count], [0])) is not None)
    weights = random.integers(-largest, largest, (40, inputs), endpoint=True)
    weights[0] = largest
    tested = DenseLayer(weights, np.append([0], off_centre(weights, random)[1:])).within_reach()
    records = random.integers(0, 2, (20, weights.shape[1])).astype(np.uint8)
    agrees(tested, np.concatenate([records, np.ones_like(records[:1])]), fresh=True)


def test_a_narrow_layer_with_a_threshold_far_from_the_middle_is_split() -> None:
    """1,000 values are within a circuit's range if the threshold is in their middle, and not if it is at one end."""
    weights = np.ones((3, 1000), dtype=np.int64)
    assert narrowest(reach(DenseLayer(weights, np.full(3, 500))), PROFILE) is THRESHOLDS[-1]
    tested = DenseLayer(weights, np.array([3, 700, 998]))
    agrees(tested, bits_of([0, 2, 3, 699, 700, 997, 998, 1000], 1000, np.random.default_rng(0)))


def test_thresholds_far_beyond_all_sums_are_no_trouble() -> None:
    """A network moves them to the edge of what can be reached (``within_reach``); a split does not need that."""
    tested = DenseLayer(np.ones((4, 10), dtype=np.int64), np.array([-(10**6), -1, 11, 10**6]))
    agrees(tested, bits_of([0, 5, 10], 10, np.random.default_rng(0)))


def test_a_convolution_with_wide_windows_is_split() -> None:
    random = np.random.default_rng(5)
    weights = random.choice([-1, 1], (2, 300, 2, 2))
    thresholds = np.minimum(weights, 0).sum(axis=(1, 2, 3)) + np.array([1, 700])
    tested = ConvolutionLayer(weights, thresholds, 3, 3, padding=(1, 0))
    sums = reach(tested)
    assert narrowest(sums, PROFILE) is None
    bits = random.integers(0, 2, (2, tested.inputs)).astype(np.uint8)
    found = evaluated(ACCUMULATE, tested, bits, sums)
    assert found.bits.tolist() == (tested.sums(bits) >= 0).astype(int).tolist()


def test_no_sum_of_a_split_is_noisier_than_its_circuit_provides_for() -> None:
    """With many inputs in several parts, and with few at the greatest squared norm that is let in."""
    random = np.random.default_rng(7)
    budget = PROFILE.squared_norm_budget - ADDED_NORM
    wide = np.ones((1, 2100), dtype=np.int64)
    heavy = np.array([[15] * 35 + [1] * (budget - 35 * 15**2)])
    assert (heavy**2).sum() == budget
    for weights in (wide, heavy):
        tested = DenseLayer(weights, np.array([3]))
        agrees(tested, random.integers(0, 2, (1, weights.shape[1])).astype(np.uint8), count_noise=True)
    noisier = DenseLayer(np.append(heavy, [[1]], axis=1), np.array([3]))
    assert str(budget + 1) in (ACCUMULATE.refusal(noisier, reach(noisier), PROFILE) or "")
    assert ACCUMULATE.refusal(noisier, reach(noisier, fresh=True), PROFILE) is None


def test_layers_too_large_to_be_split_are_refused_by_their_numbers() -> None:
    def refusal(inputs: int, largest: int) -> str | None:
        tested = DenseLayer(np.full((1, inputs), largest), np.array([0]))
        return ACCUMULATE.refusal(tested, reach(tested, fresh=True), PROFILE)

    assert not any(refusal(inputs, 1) for inputs in range(1, WIDEST + 1))
    assert refusal(WIDEST + 1, 1) == f"{WIDEST + 1} inputs with weights up to 1 are too many to be split"
    assert refusal(2, 511) is None
    assert "weights up to 512" in (refusal(2, 512) or "")
    for largest in (2, 3, 15, 100, 300):
        most = bisect(range(1, WIDEST + 1), False, key=lambda inputs, largest=largest: bool(refusal(inputs, largest)))
        assert refusal(most, largest) is None
        assert "too many" in (refusal(most + 1, largest) or "")
        assert most * largest > 2048


def test_a_layer_too_large_to_be_split_cannot_be_evaluated() -> None:
    tested = layer([[1] * (WIDEST + 1)], [0])
    with pytest.raises(ValueError, match="too large"):
        ACCUMULATE.work(tested, reach(tested), 1, PROFILE)
    assert STRATEGIES["reduce-tree"].refusal(tested, reach(tested), PROFILE) is None


@given(st.integers(1, 511), st.integers(1, WIDEST))
def test_parts_stay_within_what_a_digit_and_the_remainder_take(largest: int, inputs: int) -> None:
    parts = parts_of(layer([[largest] * inputs], [0]))
    if parts is None:
        return
    assert parts.capacity + largest <= 2**DIGIT.message_bits
    small = max(0, inputs * largest - parts.digits * parts.capacity)
    assert 255 * parts.digits + small < 2**DIGIT.message_bits
    assert parts.digits + 1 <= ADDED_NORM
    assert 3 * (parts.digits + 1) + 1 < TOTAL.half_range
    assert parts.digits + 2 <= TOTAL.squared_norm_budget
    assert REMAINDER.half_range > 255


def test_a_split_costs_what_the_decision_record_says() -> None:
    tested = layer([[1] * 2048], [0])
    assert parts_of(tested) == Parts(1023, 2)
    work = ACCUMULATE.work(tested, reach(tested), 1, PROFILE)
    assert work.bootstraps == 3 * DIGIT.bootstraps + REMAINDER.bootstraps + TOTAL.bootstraps == 44
    assert work.depth == 2 * 10 + 9 + 5
    assert split.work(tested, 3).bootstraps == 3 * 44
    middle = layer([[1] * 2048], [1025])
    tree = STRATEGIES["reduce-tree"].work(middle, reach(middle), 1, PROFILE)
    assert tree.bootstraps == 4105


def test_the_work_of_a_split_depends_on_shape_and_largest_weight_alone() -> None:
    random = np.random.default_rng(2)
    sums = SumRange(-1500, 1500, 1500, False, "worst-case")
    works = []
    for zeros in (0.0, 0.3, 0.99):
        weights = np.where(random.random((5, 1500)) < zeros, 0, random.choice([-1, 1], (5, 1500)))
        works.append(ACCUMULATE.work(DenseLayer(weights, off_centre(weights, random)), sums, 3, PROFILE))
    assert works[0] == works[1] == works[2]
