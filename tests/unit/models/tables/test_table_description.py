"""What a provider says of a table is checked entry by entry."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tables_making import describe

from epaas_models.tables import TableDescription, description_of, parse_description
from epaas_shared.errors import InvalidTable

LEAST = {"task": "visits", "label": "again"}
TOML = """
task = "visits"
label = "again"
missing = ["NA"]
subgroups = ["town"]

[columns.age]
minimum = 0
maximum = 120
units = "years"

[columns.town]
categories = ["A", "B"]
missing = ["none"]

[columns.code]
type = "category"
"""


def test_a_description_is_json_or_toml() -> None:
    described = parse_description(TOML)
    assert parse_description(json.dumps(described.model_dump(exclude_unset=True))) == described
    assert parse_description(described.model_dump_json()) == described
    assert [described.column(name).kind for name in ("age", "town", "code", "other")] == [
        "number",
        "category",
        "category",
        None,
    ]
    assert described.marks("town") == {"", "NA", "none"}
    assert described.marks("age") == {"", "NA"}


def test_a_task_and_a_label_are_enough() -> None:
    assert description_of(LEAST) == TableDescription(task="visits", label="again")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"task": None}, "task"),
        ({"task": "My Visits"}, "task"),
        ({"task": "mnist"}, "task"),
        ({"label": ""}, "label"),
        ({"label": 3}, "label"),
        ({"labels": "again"}, "labels"),
        ({"classes": ["yes"]}, "classes"),
        ({"classes": ["yes", "yes"]}, "classes"),
        ({"classes": ["yes", " no"]}, "classes.1"),
        ({"columns": {"again": {}}}, "columns"),
        ({"columns": {"age": {"type": "float"}}}, "columns.age.type"),
        ({"columns": {"age": {"min": 3}}}, "columns.age.min"),
        ({"columns": {"age": {"minimum": "low"}}}, "columns.age.minimum"),
        ({"columns": {"age": {"minimum": float("nan")}}}, "columns.age.minimum"),
        ({"columns": {"age": {"minimum": 3, "maximum": 3}}}, "columns.age"),
        ({"columns": {"age": {"type": "category", "minimum": 3}}}, "columns.age"),
        ({"columns": {"age": {"type": "number", "categories": ["a"]}}}, "columns.age"),
        ({"columns": {"age": {"maximum": 3, "categories": ["a"]}}}, "columns.age"),
        ({"columns": {"town": {"categories": ["a", "a"]}}}, "columns.town.categories"),
        ({"group": "again"}, "group"),
        ({"group": "who", "columns": {"who": {}}}, "group"),
        ({"subgroups": ["again"]}, "subgroups"),
        ({"group": "who", "subgroups": ["who"]}, "subgroups"),
        ({"columns": {"town": {"type": "ignore"}}, "subgroups": ["town"]}, "subgroups"),
        ({"delimiter": '"'}, "delimiter"),
        ({"delimiter": ",,"}, "delimiter"),
        ({"delimiter": "a"}, "delimiter"),
        ({"encoding": "utf-8"}, "encoding"),
        ({"bins": 1}, "bins"),
        ({"bits": 0}, "bits"),
        ({"incomplete_rows": "guess"}, "incomplete_rows"),
    ],
)
def test_what_is_wrong_is_a_fault_of_its_entry(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidTable) as caught:
        description_of(LEAST | changes)
    assert [fault.field for fault in caught.value.faults] == [field]
    assert caught.value.hint


def test_all_wrong_entries_are_told_at_once() -> None:
    with pytest.raises(InvalidTable) as caught:
        description_of({"bits": 0, "columns": {"age": {"typ": "number"}}})
    assert sorted(fault.field for fault in caught.value.faults) == ["bits", "columns.age.typ", "label", "task"]
    hints = {fault.field: fault.hint for fault in caught.value.faults}
    assert "minimum" in hints["columns.age.typ"]


@pytest.mark.parametrize("text", ["", "{", "task =", "[1, 2]", "{" * 10])
def test_a_document_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(InvalidTable) as caught:
        parse_description(text)
    assert caught.value.field in ("description", "task")


def test_numbers_that_are_whole_are_described_by_a_range() -> None:
    assert describe(columns={"age": {"maximum": 3}}).column("age").kind == "number"
