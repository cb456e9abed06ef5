"""Adders, trees and comparators against integers, in all forms, and what they cost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from netlist_running import built, every, numbers, run

from epaas_server.strategies.adders import LEVELLED_NORM, Form, add, adder, at_least, constant, not_less, sum_of
from epaas_server.strategies.netlist import ONE, ZERO, Builder, Netlist, Wire

FORMS = pytest.mark.parametrize("form", list(Form))
WIDE = 784


@FORMS
@pytest.mark.parametrize("bits", [2, 3])
def test_an_adder_gives_the_two_digits_of_the_sum(form: Form, bits: int) -> None:
    netlist = built(bits, lambda b, x: list(adder(b, x, form)))
    assert numbers(run(netlist, every(bits))).tolist() == every(bits).sum(axis=1).tolist()


@pytest.mark.parametrize(("form", "half", "full"), [(Form.GATES, 2, 5), (Form.FUSED, 2, 2), (Form.LEVELLED, 1, 1)])
def test_an_adder_costs_what_the_thesis_counts_or_less(form: Form, half: int, full: int) -> None:
    assert len(built(2, lambda b, x: list(adder(b, x, form))).gates) == half
    assert len(built(3, lambda b, x: list(adder(b, x, form))).gates) == full
    ripple = built(11, lambda b, x: add(b, x[:5], x[5:10], None, form))
    assert len(ripple.gates) == half + 4 * full
    with_carry = built(11, lambda b, x: add(b, x[:5], x[5:10], x[10], form))
    assert len(with_carry.gates) == 5 * full


def test_a_levelled_adder_bootstraps_its_sum_bit_only_when_that_becomes_too_noisy() -> None:
    """Each stage adds two bits and twice a carry to the noise: 1 + 1 + 4."""
    stages = 20
    b = Builder(2 * stages + 1)
    total, costs, norms = b.input(0), [], []
    for stage in range(stages):
        before = len(b.netlist().gates)
        total, _ = adder(b, [total, b.input(2 * stage + 1), b.input(2 * stage + 2)], Form.LEVELLED)
        costs.append(len(b.netlist().gates) - before)
        norms.append(total.squared_norm)
    assert costs == ([1] * 7 + [2]) * 2 + [1] * 4
    assert norms[:8] == [7, 13, 19, 25, 31, 37, 43, 1]
    assert max(norms) <= LEVELLED_NORM


@FORMS
@settings(max_examples=60)
@given(
    first=st.integers(0, 4),
    second=st.integers(0, 4),
    clear=st.integers(1, 9),
    carry=st.sampled_from(["none", "zero", "one", "input"]),
)
def test_numbers_are_added(form: Form, first: int, second: int, clear: int, carry: str) -> None:
    """Two numbers of so many bits and maybe a carry, and a clear number to their sum."""
    inputs = first + second + 1

    def build(b: Builder, x: list[Wire]) -> list[Wire]:
        carried = {"none": None, "zero": ZERO, "one": ONE, "input": x[-1]}[carry]
        total = add(b, x[:first], x[first : first + second], carried, form)
        return add(b, total, constant(clear), None, form)

    cases = every(inputs)
    expected = numbers(cases[:, :first]) + numbers(cases[:, first : first + second]) + clear
    expected += {"none": 0, "zero": 0, "one": 1, "input": cases[:, -1]}[carry]
    assert numbers(run(built(inputs, build), cases)).tolist() == expected.tolist()


@FORMS
@settings(max_examples=60)
@given(
    singles=st.integers(0, 6),
    widths=st.lists(st.integers(1, 3), max_size=2),
    clear=st.lists(st.integers(0, 20), max_size=2),
)
def test_a_tree_is_the_sum_of_bits_and_numbers(form: Form, singles: int, widths: list[int], clear: list[int]) -> None:
    ends = np.cumsum([singles, *widths])
    cases = every(int(ends[-1]))

    def build(b: Builder, x: list[Wire]) -> list[Wire]:
        wide = [x[end - width : end] for end, width in zip(ends[1:], widths, strict=True)]
        return list(sum_of(b, x[:singles], [*wide, *map(constant, clear)], form))

    parts = [numbers(cases[:, end - width : end]) for end, width in zip(ends[1:], widths, strict=True)]
    expected = cases[:, :singles].sum(axis=1) + sum(parts) + sum(clear)
    assert numbers(run(built(int(ends[-1]), build), cases)).tolist() == expected.tolist()


@FORMS
@pytest.mark.parametrize("inputs", [1, 2, 3, 7, 8, 100, WIDE])
def test_a_wide_tree_counts_ones(form: Form, inputs: int) -> None:
    random = np.random.default_rng(inputs)
    some = (random.random((50, inputs)) < random.random((50, 1))).astype(np.int64)
    cases = np.concatenate([some, np.zeros((1, inputs), dtype=np.int64), np.ones((1, inputs), dtype=np.int64)])
    netlist = tree(form, inputs)
    assert numbers(run(netlist, cases)).tolist() == cases.sum(axis=1).tolist()
    needless = 0 if form is not Form.GATES else 1
    assert len(netlist.outputs) <= inputs.bit_length() + needless


def tree(form: Form, inputs: int) -> Netlist:
    return built(inputs, lambda b, x: list(sum_of(b, x, [], form)))


def test_a_wide_tree_is_much_cheaper_where_adders_are_fused() -> None:
    """About one adder an input; the thesis's trees have half adders in addition."""
    gates, fused, levelled = (len(tree(form, WIDE).gates) for form in (Form.GATES, Form.FUSED, Form.LEVELLED))
    assert gates >= 2 * fused
    assert fused <= 2 * WIDE
    assert fused >= 1.7 * levelled
    assert tree(Form.FUSED, WIDE).depth < tree(Form.GATES, WIDE).depth


