"""Reading records from CSV and JSON Lines files, and from pictures.

Gives rows as the file has them; whether the values fit the task is for ``epaas_shared.schema.InputSchema.encode`` to
say. The column of the true label is split off here, so that nothing downstream could send it. This module knows neither
keys nor servers.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from epaas_shared.errors import InvalidRecord

if TYPE_CHECKING:
    from epaas_shared.features import ImageFeature
    from epaas_shared.schema import InputSchema

STDIN = "-"
_JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
_CSV_SUFFIXES = (".csv",)
_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff")
_EXACT_INTEGER_DIGITS = 15
_SAVE_AS = "save text as UTF-8, and a picture under a name that ends in .png or .jpg"


@dataclass(frozen=True)
class Records:
    """``rows`` without the target column; ``truth`` is that column, if the file has it (``None`` in a row without)."""

    rows: list[dict[str, Any]]
    truth: list[str | None] | None
    source: str


def read_records(source: str | Path, schema: InputSchema) -> Records:
    """Read a file, or the standard input for ``-``. Raises :class:`InvalidRecord` naming the row and the column.

    The name says the format (``.csv``; ``.jsonl``, ``.ndjson``, ``.json``; ``.png``, ``.jpg`` and other pictures); else
    the first character does. A picture is one record, if pictures are all that ``schema`` asks for; a folder is a
    record a picture, in the order of their names.
    """
    name = "standard input" if str(source) == STDIN else str(source)
    path, suffix = Path(source), Path(source).suffix.lower()
    if suffix in _IMAGE_SUFFIXES or (str(source) != STDIN and path.is_dir()):
        return _pictures(path, name, schema)
    text = _text(_bytes(source, name), name)
    if not text.strip():
        raise InvalidRecord("the file is empty", field=name, hint="give a CSV file with a header row, or JSON Lines")
    as_json = suffix in _JSON_SUFFIXES or (suffix not in _CSV_SUFFIXES and text.lstrip()[0] in "{[")
    if not as_json:
        _check_table(schema, name)
    rows = _json_rows(text) if as_json else _csv_rows(text)
    if not rows:
        raise InvalidRecord("the file has no records", field=name, hint="put at least one row below the header")
    truth = None
    if any(schema.target in row for row in rows):
        truth = [_truth(row.pop(schema.target, None)) for row in rows]
    return Records(rows, truth, name)


def picture_feature(schema: InputSchema) -> ImageFeature | None:
    """The only feature of a schema whose records are pictures; None for any other schema."""
    feature = schema.features[0]
    return feature if len(schema.features) == 1 and feature.kind == "image" else None


def _pictures(path: Path, name: str, schema: InputSchema) -> Records:
    feature = picture_feature(schema)
    if feature is None:
        columns = ", ".join(feature.name for feature in schema.features)
        hint = f"give a CSV file with a header row, or JSON Lines, with {columns}"
        raise InvalidRecord(f"a record of {schema.name} is not a picture", field=name, hint=hint)

    from epaas_client.images import read_image

    files = _picture_files(path, name) if path.is_dir() else [path]
    rows = [{feature.name: read_image(_bytes(file, str(file)), str(file), feature)} for file in files]
    return Records(rows, None, name)


def _picture_files(folder: Path, name: str) -> list[Path]:
    """By name; hidden files are somebody's leftovers."""
    try:
        files = [file for file in folder.iterdir() if file.is_file() and not file.name.startswith(".")]
    except OSError as error:
        raise InvalidRecord(f"the folder cannot be read: {error.strerror}", field=name) from None
    pictures = sorted(file for file in files if file.suffix.lower() in _IMAGE_SUFFIXES)
    if not pictures:
        known = ", ".join(_IMAGE_SUFFIXES)
        raise InvalidRecord("the folder has no pictures", field=name, hint=f"their names end in one of {known}")
    return pictures


def _check_table(schema: InputSchema, name: str) -> None:
    image = next((feature.name for feature in schema.features if feature.kind == "image"), None)
    if image is None:
        return
    as_json = f'JSON Lines with "{image}": [[…], …], its rows of grey levels'
    picture = "a picture as .png or .jpg, a folder of them, or " if picture_feature(schema) else ""
    hint = f"give {picture}{as_json}"
    raise InvalidRecord(f"a record of {schema.name} has a picture, and a table has none", field=name, hint=hint)


def _bytes(source: str | Path, name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(source) == STDIN else Path(source).read_bytes()
    except FileNotFoundError:
        raise InvalidRecord(
            "there is no such file", field=name, hint="check the path, or use - for standard input"
        ) from None
    except OSError as error:
        raise InvalidRecord(f"the file cannot be read: {error.strerror}", field=name) from None


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InvalidRecord(f"line {line} is not UTF-8", field=name, hint=_SAVE_AS) from None


def _csv_rows(text: str) -> list[dict[str, Any]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: list[str] = []
    rows: list[dict[str, Any]] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells) and len(cells) <= 1:
                continue
            if not columns:
                columns = _columns(cells)
                continue
            if len(cells) != len(columns):
                _ragged(len(rows) + 1, reader.line_num, len(cells), columns)
            rows.append(dict(zip(columns, cells, strict=True)))
    except csv.Error as error:
        raise InvalidRecord(f"is not valid CSV: {error}", field=f"line {reader.line_num}") from None
    return rows


def _columns(header: list[str]) -> list[str]:
    columns = [cell.strip() for cell in header]
    for number, column in enumerate(columns, start=1):
        if not column:
            raise InvalidRecord(f"column {number} has no name", field="header row", hint="name every column")
    for column, count in Counter(columns).items():
        if count > 1:
            raise InvalidRecord(f"the column is there {count} times", field=column, hint="keep one of them")
    return columns


def _ragged(record: int, line: int, cells: int, columns: list[str]) -> NoReturn:
    where = f"record {record} (line {line})"
    if cells < len(columns):
        raise InvalidRecord(
            f"{where} ends after {cells} of {len(columns)} columns",
            field=columns[cells],
            hint="give every column a value",
        )
    raise InvalidRecord(
        f"{where} has {cells} values where the header has {len(columns)} columns",
        field=columns[-1],
        hint="write numbers with a decimal point, and quote values that hold a comma",
    )


def _json_rows(text: str) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"line {number}"
        try:
            row = json.loads(line, parse_int=_integer, object_pairs_hook=_distinct)
        except InvalidRecord as error:
            error.detail = f"{error.detail} in {where}"
            raise
        except (ValueError, RecursionError) as error:
            reason = error.msg.lower() if isinstance(error, json.JSONDecodeError) else "it is nested too deeply"
            raise InvalidRecord(
                f"is not valid JSON: {reason}", field=where, hint="write one JSON object a line"
            ) from None
        if not isinstance(row, dict):
            raise InvalidRecord(
                "is not a JSON object", field=where, hint='write each record as {"column": value, …} on its own line'
            )
        rows.append(row)
    return rows


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for name, count in Counter(name for name, _ in pairs).items():
        if count > 1:
            raise InvalidRecord(f"the column is there {count} times", field=name, hint="keep one of them")
    return dict(pairs)


def _integer(digits: str) -> int | float:
    # Python refuses very long integers, and a float of them overflows; as a float they are merely infinite.
    return int(digits) if len(digits) <= _EXACT_INTEGER_DIGITS else float(digits)


def _truth(value: Any) -> str | None:
    text = "" if value is None else str(value).strip()
    return text or None
