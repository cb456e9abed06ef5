from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from epaas_client.records import read_records
from epaas_shared.errors import InvalidRecord
from epaas_shared.features import NumberFeature
from epaas_shared.schema import InputSchema

TARGET = "diagnosis"
SCHEMA = InputSchema(
    task="toy",
    version=1,
    title="A toy",
    target=TARGET,
    classes=("malignant", "benign"),
    features=(NumberFeature(name="radius", edges=(10.0,), minimum=0.0, maximum=60.0),),
)


def read(tmp_path: Path, name: str, content: str | bytes, schema: InputSchema = SCHEMA) -> Any:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_records(path, schema)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "the file is empty"),
        ("a.csv", " \n\n", "the file is empty"),
        ("a.csv", "radius,texture\n", "the file has no records"),
        ("a.csv", "radius,texture\n1,2\n3\n", r"^texture: record 2 \(line 3\) ends after 1 of 2 columns"),
        ("a.csv", "radius,texture\n1,2,3\n", r"^texture: record 1 \(line 2\) has 3 values where .* 2 columns"),
        ("a.csv", "radius,radius\n1,2\n", "^radius: the column is there 2 times"),
        ("a.csv", "radius, radius \n1,2\n", "^radius: the column is there 2 times"),
        ("a.csv", "radius,\n1,2\n", "^header row: column 2 has no name"),
        ("a.csv", 'radius\n"1\n', "^line 2: is not valid CSV"),
        ("a.csv", b"radius\n1\n\xff\n", "a.csv: line 3 is not UTF-8"),
        ("a.jsonl", '{"radius": 1}\n{"radius": \n', "^line 2: is not valid JSON"),
        ("a.jsonl", "[1, 2]\n", "^line 1: is not a JSON object"),
        ("a.jsonl", '\n{"radius": 1, "radius": 2}\n', "^radius: the column is there 2 times in line 2"),
        ("a.jsonl", '{"radius": ' + "[" * 100_000 + "\n", "^line 1: is not valid JSON"),
        ("stdin-like", '{"radius": 1}\n3\n', "^line 2: is not a JSON object"),
    ],
)
def test_bad_files_name_the_place(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(InvalidRecord, match=message) as raised:
        read(tmp_path, name, content)
    assert raised.value.exit_code == 2


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidRecord, match="no such file"):
        read_records(tmp_path / "none.csv", SCHEMA)
    with pytest.raises(InvalidRecord, match="is not a picture"):
        read_records(tmp_path, SCHEMA)


@pytest.mark.parametrize(
    "content", ["radius,diagnosis\n1,benign\n2,\n", '{"radius":"1","diagnosis":"benign"}\n{"radius":"2"}']
)
def test_true_labels_are_split_off(tmp_path: Path, content: str) -> None:
    records = read(tmp_path, "a.dat", content)
    assert records.rows == [{"radius": "1"}, {"radius": "2"}]
    assert records.truth == ["benign", None]


def test_no_true_labels(tmp_path: Path) -> None:
    assert read(tmp_path, "a.csv", "radius\n1\n").truth is None


def test_byte_order_mark_windows_newlines_and_blank_lines(tmp_path: Path) -> None:
    records = read(tmp_path, "a.csv", b"\xef\xbb\xbfradius,texture\r\n1,2\r\n\r\n3,4\r\n")
    assert records.rows == [{"radius": "1", "texture": "2"}, {"radius": "3", "texture": "4"}]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"radius": 1}\n')))
    records = read_records("-", SCHEMA)
    assert (records.rows, records.source) == ([{"radius": 1}], "standard input")


def test_endless_integer_is_no_number(tmp_path: Path, schema: InputSchema) -> None:
    records = read(tmp_path, "a.jsonl", '{"radius": 1' + "0" * 5000 + ', "texture": 1}')
    with pytest.raises(InvalidRecord, match=r"^radius: 'inf' is not a number"):
        schema.encode(records.rows)


def drawn(column: int) -> Image.Image:
    """A stroke in a grid of the task's size, which is taken as it is."""
    picture = Image.new("L", (28, 28))
    picture.paste(255, (column, 5, column + 3, 25))
    return picture


