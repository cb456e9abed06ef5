"""The cost of an evaluation: its work is what is done, its seconds and bytes follow from the work and the rates."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from clear_circuits import ClearCircuits
from cost_making import RATES, cost
from hypothesis import given
from hypothesis import strategies as st
from server_making import BundleParts, layer, toy_schema, trivial

from epaas_server.bundles import read_bundle
from epaas_server.circuits.definitions import CIRCUITS, DIGIT, GATES, STEP, THRESHOLDS, Circuit
from epaas_server.cost import EvaluationCost
from epaas_server.engine.batches import Batched
from epaas_server.engine.evaluate import evaluate_layer
from epaas_server.plan import cost_of, make_plan
from epaas_server.strategies import Work
from epaas_shared.network import Network
from epaas_shared.profile import Profile

NETWORK = Network(
    (
        layer(np.random.default_rng(1).choice([-1, 1], (5, 28)), [3, 0, -2, 1, 0]),
        layer([[1, -1, 1, 0, 1], [0, 1, 1, -1, 1], [1, 1, -1, 1, -1]], [1, 1, 0]),
    )
)
"""Three classes, which two layers of a head compare."""


@pytest.mark.parametrize(
    ("circuit", "seconds"),
    [
        (THRESHOLDS[0], 4 * 0.01 + 0.1),
        (THRESHOLDS[-1], 8 * 0.01 + 0.1),
        (DIGIT, 8 * 0.01 + 2 * 0.1),
        (STEP, 0.1),
        *((gate, 0.1) for gate in GATES),
    ],
    ids=lambda value: value.name if isinstance(value, Circuit) else "",
)
def test_a_sum_takes_its_extractions_and_its_precise_bootstraps(circuit: Circuit, seconds: float) -> None:
    assert RATES.sum_seconds(circuit) == pytest.approx(seconds)


@pytest.mark.parametrize(("batch", "rounds"), [(1, 1), (2, 1), (4, 1), (8, 2), (64, 16)])
def test_a_call_takes_its_fixed_time_and_the_sums_of_the_busiest_thread(batch: int, rounds: int) -> None:
    assert RATES.call_seconds(THRESHOLDS[0], batch) == pytest.approx(1.0 + rounds * 0.14)


def test_a_batch_that_threads_do_not_divide_waits_for_the_last_of_them() -> None:
    rates = RATES.model_copy(update={"threads": 3})
    assert [round(rates.call_seconds(GATES[0], batch), 9) for batch in (1, 2, 4, 8, 16)] == [1.1, 1.1, 1.2, 1.3, 1.6]


def test_the_cost_of_layers_is_that_of_one_after_the_other() -> None:
    narrow, gate = THRESHOLDS[0], GATES[0]
    first = Work(35, 5, Counter({(narrow, 4): 1, (narrow, 2): 1}), products=100, live_ciphertexts=14)
    second = Work(12, 7, Counter({(narrow, 2): 1, (gate, 8): 3}), products=0, live_ciphertexts=40)
    summed = EvaluationCost.of([first, second], [(50, 6), (6, 2)], values=2)
    assert (summed.bootstraps, summed.depth, summed.products) == (47, 12, 100)
    assert summed.calls == {narrow.name: {4: 1, 2: 2}, gate.name: {8: 3}}
    assert (summed.inputs, summed.values) == (50, 2)
    assert summed.peak_ciphertexts == 50 + 14, "the first layer with its inputs is larger than the second with its own"


def test_the_seconds_of_one_record_are_those_of_its_calls_and_its_arithmetic() -> None:
    priced = cost(
        calls={"threshold6": {64: 2, 4: 1}, "majority": {256: 3, 1: 2}}, products=1_000, inputs=784, values=10
    )
    calls = 2 * (1 + 16 * 0.14) + (1 + 0.14) + 3 * (1 + 64 * 0.1) + 2 * (1 + 0.1)
    assert priced.seconds(RATES) == pytest.approx(calls + 1_000 * 0.001 + 784 * 0.0001 + 10 * 0.00001)


def test_records_together_fill_a_call() -> None:
    """One sum a record: in batches of 1, of 2, of 16, and of 64 and 16 together."""
    seconds = [cost().seconds(RATES, records) for records in (1, 2, 16, 80)]
    assert seconds == pytest.approx([1 + 0.14, 1 + 0.14, 1 + 4 * 0.14, 2 + 20 * 0.14])


def test_records_share_nothing_where_each_fills_its_calls() -> None:
    full = cost(calls={"threshold6": {64: 3}}, products=10, inputs=10, values=1)
    assert full.seconds(RATES, 7) == pytest.approx(7 * full.seconds(RATES))


CALLS = st.dictionaries(
    st.sampled_from([circuit.name for circuit in CIRCUITS]),
    st.dictionaries(st.sampled_from([1, 2, 4, 8, 16, 32, 64]), st.integers(1, 5), min_size=1),
    min_size=1,
)


@given(calls=CALLS, records=st.integers(2, 64))
def test_more_records_together_cost_more_in_all_and_less_each(calls: dict[str, dict[int, int]], records: int) -> None:
    alone, together = (cost(calls=calls, products=5).seconds(RATES, number) for number in (1, records))
    assert alone - 1e-9 <= together <= records * alone + 1e-9


def test_bytes_follow_from_the_numbers_of_ciphertexts(profile: Profile) -> None:
    sized = cost(peak_ciphertexts=1_000, inputs=90, values=4)
    assert sized.memory_bytes(RATES, profile) == 500_000_000 + 1_000 * 8 * 2049
    assert sized.record_bytes() == 90 * 24
    assert sized.result_bytes(profile) == 4 * 8 * 2049


def test_a_cost_survives_its_way_through_the_database() -> None:
    told = cost(calls={"threshold6": {64: 2}, "majority": {1: 1}})
    assert EvaluationCost.model_validate_json(told.model_dump_json()) == told


@pytest.mark.parametrize(
    "strategies",
    [[], ["reduce-tree"], ["sorting-network+1"], ["approximate"], ["accumulate", "reduce-tree-levelled"]],
    ids=" ".join,
)
def test_the_cost_of_a_plan_is_the_work_that_its_evaluation_does(
    strategies: list[str], tmp_path: Path, profile: Profile
) -> None:
    schema = toy_schema(10, 9, 9).model_copy(update={"classes": ("a", "b", "c")})
    bundle = read_bundle(BundleParts.of(NETWORK, schema).write(tmp_path / "bundle"))
    plan = make_plan(bundle, strategies)
    priced = cost_of(bundle, plan)

    circuits = ClearCircuits()
    done: list[int] = []
    by_layer = []
    bits = trivial(schema.encode([{"f0": 3.5, "f1": 1.0, "f2": 8.0}]), words=1)
    for evaluated, planned in zip(bundle.network.evaluated_layers, plan.layers, strict=True):
        before = sum(done)
        bits = np.concatenate(list(evaluate_layer(evaluated, planned, bits, profile, Batched(circuits, done.append))))
        bits = bits[None]
        by_layer.append(sum(done) - before)

    assert by_layer == [planned.bootstraps for planned in plan.layers]
    assert priced.bootstraps == sum(by_layer)
    assert priced.calls == {
        circuit.name: {size: times for (other, size), times in circuits.calls.items() if other is circuit}
        for circuit, _ in circuits.calls
    }
    assert (priced.inputs, priced.values) == (28, 2)
