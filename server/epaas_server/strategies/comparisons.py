"""Netlists of a neuron: [sum of weighted bits >= threshold] by a reduce tree or a sorting network.

A neuron's negative weights are positive ones of negated bits, so that here all weights are positive; weights above 1
are several columns of a tree or several wires of a network. Netlists depend on the weights' sizes and the threshold
only, and are shared by all neurons that have the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from epaas_server.circuits.definitions import AND3, MAJORITY
from epaas_server.strategies import adders, sorting
from epaas_server.strategies.adders import Form
from epaas_server.strategies.netlist import ONE, Builder, Netlist, Wire, pruned


class Comparison(Protocol):
    """A family of circuits for thresholds over sums. Instances are immutable and hashable."""

    @property
    def takes_single(self) -> bool:
        """Whether :meth:`against_total` has a circuit where there are ``single`` inputs."""
        ...

    def direct(self, weights: tuple[int, ...], threshold: int) -> Netlist:
        """[sum_i weights_i x_i >= threshold], 0 < threshold <= sum of the weights."""
        ...

    def total(self, inputs: int, offset: int) -> Netlist:
        """X = sum of all inputs + offset, in the form that :meth:`against_total` compares with (thesis 8.4.2)."""
        ...

    def against_total(self, doubled: int, single: int, clear: int, total: int, negated: bool) -> Netlist | None:
        """[2 P + Z + clear >= X], negated or not, None where this family has no such circuit.

        P is the number of ones among the first ``doubled`` inputs, Z among the next ``single``, and X is in the last
        ``total`` inputs. ``clear`` is not negative.
        """
        ...


@dataclass(frozen=True)
class ReduceTree:
    form: Form

    takes_single = True

    def direct(self, weights: tuple[int, ...], threshold: int) -> Netlist:
        return _tree(self.form, weights, threshold)

    def total(self, inputs: int, offset: int) -> Netlist:
        return _tree_total(_shared(self.form), inputs, offset)

    def against_total(self, doubled: int, single: int, clear: int, total: int, negated: bool) -> Netlist | None:
        return _tree_against_total(self.form, doubled, single, clear, total, negated)


@dataclass(frozen=True)
class SortingNetwork:
    network: sorting.Network
    form: Form

    takes_single = False

    def direct(self, weights: tuple[int, ...], threshold: int) -> Netlist:
        return _sort(self.network, self.form, weights, threshold)

    def total(self, inputs: int, offset: int) -> Netlist:
        return _sort_total(self.network, _shared(self.form), inputs, offset)

    def against_total(self, doubled: int, single: int, clear: int, total: int, negated: bool) -> Netlist | None:
        if single:
            return None
        return _sort_against_total(self.network, self.form, doubled, clear, total, negated)


def _shared(form: Form) -> Form:
    """Many neurons read the total, each as a bit of its own: its noise must be that of one."""
    return Form.FUSED if form is Form.LEVELLED else form


def _finished(b: Builder, form: Form, outcome: Wire) -> Netlist:
    """With an output as noisy as a bit, and never a levelled one."""
    if outcome.terms and (outcome.squared_norm > 1 or outcome.terms[0][0] < b.inputs):
        outcome = b.bootstrap(MAJORITY, outcome * 2)
    netlist = b.netlist(outcome)
    return netlist if form is Form.GATES else pruned(netlist)


@lru_cache(maxsize=64)
def _tree(form: Form, weights: tuple[int, ...], threshold: int) -> Netlist:
    b = Builder(len(weights))
    bits = [b.input(i) for i, weight in enumerate(weights) if weight == 1]
    numbers = [_multiple(b.input(i), weight) for i, weight in enumerate(weights) if weight > 1]
    return _finished(b, form, adders.at_least(b, adders.sum_of(b, bits, numbers, form), threshold, form))


def _multiple(bit: Wire, weight: int) -> list[Wire]:
    return [bit * one.constant for one in adders.constant(weight)]


@lru_cache(maxsize=64)
def _tree_total(form: Form, inputs: int, offset: int) -> Netlist:
    b = Builder(inputs)
    total = adders.sum_of(b, [b.input(i) for i in range(inputs)], [adders.constant(offset)], form)
    return b.netlist(*total)


@lru_cache(maxsize=64)
def _tree_against_total(form: Form, doubled: int, single: int, clear: int, total: int, negated: bool) -> Netlist:
    b = Builder(doubled + single + total)
    inputs = [b.input(i) for i in range(b.inputs)]
    half = adders.sum_of(b, inputs[:doubled], [adders.constant(clear >> 1)], form)
    own = adders.sum_of(b, inputs[doubled : doubled + single], [[Wire(clear & 1), *half]], form)
    outcome = adders.not_less(b, own, inputs[doubled + single :], form)
    return _finished(b, form, ~outcome if negated else outcome)


@lru_cache(maxsize=64)
def _sort(network: sorting.Network, form: Form, weights: tuple[int, ...], threshold: int) -> Netlist:
    b = Builder(len(weights))
    wires = [b.input(i) for i, weight in enumerate(weights) for _ in range(weight)]
    return _finished(b, form, sorting.at_least(sorting.sorted_bits(b, wires, network, form), threshold))


@lru_cache(maxsize=64)
def _sort_total(network: sorting.Network, form: Form, inputs: int, offset: int) -> Netlist:
    b = Builder(inputs)
    ordered = sorting.sorted_bits(b, [b.input(i) for i in range(inputs)], network, form)
    return b.netlist(*[ONE] * offset, *ordered)


@lru_cache(maxsize=64)
def _sort_against_total(
    network: sorting.Network, form: Form, doubled: int, clear: int, total: int, negated: bool
) -> Netlist:
    """2 P + clear >= X exactly if for every i, X >= clear + 2 i - 1 implies P >= i."""
    b = Builder(doubled + total)
    own = sorting.sorted_bits(b, [b.input(i) for i in range(doubled)], network, form)
    conditions = []
    for least in range(1, doubled + 2):
        reached = clear + 2 * least - 1
        if reached <= total:
            others = b.input(doubled + reached - 1)
            conditions.append(b.either(~others, sorting.at_least(own, least)))
    while len(conditions) > 1:
        conditions, rest = [], conditions
        for start in range(0, len(rest), 3):
            group = rest[start : start + 3]
            table = AND3 if len(group) == 3 else MAJORITY
            conditions.append(b.gate(table, sum(group[1:], group[0])) if len(group) > 1 else group[0])
    outcome = conditions[0] if conditions else ONE
    return _finished(b, form, ~outcome if negated else outcome)
