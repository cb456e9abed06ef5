"""The encrypted evaluation, with ciphertexts that hide nothing: what it does to messages is what the network does."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from server_making import SHIFT, trivial

from epaas_server.circuits.definitions import BATCH_SIZES, DENSE, Circuit
from epaas_server.engine.evaluate import batches, bootstraps, evaluate_layer
from epaas_server.engine.levelled import weighted_sums
from epaas_shared.network import DenseLayer, Network, check_fits
from epaas_shared.profile import default_profile

PROFILE = default_profile()
WORST_PADDING = 3


class ClearBootstrapper:
    """[message >= 512] of ciphertexts without mask and noise: what the compiled circuit is compiled to do.

    Refuses a message that the encoding does not have, as noise in the padding bit would spoil it.
    """

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, circuit: Circuit, sums: NDArray[np.uint64]) -> NDArray[np.uint64]:
        assert circuit is DENSE
        assert len(sums) in BATCH_SIZES
        assert not sums[:, :-1].any()
        messages, noise = np.divmod(sums[:, -1], np.uint64(1 << SHIFT))
        assert not noise.any()
        assert (messages < 1024).all(), "the sum left the range of the encoding"
        self.calls.append(len(sums))
        return trivial(messages >= 512, sums.shape[1])


def messages(ciphertexts: NDArray[np.uint64]) -> NDArray[np.uint64]:
    assert not ciphertexts[..., :-1].any()
    result: NDArray[np.uint64] = ciphertexts[..., -1] >> np.uint64(SHIFT)
    return result


def evaluate(network: Network, bits: NDArray[np.uint8], advance: Callable[[int], None]) -> NDArray[np.uint64]:
    ciphertexts = trivial(bits)
    for layer in network.layers:
        ciphertexts = evaluate_layer(layer, ciphertexts, PROFILE, ClearBootstrapper(), advance)
    return messages(ciphertexts)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Thresholds on, beside and beyond the sums that occur, up to the ends of the profile's range."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    largest = draw(st.sampled_from([1, 1, 3, 8]))
    widths = draw(st.lists(st.integers(1, 60), min_size=2, max_size=4))
    layers = []
    for inputs, outputs in pairwise(widths):
        weights = random.integers(-largest, largest, (outputs, inputs), endpoint=True)
        low, high = np.minimum(weights, 0).sum(axis=1), np.maximum(weights, 0).sum(axis=1)
        choices = np.stack(
            [
                weights @ random.integers(0, 2, inputs),
                weights @ random.integers(0, 2, inputs) + 1,
                low,
                low - 1,
                high,
                high + 1,
                high - PROFILE.sum_maximum,
                low - PROFILE.sum_minimum,
            ]
        )
        thresholds = np.clip(
            choices[random.integers(0, len(choices), outputs), np.arange(outputs)], high - 511, low + 512
        )
        layers.append(DenseLayer(weights, thresholds))
    return Network(tuple(layers))


@settings(max_examples=80)
@given(networks(), st.integers(1, 3), st.integers(0, 2**32))
def test_messages_become_what_the_plain_network_says(network: Network, records: int, seed: int) -> None:
    check_fits(network, PROFILE, [slice(index, index + 1) for index in range(network.inputs)])
    bits = np.random.default_rng(seed).integers(0, 2, (records, network.inputs), dtype=np.uint8)
    told: list[int] = []
    assert evaluate(network, bits, told.append).tolist() == network.evaluate(bits).tolist()
    assert sum(told) == records * bootstraps(network, PROFILE)
    assert all(count > 0 for count in told)


@pytest.mark.parametrize("distance", [-512, -1, 0, 1, 511])
def test_a_threshold_decides_exactly_over_the_whole_range(distance: int) -> None:
    layer = DenseLayer(np.array([[1]]), np.array([1 - distance]))  # the sum for a set bit is ``distance``
    output = evaluate_layer(layer, trivial(np.ones((1, 1))), PROFILE, ClearBootstrapper(), lambda _: None)
    assert messages(output).tolist() == [[int(distance >= 0)]]


@pytest.mark.parametrize("distance", [-513, 512])
def test_a_sum_outside_the_range_would_be_noticed_here(distance: int) -> None:
    layer = DenseLayer(np.array([[1]]), np.array([1 - distance]))
    with pytest.raises(AssertionError, match="left the range"):
        evaluate_layer(layer, trivial(np.ones((1, 1))), PROFILE, ClearBootstrapper(), lambda _: None)


def test_progress_is_told_after_each_block() -> None:
    layer = DenseLayer(np.ones((100, 2), dtype=np.int64), np.ones(100, dtype=np.int64))
    bootstrapper = ClearBootstrapper()
    told: list[int] = []
    evaluate_layer(layer, trivial(np.ones((1, 2))), PROFILE, bootstrapper, told.append)
    assert bootstrapper.calls == [64, 32, 4]
    assert told == [9 * 64, 9 * 32, 9 * 4]


def test_padding_is_neither_counted_nor_returned() -> None:
    layer = DenseLayer(np.ones((61, 2), dtype=np.int64), np.ones(61, dtype=np.int64))
    bootstrapper = ClearBootstrapper()
    told: list[int] = []
    output = evaluate_layer(layer, trivial(np.ones((1, 2))), PROFILE, bootstrapper, told.append)
    assert bootstrapper.calls == [64]
    assert told == [9 * 61]
    assert output.shape == (1, 61, 5)


@pytest.mark.parametrize("count", range(301))
def test_batches_cover_any_count_with_little_padding(count: int) -> None:
    sizes = list(batches(count))
    assert set(sizes) <= set(BATCH_SIZES)
    assert sizes == sorted(sizes, reverse=True)
    assert 0 <= sum(sizes) - count <= WORST_PADDING
    assert sum(sizes[:-1]) < count or not sizes
    assert count > 0 or sizes == []


def test_cost_depends_on_the_shape_alone() -> None:
    random = np.random.default_rng(0)
    shape = [(7, 5), (3, 7), (1, 3)]
    costs = {
        bootstraps(
            Network(tuple(DenseLayer(random.integers(-3, 3, (p, d)), random.integers(-9, 9, p)) for p, d in shape)),
            PROFILE,
        )
        for _ in range(5)
    }
    assert costs == {(7 + 3 + 1) * 9}


def python_sums(layer: DenseLayer, record: list[list[int]]) -> list[list[int]]:
    """Weighted sums of ciphertexts in Python's integers."""
    totals = []
    for weights, threshold in zip(layer.weights.tolist(), layer.thresholds.tolist(), strict=True):
        words = [sum(w * x for w, x in zip(weights, column, strict=True)) for column in zip(*record, strict=True)]
        words[-1] += (512 - threshold) << SHIFT
        totals.append([word % 2**64 for word in words])
    return totals


