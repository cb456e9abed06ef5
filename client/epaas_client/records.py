"""Reading records from CSV and JSON Lines files.

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
from typing import Any, NoReturn

from epaas_shared.errors import InvalidRecord

STDIN = "-"
_JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
_CSV_SUFFIXES = (".csv",)
_EXACT_INTEGER_DIGITS = 15


@dataclass(frozen=True)
class Records:
    """``rows`` without the target column; ``truth`` is that column, if the file has it (``None`` in a row without)."""

    rows: list[dict[str, Any]]
    truth: list[str | None] | None
    source: str


def read_records(source: str | Path, target: str) -> Records:
    """Read a file, or the standard input for ``-``. Raises :class:`InvalidRecord` naming the row and the column.

    The name says the format (``.csv``; ``.jsonl``, ``.ndjson``, ``.json``); else the first character does.
    """
    name = "standard input" if str(source) == STDIN else str(source)
    text = _text(source, name)
    if not text.strip():
        raise InvalidRecord("the file is empty", field=name, hint="give a CSV file with a header row, or JSON Lines")
    suffix = Path(source).suffix.lower()
    as_json = suffix in _JSON_SUFFIXES or (suffix not in _CSV_SUFFIXES and text.lstrip()[0] in "{[")
    rows = _json_rows(text) if as_json else _csv_rows(text)
    if not rows:
        raise InvalidRecord("the file has no records", field=name, hint="put at least one row below the header")
    truth = None
    if any(target in row for row in rows):
        truth = [_truth(row.pop(target, None)) for row in rows]
    return Records(rows, truth, name)


def _text(source: str | Path, name: str) -> str:
    try:
        data = sys.stdin.buffer.read() if str(source) == STDIN else Path(source).read_bytes()
    except FileNotFoundError:
        raise InvalidRecord(
            "there is no such file", field=name, hint="check the path, or use - for standard input"
        ) from None
    except OSError as error:
        raise InvalidRecord(f"the file cannot be read: {error.strerror}", field=name) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InvalidRecord(f"line {line} is not UTF-8", field=name, hint="save the file as UTF-8") from None


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
