"""Whatever is wrong with a table is told with its field, its line and a remedy, and all of it at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tables_making import HEADER, csv_bytes, describe, faults_of, fields_of, read, visits

from epaas_models.tables.faults import MOST
from epaas_shared.errors import InvalidTable


def changed(row: int, column: int, cell: str, rows: int = 60) -> bytes:
    """The table with another cell; row 0 is on line 2."""
    cells = visits(rows)
    cells[row][column] = cell
    return csv_bytes(HEADER, cells)


def test_the_table_that_the_others_are_made_of_is_good() -> None:
    table = read(csv_bytes(HEADER, visits()))
    assert (len(table.dataset), table.warnings) == (60, ())


@pytest.mark.parametrize(
    ("data", "field", "line"),
    [
        (b"", "header", 1),
        (b"\n\n", "header", 1),
        (b'""\n', "header", 1),
        (b"\xef\xbb\xbf", "header", 1),
        (b"age,town,again\n", "rows", None),
        (b"age,town,again\n3,A,yes\n", "rows", None),
        (b"age,town\n3,A\n", "label", None),
        (b"again\nyes\nno\n", "columns", 1),
        (b"1,2,3\n4,5,6\n", "header", 1),
        (b"age,,again\n3,A,yes\n", "header", 1),
        (b"age,town,age,again\n3,A,3,yes\n", "age", 1),
        (b"age,again,again\n3,yes,yes\n", "again", 1),
        (b"age,town,again\n3,A,yes\n4,\xff,no\n", "rows", 3),
        ("age,town,again\n3,A,yes\n".encode("utf-16"), "rows", 1),
        (b"age,town,again\n3,A\0,yes\n", "rows", 2),
        (b'age,town,again\n3,"A" x,yes\n', "rows", 2),
        (b'age,town,again\n3,A,yes\n4,"A,yes\n5,B,no\n', "rows", 3),
        (b"age,town,again\r3,A,yes\r4,B,no\r", "rows", 1),
    ],
)
def test_a_file_that_is_no_table_is_refused(data: bytes, field: str, line: int | None) -> None:
    assert (field, line) in fields_of(data)


@pytest.mark.parametrize(
    "cell", ["", "NaN", "nan", "inf", "-Infinity", "old", "1_000", "3,5", "1e999", "-2e100", "--", "0x10", "3 5"]
)
def test_what_is_no_finite_number_is_a_fault_of_its_cell(cell: str) -> None:
    (fault,) = faults_of(changed(4, 0, cell))
    assert (fault.field, fault.line) == ("age", 6)
    assert (repr(cell) in fault.detail) == bool(cell)
    described = describe(columns={"age": {"type": "number"}})
    assert fields_of(changed(4, 0, cell), described) == [("age", 6)]
    if cell:  # where it is a mark, the value is missing
        (fault,) = faults_of(changed(4, 0, cell), describe(missing=[cell]))
        assert (fault.field, fault.line) == ("age", 6)
        assert "missing" in fault.detail


def test_a_decimal_comma_is_recognised() -> None:
    (fault,) = faults_of(changed(4, 0, "3,5"))
    assert "point" in fault.hint


@pytest.mark.parametrize(("cells", "row"), [(2, 0), (4, 30), (1, 59)])
def test_a_ragged_row_is_a_fault(cells: int, row: int) -> None:
    rows = visits()
    rows[row] = ["1"] * cells
    (fault,) = faults_of(csv_bytes(HEADER, rows))
    assert (fault.field, fault.line) == ("rows", row + 2)
    assert f"{cells} cells" in fault.detail
    assert "header 3" in fault.detail


@pytest.mark.parametrize(
    ("entries", "fields"),
    [
        ({"label": "agian"}, ["label"]),
        ({"group": "person"}, ["group"]),
        ({"columns": {"aeg": {"type": "number"}}}, ["columns.aeg"]),
        ({"subgroups": ["town", "gender"]}, ["subgroups[1]"]),
        ({"label": "x", "group": "y", "columns": {"z": {}}, "subgroups": ["w"]}, ["label", "group", "columns.z"]),
        ({"columns": {"age": {"type": "ignore"}, "town": {"type": "ignore"}}}, ["columns"]),
    ],
)
def test_a_name_that_the_header_does_not_have_is_a_fault_of_its_entry(
    entries: dict[str, Any], fields: list[str]
) -> None:
    found = faults_of(csv_bytes(HEADER, visits()), describe(**entries))
    assert [fault.field for fault in found][: len(fields)] == fields
    if fields != ["columns"]:
        assert all("age, town, again" in fault.hint for fault in found)


@pytest.mark.parametrize(
    ("column", "cell", "entries", "word"),
    [
        (0, "-3", {"columns": {"age": {"minimum": 0}}}, "below"),
        (0, "130.5", {"columns": {"age": {"maximum": 130}}}, "above"),
        (1, "D", {"columns": {"town": {"categories": ["A", "B", "C"]}}}, "'D'"),
        (2, "maybe", {"classes": ["no", "yes"]}, "'maybe'"),
    ],
)
def test_a_value_that_was_not_described_is_a_fault(column: int, cell: str, entries: dict[str, Any], word: str) -> None:
    (fault,) = faults_of(changed(9, column, cell), describe(**entries))
    assert (fault.field, fault.line) == (HEADER[column], 11)
    assert word in fault.detail
    described = read(changed(9, column, visits()[9][column]), describe(**entries))
    assert len(described.dataset) == 60


@pytest.mark.parametrize(
    ("labels", "entries", "words"),
    [
        (lambda row: "no", {}, ["all rows"]),
        (lambda row: "yes" if row < 3 else "no", {}, ["'yes' has 3 rows; 20"]),
        (lambda row: "a" if row < 1 else "b" if row < 5 else "no", {}, ["'a' has 1 row;", "'b' has 4 rows"]),
        (lambda row: ("no", "yes")[row % 2], {"classes": ["no", "yes", "maybe"]}, ["'maybe' has no rows"]),
    ],
)
def test_classes_that_cannot_be_learnt_are_faults_of_the_label(
    labels: Callable[[int], str], entries: dict[str, Any], words: list[str]
) -> None:
    data = csv_bytes(HEADER, [[*row[:2], labels(number)] for number, row in enumerate(visits())])
    found = faults_of(data, describe(**entries))
    assert [fault.field for fault in found] == ["again"] * len(words)
    assert all(word in fault.detail for word, fault in zip(words, found, strict=True))


def test_too_many_values_stop_the_reading() -> None:
    rows = [[age, f"town {number}", again] for number, (age, _, again) in enumerate(visits())]
    (fault,) = faults_of(csv_bytes(HEADER, rows), categories=30)
    assert (fault.field, fault.line) == ("town", 32)
    assert "ignore" in fault.hint
    rows = [[age, town, age] for age, town, _ in visits()]
    (fault,) = faults_of(csv_bytes(HEADER, rows), classes=10)
    assert (fault.field, fault.line) == ("again", 12)


@pytest.mark.parametrize(
    ("limits", "field", "line"),
    [
        ({"rows": 59}, "rows", 61),
        ({"bytes": 300}, "bytes", None),
        ({"line_bytes": 10}, "rows", 1),
        ({"columns": 2}, "columns", 1),
    ],
)
def test_a_table_over_a_limit_is_refused(limits: dict[str, int], field: str, line: int | None) -> None:
    data = csv_bytes(HEADER, visits())
    (fault,) = faults_of(data, **limits)
    assert fault.field == field
    assert line in (None, fault.line)
    assert "allowed" in fault.detail
    assert not faults_of(data, rows=60, bytes=len(data), columns=3, line_bytes=20)


def test_a_million_rows_are_refused_where_the_limit_is_passed() -> None:
    (fault,) = faults_of(b"age,again\n" + b"3,yes\n" * 10**6, rows=10_000)
    assert (fault.field, fault.line) == ("rows", 10_002)


@pytest.mark.parametrize("groups", [1, 3])
def test_too_few_groups_are_a_fault(groups: int) -> None:
    rows = [[*row[:2], f"person {number % groups}", row[2]] for number, row in enumerate(visits())]
    data = csv_bytes(["age", "town", "who", "again"], rows)
    assert fields_of(data, describe(group="who")) == [("who", None)]
    assert not faults_of(data, describe(columns={"who": {"type": "ignore"}}))


def test_a_class_that_is_on_one_side_of_the_split_only_is_a_fault() -> None:
    """All of one class are of one person, who is either learnt from or tested on."""
    rows = [
        [age, town, "one" if again == "yes" else f"p{number}", again]
        for number, (age, town, again) in enumerate(visits())
    ]
    (fault,) = faults_of(csv_bytes(["age", "town", "who", "again"], rows), describe(group="who"))
    assert fault.field == "again"
    assert "'yes' has no" in fault.detail
    assert "'who'" in fault.hint


def test_a_missing_group_is_a_fault() -> None:
    rows = [[*row[:2], "" if number == 2 else f"p{number}", row[2]] for number, row in enumerate(visits())]
    data = csv_bytes(["age", "town", "who", "again"], rows)
    assert fields_of(data, describe(group="who")) == [("who", 4)]


def test_all_faults_are_told_at_once() -> None:
    rows = visits()
    rows[1][0], rows[2][0], rows[5][2], rows[8] = "old", "older", "", ["1"]
    described = describe(columns={"town": {"categories": ["A", "B"]}})
    found = faults_of(csv_bytes(HEADER, rows), described)
    assert sorted((fault.field, fault.line) for fault in found) == [("again", 7), ("age", 3), ("rows", 10), ("town", 4)]
    assert "'old' is not a number (finite, at most 1e+100), and 1 more" in next(
        f.detail for f in found if f.field == "age"
    )
    with pytest.raises(InvalidTable) as caught:
        read(csv_bytes(HEADER, rows), described)
    assert all(str(fault) in str(caught.value) for fault in found)


def test_no_more_faults_are_listed_than_anyone_reads() -> None:
    header = [f"c{number}" for number in range(30)]
    rows = [["x" if number == 50 else str(number)] * 30 + [("no", "yes")[number % 2]] for number in range(60)]
    with pytest.raises(InvalidTable, match="10 more faults") as caught:
        read(csv_bytes([*header, "again"], rows))
    assert [fault.field for fault in caught.value.faults] == header[:MOST]


@pytest.mark.parametrize(
    ("column", "cells", "word"),
    [
        ("constant", lambda row, again: "7", "left out"),
        ("empty", lambda row, again: "", "left out"),
        ("leak", lambda row, again: {"no": "0", "yes": "1"}[again], "label by other names"),
        ("leak", lambda row, again: again.upper(), "label by other names"),
        ("name", lambda row, again: f"patient {row}", "different in every row"),
        ("name", lambda row, again: str(row), "different in every row"),
    ],
)
def test_odd_columns_are_warned_of(column: str, cells: Callable[[int, str], str], word: str) -> None:
    rows = [[*row[:2], cells(number, row[2]), row[2]] for number, row in enumerate(visits())]
    table = read(csv_bytes(["age", "town", column, "again"], rows))
    (warning,) = table.warnings
    assert warning.field == column
    assert word in warning.detail
    assert (column in table.dataset.features) == (word != "left out")


def test_a_column_that_is_constant_leaves_the_subgroups_and_the_only_one_is_refused() -> None:
    rows = [[row[0], "A", row[2]] for row in visits()]
    assert read(csv_bytes(HEADER, rows), describe(subgroups=["town", "age"])).dataset.subgroups == ("age",)
    described = describe(columns={"age": {"type": "ignore"}})
    assert fields_of(csv_bytes(HEADER, rows), described) == [("columns", None)]


@pytest.mark.parametrize("copies", [1, 7])
def test_copies_of_rows_are_counted(copies: int) -> None:
    (warning,) = read(csv_bytes(HEADER, [*visits(), *visits()[:copies]])).warnings
    assert warning.field == "rows"
    assert warning.detail.startswith(f"{copies} rows")