def test_a_picture_is_one_record(tmp_path: Path, digits: InputSchema) -> None:
    path = tmp_path / "ONE.PNG"
    drawn(9).save(path)
    records = read_records(path, digits)
    assert (records.truth, records.source) == (None, str(path))
    (row,) = records.rows
    assert (row["image"] == np.asarray(drawn(9))).all()
    assert digits.encode(records.rows).sum() == 3 * 20


def test_a_folder_is_a_record_a_picture_by_name(tmp_path: Path, digits: InputSchema) -> None:
    for name, column in (("b.png", 7), ("c.bmp", 3), ("a.gif", 12), (".hidden.png", 20)):
        drawn(column).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "more.png").mkdir()
    rows = read_records(tmp_path, digits).rows
    assert [row["image"][10].argmax() for row in rows] == [12, 7, 3]
    (tmp_path / "b.png").write_text("no picture either")
    with pytest.raises(InvalidRecord, match=r"b\.png: the file is not a picture"):
        read_records(tmp_path, digits)


def test_a_folder_without_pictures(tmp_path: Path, digits: InputSchema) -> None:
    with pytest.raises(InvalidRecord, match="the folder has no pictures") as raised:
        read_records(tmp_path, digits)
    assert ".png" in (raised.value.hint or "")


def test_a_picture_that_is_not_there(tmp_path: Path, digits: InputSchema) -> None:
    with pytest.raises(InvalidRecord, match=r"none\.jpg: there is no such file"):
        read_records(tmp_path / "none.jpg", digits)


def test_pictures_and_tables_are_not_taken_for_each_other(tmp_path: Path, digits: InputSchema) -> None:
    drawn(9).save(tmp_path / "a.png")
    with pytest.raises(InvalidRecord, match=r"a\.png: a record of toy/v1 is not a picture") as raised:
        read_records(tmp_path / "a.png", SCHEMA)
    assert raised.value.hint == "give a CSV file with a header row, or JSON Lines, with radius"
    with pytest.raises(InvalidRecord, match=r"a\.csv: a record of digits/v1 has a picture") as raised:
        read(tmp_path, "a.csv", "image\n1\n", digits)
    assert (raised.value.hint or "").startswith("give a picture as .png or .jpg, a folder of them, or JSON Lines")
    with pytest.raises(InvalidRecord, match="is not UTF-8") as raised:
        read(tmp_path, "a.heic", b"\xff\xd8", digits)
    assert "under a name that ends in .png or .jpg" in (raised.value.hint or "")


def test_a_picture_beside_numbers_comes_in_json_lines(tmp_path: Path, digits: InputSchema) -> None:
    both = SCHEMA.model_copy(update={"features": (*SCHEMA.features, *digits.features)})
    drawn(9).save(tmp_path / "a.png")
    with pytest.raises(InvalidRecord, match="is not a picture"):
        read_records(tmp_path / "a.png", both)
    with pytest.raises(InvalidRecord, match="has a picture") as raised:
        read(tmp_path, "a.csv", "radius,image\n1,2\n", both)
    assert (raised.value.hint or "").startswith('give JSON Lines with "image": [[…], …]')
    row = {"radius": 12, "image": np.asarray(drawn(9)).tolist()}
    assert both.encode(read(tmp_path, "a.jsonl", json.dumps(row), both).rows).shape == (1, both.bits)


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=8).map(str.strip)
CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    columns = draw(st.lists(NAMES.filter(lambda name: name and name != TARGET), min_size=2, max_size=4, unique=True))
    row = st.lists(CELLS, min_size=len(columns), max_size=len(columns))
    return columns, draw(st.lists(row, min_size=1, max_size=4))


@given(tables())
def test_csv_that_was_written_reads_back(tmp_path_factory: pytest.TempPathFactory, table: Any) -> None:
    columns, rows = table
    text = io.StringIO(newline="")
    csv.writer(text).writerows([columns, *rows])
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(text.getvalue().encode())
    assert read_records(path, SCHEMA).rows == [dict(zip(columns, row, strict=True)) for row in rows]


@given(
    st.lists(st.dictionaries(NAMES, st.floats(allow_nan=False) | CELLS | st.none(), min_size=1), min_size=1, max_size=4)
)
def test_json_lines_that_were_written_read_back(tmp_path_factory: pytest.TempPathFactory, rows: Any) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "a.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    assert read_records(path, SCHEMA).rows == [
        {name: value for name, value in row.items() if name != TARGET} for row in rows
    ]
