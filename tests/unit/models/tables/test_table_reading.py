"""A table is read to the values that were written, whatever its shape; memory does not grow with what is refused."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tables_making import HEADER, csv_bytes, describe, faults_of, read, visits

from epaas_models.tables import TableLimits, read_table

SMALL: dict[str, Any] = {"fewest_rows": 5}
TEXT = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=8).map(str.strip).filter(bool)
REAL = st.floats(-1e100, 1e100)


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, list[float]], dict[str, list[str]], list[str]]:
    """Columns of numbers, columns of texts of which some are empty, and labels of two or three classes."""
    names = draw(st.lists(TEXT.filter(lambda name: name != "again"), min_size=2, max_size=5, unique=True))
    numbers = draw(st.integers(0, len(names)))
    rows, random = draw(st.integers(60, 80)), np.random.default_rng(draw(st.integers(0, 99)))
    pools = draw(st.lists(st.lists(REAL, min_size=1, max_size=20), min_size=numbers, max_size=numbers))
    words = draw(st.lists(TEXT, min_size=1, max_size=4, unique=True))
    classes = draw(st.lists(TEXT, min_size=2, max_size=3, unique=True))
    return (
        {name: random.choice(pool, rows).tolist() for name, pool in zip(names[:numbers], pools, strict=True)},
        {name: random.choice(np.array(["", *words], dtype=object), rows).tolist() for name in names[numbers:]},
        [classes[row % len(classes)] for row in range(rows)],
    )


@given(table=tables(), delimiter=st.sampled_from(",;\t|"), mark=st.booleans())
@settings(max_examples=30)
def test_what_was_written_is_read(
    table: tuple[dict[str, list[float]], dict[str, list[str]], list[str]], delimiter: str, mark: bool
) -> None:
    numbers, texts, labels = table
    columns: dict[str, list[Any]] = {name: [repr(cell) for cell in cells] for name, cells in numbers.items()} | texts
    different = {name: cells for name, cells in columns.items() if len(set(cells)) > 1}
    assume(different)
    assume(all(len({float(cell) for cell in numbers[name]}) > 1 for name in different if name in numbers))
    data = csv_bytes([*columns, "again"], zip(*columns.values(), labels, strict=True), delimiter)
    kinds = {name: {"type": "number" if name in numbers else "category"} for name in columns}
    described = describe(columns=kinds, delimiter=delimiter)
    dataset = read((b"\xef\xbb\xbf" if mark else b"") + data, described, **SMALL).dataset
    assert dataset.features == tuple(different)
    for name, cells in different.items():
        assert dataset.columns[name].tolist() == numbers.get(name, cells)
    assert [dataset.classes[label] for label in dataset.labels] == labels
    assert (dataset.name, dataset.target, dataset.groups) == ("visits", "again", None)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_and_the_kinds_of_columns_are_found(delimiter: str) -> None:
    header = ["age, in years", "town; or village", "a|b", "again"]
    rows = [[age, town, "1\t2" if town == "A" else "3", again] for age, town, again in visits()]
    dataset = read(csv_bytes(header, rows, delimiter)).dataset
    assert {name: column.dtype.kind for name, column in dataset.columns.items()} == dict(
        zip(header[:-1], "fOO", strict=True)
    )
    assert dataset.columns["age, in years"].tolist() == [float(row[0]) for row in rows]


def test_a_column_is_numbers_if_nearly_all_of_it_is_and_whole_numbers_may_be_categories() -> None:
    rows = [[str(row), "x" if row % 5 == 0 else str(row % 4), again] for row, (_, _, again) in enumerate(visits())]
    data = csv_bytes(HEADER, rows)
    assert [column.dtype.kind for column in read(data).dataset.columns.values()] == ["f", "O"]
    codes = read(data, describe(columns={"age": {"type": "category"}})).dataset
    assert codes.columns["age"].tolist() == [row[0] for row in rows]


def test_a_column_that_begins_empty_is_what_its_later_values_are() -> None:
    """The first values come in the second block of rows."""
    rows = [[age, town, again] for age, town, again in visits(4200)]
    for row in rows[:4100]:
        row[1] = ""
    assert read(csv_bytes(HEADER, rows)).dataset.columns["town"].tolist() == [row[1] for row in rows]
    for row in rows[4100:]:
        row[1] = "7"
    (fault,) = faults_of(csv_bytes(HEADER, rows))
    assert (fault.field, fault.line) == ("town", 2)
    assert "4,099 more" in fault.detail


def test_labels_are_in_the_order_that_is_described_or_of_their_numbers() -> None:
    rows = [[age, town, {"no": "2", "yes": "10"}[again]] for age, town, again in visits()]
    data = csv_bytes(HEADER, rows)
    assert read(data).dataset.classes == ("2", "10")
    dataset = read(data, describe(classes=["10", "2"])).dataset
    assert dataset.classes == ("10", "2")
    assert [dataset.classes[label] for label in dataset.labels] == [row[2] for row in rows]


def test_cells_have_no_spaces_around_them_and_blank_lines_are_no_rows() -> None:
    plain = csv_bytes(HEADER, visits())
    spaced = csv_bytes([f" {name} " for name in HEADER], [[f"  {cell} " for cell in row] for row in visits()])
    spaced = spaced.replace(b"\r\n", b"\n\n")
    assert read(spaced).dataset.digest == read(plain).dataset.digest


def test_quoted_cells_hold_delimiters_quotes_and_line_ends() -> None:
    rows = [[age, {"A": 'a "b",\nc', "B": "B", "C": "C"}[town], again] for age, town, again in visits()]
    dataset = read(csv_bytes(HEADER, rows)).dataset
    assert dataset.columns["town"].tolist() == [row[1] for row in rows]


def test_the_line_of_a_fault_counts_the_lines_of_the_cells_before_it() -> None:
    rows = visits()
    rows[0][1] = "one\ntwo\nthree"
    rows[1][0] = "old"
    (fault,) = faults_of(csv_bytes(HEADER, rows))
    assert (fault.field, fault.line) == ("age", 5)


def test_groups_are_numbered_and_no_feature_and_ignored_columns_are_not_there() -> None:
    rows = [[*row[:2], f"person {number // 3}", number, row[2]] for number, row in enumerate(visits())]
    data = csv_bytes(["age", "town", "who", "number", "again"], rows)
    described = describe(group="who", columns={"number": {"type": "ignore"}}, subgroups=["town"], source="a clinic")
    dataset = read(data, described).dataset
    assert dataset.features == ("age", "town")
    assert dataset.groups is not None
    persons = [row[2] for row in rows]
    same = np.equal.outer(dataset.groups, dataset.groups)
    assert (same == np.array([[one == other for other in persons] for one in persons])).all()
    assert (dataset.subgroups, dataset.source) == (("town",), "a clinic")


def test_rows_without_a_number_or_label_are_left_out_if_the_provider_says_so() -> None:
    rows = visits(80)
    rows[3][0], rows[7][2], rows[9][1], rows[11][0] = "NA", "", "", ""
    described = describe(missing=["NA"], incomplete_rows="leave-out")
    table = read(csv_bytes(HEADER, rows), described)
    kept = [row for number, row in enumerate(rows) if number not in (3, 7, 11)]
    assert table.dataset.columns["age"].tolist() == [float(row[0]) for row in kept]
    assert table.dataset.columns["town"].tolist() == [row[1] for row in kept]  # a missing category is a value
    assert [(warning.field, warning.line) for warning in table.warnings] == [("age", 5), ("again", 9)]
    assert "2 rows" in table.warnings[0].detail


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "visits.csv"
    path.write_bytes(csv_bytes(HEADER, visits()))
    assert read_table(path, describe()).dataset.digest == read(path.read_bytes()).dataset.digest


class Endless(io.RawIOBase):
    """A table without an end, that counts what is read of it."""

    def __init__(self, row: bytes) -> None:
        self._row, self.read_bytes = row, 0

    def readline(self, size: int | None = -1, /) -> bytes:
        line = self._row if self.read_bytes else b"age,town,again\n"
        self.read_bytes += len(line)
        return line


@pytest.mark.parametrize(
    ("limits", "field"), [({"rows": 20_000}, "rows"), ({"bytes": 200_000}, "bytes")], ids=["rows", "bytes"]
)
def test_reading_stops_at_the_limit(limits: dict[str, int], field: str) -> None:
    stream = Endless(b"3.5,A,yes\n")
    tracemalloc.start()
    with pytest.raises(Exception, match="allowed") as caught:
        read_table(stream, describe(), TableLimits(**limits))  # type: ignore[arg-type]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert getattr(caught.value, "field", None) == field
    assert stream.read_bytes <= 210_000
    assert peak < 30e6


def test_limits_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert TableLimits().rows < 10**6
    monkeypatch.setenv("EPAAS_TABLE_ROWS", "7")
    assert TableLimits().rows == 7
