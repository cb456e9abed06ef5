"""What is certain, against all records that there are."""

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

from epaas_models.reliability.robustness.bounds import certain, exact, first_bounds
from epaas_shared.schema import InputSchema

threats = st.sampled_from(["bits", "columns"])
schemas = st.sampled_from([table_schema(), picture_schema(2, 2)])
BUDGETS = (0, 1, 2, 3, 5)


@given(schemas, threats, depths, seeds)
def test_bounds_of_the_first_layer_are_reached(schema: InputSchema, threat: str, hidden: int, seed: int) -> None:
    every = Enumerated.of(schema, random_network(schema, "argmax", hidden, seed))
    layer, rows = every.subject.network.layers[0], every.sample(seed)
    low, high = first_bounds(layer, every.book, every.codes[rows], every.costs(rows, threat), max(BUDGETS))
    sums = layer.sums(every.book.bits_of(every.codes))
    for place, row in enumerate(rows):
        for budget in range(max(BUDGETS) + 1):
            near = sums[every.distances(row, threat) <= budget]
            assert np.array_equal(low[budget, place], near.min(axis=0))
            assert np.array_equal(high[budget, place], near.max(axis=0))


@given(schemas, heads, threats, depths, seeds)
def test_what_is_certain_cannot_be_altered(
    schema: InputSchema, head: HeadKind, threat: str, hidden: int, seed: int
) -> None:
    network = random_network(schema, head, hidden, seed)
    every = Enumerated.of(schema, network)
    rows = every.sample(seed)
    found = certain(network, schema, every.codes[rows], every.costs(rows, threat), BUDGETS)
    assert found[0].all()
    for place, row in enumerate(rows):
        for budget, proven in zip(BUDGETS, found[:, place], strict=True):
            alterable = every.alterable(row, threat, budget)
            assert not (proven and alterable)
            if exact(network):
                assert proven or alterable


@given(schemas, heads, depths, seeds)
def test_what_is_certain_within_reach_cannot_be_altered(
    schema: InputSchema, head: HeadKind, hidden: int, seed: int
) -> None:
    network = random_network(schema, head, hidden, seed)
    every = Enumerated.of(schema, network)
    rows, random = every.sample(seed), np.random.default_rng(seed)
    ends = every.codes[[every.sample(seed + 1), every.sample(seed + 2)]]
    some = random.random(every.codes[rows].shape) < 0.5  # the others stay
    low = np.where(some, np.minimum(every.codes[rows], ends.min(axis=0)), every.codes[rows])
    high = np.where(some, np.maximum(every.codes[rows], ends.max(axis=0)), every.codes[rows])
    (found,) = certain(network, schema, every.codes[rows], every.book.reach_costs(low, high), (0,))
    for place, row in enumerate(rows):
        near = ((low[place] <= every.codes) & (every.codes <= high[place])).all(axis=1)
        alterable = bool((every.predicted[near] != every.predicted[row]).any())
        assert not (found[place] and alterable)
        if exact(network):
            assert found[place] or alterable


def test_deep_networks_are_certified_too() -> None:
    """The bounds are not so wide that they say nothing."""
    proven = 0
    for seed in range(20):
        schema = table_schema()
        for head in ("bit", "argmax", "scores"):
            network = random_network(schema, head, 2, seed)
            every = Enumerated.of(schema, network)
            rows = every.sample(seed)
            proven += int(certain(network, schema, every.codes[rows], every.costs(rows, "bits"), (1,)).sum())
    assert proven > 0
