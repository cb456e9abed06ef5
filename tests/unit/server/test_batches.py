"""Any number of sums in compiled batches: nothing lost, nothing added, in order; and layers cut into blocks."""

from __future__ import annotations

import numpy as np
import pytest
from clear_circuits import ClearCircuits, messages
from hypothesis import given, settings
from hypothesis import strategies as st
from server_making import trivial

from epaas_server.circuits.definitions import CIRCUITS, DIGIT, MAJORITY, THRESHOLDS, Circuit, Kind
from epaas_server.engine.batches import Batched, batches
from epaas_server.strategies.blocks import BLOCK, block_sizes, blocks
from epaas_server.strategies.strategy import calls_of

WIDEST = THRESHOLDS[-1]
EACH = pytest.mark.parametrize("circuit", CIRCUITS, ids=lambda circuit: str(circuit.name))


@EACH
def test_batches_cover_any_count_with_little_padding(circuit: Circuit) -> None:
    for count in range(700):
        sizes = list(batches(circuit, count))
        assert set(sizes) <= set(circuit.batch_sizes)
        assert sizes == sorted(sizes, reverse=True)
        assert 0 <= sum(sizes) - count <= circuit.worth_padding
        assert sum(sizes[:-1]) < count or not sizes
        assert count > 0 or sizes == []
        assert calls_of(circuit, count).total() == len(sizes)


def test_a_few_idle_places_are_cheaper_than_another_call() -> None:
    assert list(batches(WIDEST, 61)) == [32, 16, 8, 4, 1]
    assert list(batches(WIDEST, 62)) == [64]
    assert list(batches(WIDEST, 100)) == [64, 32, 4]
    assert list(batches(MAJORITY, 247)) == [128, 64, 32, 16, 8]
    assert list(batches(MAJORITY, 248)) == [256]


def test_progress_is_told_after_each_call() -> None:
    circuits, told = ClearCircuits(), list[int]()
    Batched(circuits, told.append)(WIDEST, trivial(np.zeros(100), 1))
    assert dict(circuits.calls) == {(WIDEST, 64): 1, (WIDEST, 32): 1, (WIDEST, 4): 1}
    assert told == [9 * 64, 9 * 32, 9 * 4]


@EACH
@settings(max_examples=30)
@given(count=st.integers(1, 300), seed=st.integers(0, 2**32))
def test_padding_is_neither_counted_nor_returned_and_the_order_is_kept(circuit: Circuit, count: int, seed: int) -> None:
    """Each of four sums gives what it gives alone."""
    shift = 63 - (circuit.message_bits if circuit.kind is Kind.GATE else 2)
    four = np.arange(4, dtype=np.uint64)[:, None] << np.uint64(shift)
    alone = messages(np.concatenate([ClearCircuits()(circuit, four[[index]]) for index in range(4)]))
    chosen = np.random.default_rng(seed).integers(0, 4, count)
    told: list[int] = []
    sums = four[chosen]
    found = Batched(ClearCircuits(), told.append)(circuit, sums)
    assert (sums == four[chosen]).all()
    assert sum(told) == count * circuit.bootstraps
    assert found.shape == (circuit.outputs * count, 1)
    expected = alone.reshape(4, circuit.outputs)[chosen]
    assert messages(found).reshape(circuit.outputs, count).T.tolist() == expected.tolist()


def test_the_outputs_of_a_digit_come_as_all_numbers_and_then_all_places() -> None:
    sums = trivial(np.array([0, 255, 256, 700, 1023]), 1)
    found = messages(Batched(ClearCircuits(), lambda _: None)(DIGIT, sums))
    assert found.tolist() == [0, 0, 1, 2, 3, 0, 0, 256, 512, 768]


@given(st.integers(1, 9), st.integers(1, 900))
def test_blocks_are_all_neurons_of_all_records_in_order(records: int, outputs: int) -> None:
    found = list(blocks(records, outputs))
    pairs = [(record, output) for runs in found for record, first, end in runs for output in range(first, end)]
    assert pairs == [(record, output) for record in range(records) for output in range(outputs)]
    sizes = [sum(end - first for _, first, end in runs) for runs in found]
    assert sizes == block_sizes(records, outputs)
    assert max(sizes) <= BLOCK
    assert all(size == BLOCK for size in sizes[:-1])
