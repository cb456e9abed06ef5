"""Sorting networks sort every sequence of bits, of any length, and cost what the literature says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from netlist_running import Cases, built, every, run

from epaas_server.strategies.adders import Form
from epaas_server.strategies.sorting import Network, at_least, pairs, sorted_bits

NETWORKS = pytest.mark.parametrize("network", list(Network))
FORMS = pytest.mark.parametrize("form", list(Form))


def exchanged(network: Network, cases: Cases) -> Cases:
    """What a network's comparisons, the larger first, make of sequences of numbers (cases, size)."""
    columns = list(cases.T)
    for i, j in pairs(network, cases.shape[1]):
        assert 0 <= i < j < cases.shape[1]
        columns[i], columns[j] = np.maximum(columns[i], columns[j]), np.minimum(columns[i], columns[j])
    return np.stack(columns, axis=1)


def descending(cases: Cases) -> Cases:
    ordered: Cases = -np.sort(-cases, axis=1)
    return ordered


@NETWORKS
@pytest.mark.parametrize("size", range(1, 13))
def test_a_network_sorts_all_zeros_and_ones_and_therefore_everything(network: Network, size: int) -> None:
    """The 0-1 principle (Knuth, The Art of Computer Programming 3, 5.3.4, theorem Z)."""
    assert (exchanged(network, every(size)) == descending(every(size))).all()


@NETWORKS
@settings(max_examples=40)
@given(size=st.integers(13, 300), seed=st.integers(0, 2**32))
def test_a_network_of_any_size_sorts(network: Network, size: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    bits = (random.random((20, size)) < random.random((20, 1))).astype(np.int64)
    cases = np.concatenate([bits, random.integers(-99, 99, (5, size)), np.arange(size)[None]])
    assert (exchanged(network, cases) == descending(cases)).all()


@pytest.mark.parametrize("power", range(1, 11))
def test_networks_of_powers_of_two_have_the_known_number_of_comparisons(power: int) -> None:
    size = 2**power
    assert len(list(pairs(Network.ODD_EVEN, size))) == (power**2 - power + 4) * size // 4 - 1
    assert len(list(pairs(Network.BITONIC, size))) == size * power * (power + 1) // 4


@NETWORKS
@pytest.mark.parametrize("size", [0, 1])
def test_nothing_is_compared_where_there_is_nothing_to_sort(network: Network, size: int) -> None:
    assert list(pairs(network, size)) == []


@NETWORKS
@pytest.mark.parametrize("size", [5, 100, 784])
def test_a_network_of_another_size_is_part_of_that_of_the_next_power_of_two(network: Network, size: int) -> None:
    whole = list(pairs(network, 1 << (size - 1).bit_length()))
    part = list(pairs(network, size))
    assert part == [pair for pair in whole if max(pair) < size]
    assert len(part) < len(whole)


@NETWORKS
@FORMS
@pytest.mark.parametrize("size", range(1, 10))
def test_bits_are_sorted_and_compared_with_a_threshold(network: Network, form: Form, size: int) -> None:
    sort = built(size, lambda b, x: sorted_bits(b, x, network, form))
    assert (run(sort, every(size)) == descending(every(size))).all()
    for threshold in range(-1, size + 3):
        netlist = built(size, lambda b, x, threshold=threshold: at_least(sorted_bits(b, x, network, form), threshold))
        expected = (every(size).sum(axis=1) >= threshold).astype(int)
        assert run(netlist, every(size))[:, 0].tolist() == expected.tolist()


@NETWORKS
@pytest.mark.parametrize("size", [2, 7, 64])
def test_a_swap_is_two_gates_or_one_and_a_levelled_sum(network: Network, size: int) -> None:
    swaps = len(list(pairs(network, size)))
    gates, fused, levelled = (
        len(built(size, lambda b, x, form=form: sorted_bits(b, x, network, form)).gates) for form in Form
    )
    assert gates == fused == 2 * swaps
    assert swaps <= levelled <= 1.3 * swaps


def test_levelled_swaps_stay_within_the_noise_of_a_gate() -> None:
    """A bit that is smaller again and again gathers noise until it is bootstrapped; the builder would refuse more."""
    netlist = built(300, lambda b, x: sorted_bits(b, x, Network.ODD_EVEN, Form.LEVELLED))
    norms = [gate.argument.squared_norm for gate in netlist.gates]
    assert 20 < max(norms) <= 98
