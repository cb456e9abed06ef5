"""Greedy and random changes, against all records within the budget."""

from __future__ import annotations

import numpy as np
from enumerated_making import (
    Enumerated,
    HeadKind,
    depths,
    heads,
    picture_schema,
    random_network,
    seeds,
    table_schema,
)
from hypothesis import given
from hypothesis import strategies as st

from epaas_models.reliability.robustness.bit_flips import NEVER, GreedySearch, random_changes, standing
from epaas_models.reliability.straight_through import Twin
from epaas_shared.schema import InputSchema

threats = st.sampled_from(["bits", "columns"])
schemas = st.sampled_from([table_schema(), picture_schema(2, 2)])
MOST = 4


def quiet(done: int, of: int) -> None:
    pass


@given(schemas, heads, threats, depths, st.sampled_from([None, 1, 4]), seeds)
def test_what_greedy_changes_find_is_a_valid_record_within_the_budget(
    schema: InputSchema, head: HeadKind, threat: str, hidden: int, candidates: int | None, seed: int
) -> None:
    every = Enumerated.of(schema, random_network(schema, head, hidden, seed))
    rows = every.sample(seed)
    labels = every.predicted[rows].copy()
    labels[0] = (labels[0] + 1) % 2  # one that is wrong to begin with
    twin = Twin(every.subject, every.book.bits_of(every.codes))
    found = GreedySearch(every.subject, twin, candidates).run(
        every.codes[rows], every.costs(rows, threat), labels, most=MOST, price=1, steps=quiet
    )
    assert found.changes[0] == 0
    for row, label, changes, codes in zip(rows, labels, found.changes, found.codes, strict=True):
        (place,) = np.flatnonzero((every.codes == codes).all(axis=1))
        distance = every.distances(row, threat)[place]
        if changes == NEVER:
            assert distance <= MOST
            assert every.predicted[place] == label
        else:
            assert distance == changes <= MOST
            assert every.predicted[place] != label


@given(schemas, threats, seeds)
def test_one_neuron_is_changed_by_as_few_columns_as_possible(schema: InputSchema, threat: str, seed: int) -> None:
    every = Enumerated.of(schema, random_network(schema, "bit", 0, seed))
    rows = every.sample(seed)
    found = GreedySearch(every.subject).run(
        every.codes[rows], every.costs(rows, "columns"), every.predicted[rows], most=MOST, price=1, steps=quiet
    )
    for row, changes in zip(rows, found.changes, strict=True):
        other = every.predicted != every.predicted[row]
        nearest = every.distances(row, "columns")[other].min() if other.any() else NEVER
        assert changes == (nearest if nearest <= MOST else NEVER)


@given(schemas, heads, threats, depths, seeds)
def test_every_single_change_is_tried(schema: InputSchema, head: HeadKind, threat: str, hidden: int, seed: int) -> None:
    every = Enumerated.of(schema, random_network(schema, head, hidden, seed))
    rows = every.sample(seed)
    found = GreedySearch(every.subject).run(
        every.codes[rows], every.costs(rows, threat), every.predicted[rows], most=1, price=1, steps=quiet
    )
    assert [bool(changes == 1) for changes in found.changes] == [every.alterable(row, threat, 1) for row in rows]


@given(heads, depths, seeds)
def test_moves_that_cost_nothing_stay_within_reach_and_only_help(head: HeadKind, hidden: int, seed: int) -> None:
    schema = table_schema()
    every = Enumerated.of(schema, random_network(schema, head, hidden, seed))
    rows, others = every.sample(seed), every.codes[every.sample(seed + 1)]
    low, high = np.minimum(every.codes[rows], others), np.maximum(every.codes[rows], others)
    found = GreedySearch(every.subject).run(
        every.codes[rows], every.book.reach_costs(low, high), every.predicted[rows], most=50, price=0, steps=quiet
    )
    assert ((low <= found.codes) & (found.codes <= high)).all()
    first = every.subject.network.layers[0]
    before, after = (
        standing(every.subject.network, first.sums(every.book.bits_of(codes)), every.predicted[rows])[1]
        for codes in (every.codes[rows], found.codes)
    )
    kept = found.changes == NEVER
    assert (after[kept] <= before[kept]).all()


@given(heads, depths, seeds)
def test_the_true_class_leads_where_it_is_predicted(head: HeadKind, hidden: int, seed: int) -> None:
    every = Enumerated.of(table_schema(), random_network(table_schema(), head, hidden, seed))
    labels = np.random.default_rng(seed).integers(0, 2, len(every.codes))
    first = every.subject.network.layers[0].sums(every.book.bits_of(every.codes))
    wins, _ = standing(every.subject.network, first, labels)
    assert np.array_equal(wins, every.predicted == labels)


@given(threats, seeds)
def test_random_changes_are_as_many_as_they_say(threat: str, seed: int) -> None:
    schema = table_schema()
    every = Enumerated.of(schema, random_network(schema, "argmax", 1, seed))
    rows = every.sample(seed, rows=40)
    predicted = random_changes(
        every.subject,
        every.codes[rows],
        every.costs(rows, threat),
        most=2,
        random=np.random.default_rng(seed),
        steps=quiet,
    )
    for row, one, two in zip(rows, *predicted, strict=True):
        distances = every.distances(row, threat)
        assert one in every.predicted[distances == 1]
        assert two in every.predicted[distances == 2]
