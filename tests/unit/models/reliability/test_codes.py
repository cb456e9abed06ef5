"""Codes: the same records as bits, with the costs of changing them."""

from __future__ import annotations

import numpy as np
import pytest
from enumerated_making import (
    Enumerated,
    picture_schema,
    random_network,
    table_schema,
)

from epaas_models.reliability.robustness.codes import UNREACHABLE, CodeBook
from epaas_shared.schema import InputSchema

SCHEMAS = [table_schema(), picture_schema(2, 3)]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_codes_and_bits_are_the_same_record(schema: InputSchema) -> None:
    every = Enumerated.of(schema, random_network(schema, "bit", 0, 0))
    bits = every.book.bits_of(every.codes)
    assert len(np.unique(bits, axis=0)) == len(every.codes)
    assert np.array_equal(every.book.codes_of(bits), every.codes)


def test_codes_are_those_of_the_encoder() -> None:
    records = [
        {"bins": 0.0, "steps": -3.0, "colour": "red", "bit": 0.0},
        {"bins": 2.0, "steps": 0.5, "colour": "green", "bit": 1.0},
        {"bins": 9.0, "steps": 3.0, "colour": "mauve", "bit": 0.2},
    ]
    bits = table_schema().encode(records)
    assert CodeBook.of(table_schema()).codes_of(bits).tolist() == [[0, 0, 0, 0], [1, 2, 1, 1], [2, 3, 2, 0]]


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("hidden", [0, 1])
def test_what_the_values_of_a_record_contribute_is_its_sum(schema: InputSchema, hidden: int) -> None:
    every = Enumerated.of(schema, random_network(schema, "argmax", hidden, 3))
    layer = every.subject.network.layers[0]
    contributions = every.book.contributions(layer).toarray()
    none = layer.sums(np.zeros((1, schema.bits), dtype=np.uint8))
    sums = contributions[every.book.entries_of(every.codes)].sum(axis=1) + none
    assert np.array_equal(sums, layer.sums(every.book.bits_of(every.codes)))


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("threat", ["bits", "columns"])
def test_costs_add_up_to_the_distance(schema: InputSchema, threat: str) -> None:
    every = Enumerated.of(schema, random_network(schema, "bit", 0, 0))
    rows = every.sample(1)
    entries = every.book.entries_of(every.codes)
    for row, costs in zip(rows, every.costs(rows, threat), strict=True):
        assert np.array_equal(costs[entries].sum(axis=1), every.distances(row, threat))


def test_only_codes_within_reach_are_free() -> None:
    book = CodeBook.of(picture_schema(1, 2))
    costs = book.reach_costs(np.array([[0, 1]]), np.array([[1, 1]]))
    assert costs.tolist() == [[0, 0, UNREACHABLE, UNREACHABLE, 0, UNREACHABLE]]
