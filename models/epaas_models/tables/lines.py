"""CSV as rows of cells with the numbers of their lines, one at a time. Knows neither columns nor what cells mean.

UTF-8, with or without a byte order mark; fields in double quotes may hold delimiters and line ends. Memory is bounded
by the longest line that is allowed, whatever the file.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import chain, count
from typing import BinaryIO

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from epaas_models.tables.faults import Faults

_DELIMITERS = (",", ";", "\t", "|")
_ENCODING_HINT = "save the table as CSV in UTF-8"


class TableLimits(BaseSettings):
    """How large a table may be: ``EPAAS_TABLE_ROWS``, ``EPAAS_TABLE_BYTES`` and so on."""

    model_config = SettingsConfigDict(env_prefix="EPAAS_TABLE_", env_ignore_empty=True, extra="ignore")

    rows: int = Field(default=500_000, ge=1)
    columns: int = Field(default=1_000, ge=2)
    bytes: int = Field(default=256 * 2**20, ge=1)
    line_bytes: int = Field(default=2**20, ge=1)
    categories: int = Field(default=2_000, ge=2)
    """Values of a column of categories."""
    classes: int = Field(default=100, ge=2)
    fewest_rows: int = Field(default=20, ge=5)
    """Of a class: with fewer, chance may leave a class out of the training or of the test rows."""
    fewest_groups: int = Field(default=10, ge=4)


class Rows:
    """The rows of a CSV file. Faults with which reading cannot go on are raised with all that were found so far."""

    def __init__(self, stream: BinaryIO, delimiter: str | None, limits: TableLimits, faults: Faults) -> None:
        self._limits, self._faults = limits, faults
        self._lines = self._decoded(stream)
        first = next(self._lines, "")
        lines = chain((first,), self._lines)
        self._reader = csv.reader(lines, delimiter=delimiter or _delimiter(first), strict=True)
        _, self.header = next(self._numbered(), (1, []))
        if not self.header:
            faults.stop("header", "the table is empty", "give a header with the names of the columns, and rows", line=1)

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """Each row that is not blank: the number of its first line, from 1, and its cells, as many as the header's."""
        for rows, (line, cells) in enumerate(self._numbered()):
            if rows >= self._limits.rows:
                self._faults.stop(
                    "rows",
                    f"the table has more than the {self._limits.rows:,} rows that are allowed",
                    "give fewer rows: a random part teaches nearly as much; or let the operator raise EPAAS_TABLE_ROWS",
                    line=line,
                )
            if len(cells) == len(self.header):
                yield line, cells
            else:
                self._faults.add(
                    "rows",
                    f"the row has {len(cells)} cells, the header {len(self.header)}",
                    "give a cell for each column; put quotes around a cell with a delimiter in it",
                    line=line,
                )

    def _numbered(self) -> Iterator[tuple[int, list[str]]]:
        while True:
            line = self._reader.line_num + 1
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                self._faults.stop(
                    "rows", f"the row is no CSV: {error}", "correct the quotes and the line end", line=line
                )
            if cells and (len(cells) > 1 or cells[0].strip()):
                yield line, [cell.strip() for cell in cells]

    def _decoded(self, stream: BinaryIO) -> Iterator[str]:
        limits, stop, read = self._limits, self._faults.stop, 0
        for number in count(1):
            line = stream.readline(limits.line_bytes + 1)
            read += len(line)
            if read > limits.bytes:
                hint = "give fewer rows or columns, or let the operator raise EPAAS_TABLE_BYTES"
                stop("bytes", f"the table has more than the {limits.bytes:,} bytes that are allowed", hint, line=number)
            if len(line) > limits.line_bytes:
                detail = f"the line has more than the {limits.line_bytes:,} bytes that are allowed"
                stop("rows", detail, "end each row with a line end", line=number)
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError:
                stop("rows", "the text is not UTF-8", _ENCODING_HINT, line=number)
            if "\0" in text:
                stop("rows", "there is a zero byte in the text", _ENCODING_HINT, line=number)
            if not line:
                return
            yield text


def _delimiter(header: str) -> str:
    """Of the usual ones that which makes most columns of the header."""
    unquoted = re.sub(r'"[^"]*"', "", header)
    return max(_DELIMITERS, key=unquoted.count)