def test_a_tree_of_all_ones_but_one_consists_of_full_adders() -> None:
    """2**k - 1 bits: one full adder takes three bits to two, so 2**k - 1 - k of them are needed and enough."""
    for digits in range(2, 9):
        inputs = 2**digits - 1
        assert len(tree(Form.FUSED, inputs).gates) == 2 * (inputs - digits)


@FORMS
@pytest.mark.parametrize("width", range(1, 6))
def test_a_number_is_compared_with_a_clear_threshold(form: Form, width: int) -> None:
    for threshold in range(-2, 2**width + 3):
        netlist = built(width, lambda b, x, threshold=threshold: at_least(b, x, threshold, form))
        expected = (numbers(every(width)) >= threshold).astype(int)
        assert run(netlist, every(width))[:, 0].tolist() == expected.tolist()
        if not 0 < threshold < 2**width + 1:
            assert netlist.gates == ()
        elif form is Form.GATES:
            assert len(netlist.gates) == (2 * width if threshold <= 2**width else 0)
        else:
            assert len(netlist.gates) <= width - 1


@FORMS
@pytest.mark.parametrize(("own", "other"), [(1, 1), (3, 3), (5, 2), (2, 5), (0, 2), (2, 0), (0, 0)])
def test_two_numbers_are_compared(form: Form, own: int, other: int) -> None:
    netlist = built(own + other, lambda b, x: not_less(b, x[:own], x[own:], form))
    cases = every(own + other)
    expected = (numbers(cases[:, :own]) >= numbers(cases[:, own:])).astype(int)
    assert run(netlist, cases)[:, 0].tolist() == expected.tolist()


@pytest.mark.parametrize("width", [1, 4, 9])
def test_a_comparator_is_a_xor_and_a_mux_of_two_bootstraps_a_bit_or_one_majority(width: int) -> None:
    costs = [
        len(built(2 * width, lambda b, x, form=form: not_less(b, x[:width], x[width:], form)).gates) for form in Form
    ]
    assert costs == [3 * width, width, width]


@given(st.integers(0, 5000))
def test_a_clear_number_is_its_digits(value: int) -> None:
    number = constant(value)
    assert sum(bit.constant << place for place, bit in enumerate(number)) == value
    assert all(bit in (ZERO, ONE) for bit in number)
    assert len(number) == value.bit_length()