WEIGHTS = st.sampled_from([0, 1, -1, 2, 63, -63, 32767, -32768]) | st.integers(-32768, 32767)


@st.composite
def layers_and_ciphertexts(draw: st.DrawFn) -> tuple[DenseLayer, NDArray[np.uint64]]:
    records, inputs, outputs, words = (draw(st.integers(1, most)) for most in (3, 8, 4, 6))
    weights = draw(st.lists(WEIGHTS, min_size=inputs * outputs, max_size=inputs * outputs))
    thresholds = draw(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=outputs, max_size=outputs))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    ciphertexts = random.integers(0, 2**64, (records, inputs, words), dtype=np.uint64)
    if draw(st.booleans()):
        ciphertexts[:] = np.uint64(2**64 - 1)
    return DenseLayer(np.array(weights).reshape(outputs, inputs), np.array(thresholds)), ciphertexts


@given(layers_and_ciphertexts())
def test_weighted_sums_are_exact_modulo_the_torus(drawn: tuple[DenseLayer, NDArray[np.uint64]]) -> None:
    layer, ciphertexts = drawn
    before = ciphertexts.copy()
    sums = weighted_sums(layer, ciphertexts, PROFILE)
    assert sums.dtype == np.uint64
    assert sums.tolist() == [python_sums(layer, record) for record in ciphertexts.tolist()]
    assert (ciphertexts == before).all()


def test_weighted_sums_of_many_full_ciphertexts_are_exact() -> None:
    random = np.random.default_rng(1)
    layer = DenseLayer(random.integers(-63, 64, (3, 400)), random.integers(-500, 500, 3))
    ciphertexts = random.integers(0, 2**64, (1, 400, PROFILE.ciphertext_words), dtype=np.uint64)
    (sums,) = weighted_sums(layer, ciphertexts, PROFILE)
    columns = [0, 1, 777, PROFILE.ciphertext_words - 1]
    assert sums[:, columns].tolist() == python_sums(layer, ciphertexts[0][:, columns].tolist())


@given(layers_and_ciphertexts())
def test_weighted_sums_do_not_depend_on_what_is_computed_beside_them(
    drawn: tuple[DenseLayer, NDArray[np.uint64]],
) -> None:
    layer, ciphertexts = drawn
    together = weighted_sums(layer, ciphertexts, PROFILE)
    for record in range(len(ciphertexts)):
        for neuron in range(layer.outputs):
            alone = DenseLayer(layer.weights[neuron : neuron + 1], layer.thresholds[neuron : neuron + 1])
            sums = weighted_sums(alone, ciphertexts[record : record + 1], PROFILE)
            assert (sums[0, 0] == together[record, neuron]).all()


def test_weights_that_would_make_sums_inexact_are_refused() -> None:
    ciphertexts = np.full((1, 4, 2), 2**64 - 1, dtype=np.uint64)
    exact = DenseLayer(np.full((1, 4), 2**34), np.zeros(1, dtype=np.int64))
    assert weighted_sums(exact, ciphertexts, PROFILE).tolist() == [python_sums(exact, ciphertexts[0].tolist())]
    with pytest.raises(ValueError, match="too large"):
        weighted_sums(DenseLayer(np.full((1, 4), 2**35), np.zeros(1, dtype=np.int64)), ciphertexts, PROFILE)
