"""Input schemas: what a record of a task looks like, and how it becomes bits.

A schema belongs to a task, not to a model: models come and go, the schema stays (C3(i)). It is public and named by the
digest of its JSON document. Its parameters (bin edges) were learnt from training rows only, before it was frozen. This
module owns validation of records and their encoding; it knows nothing of files or terminals.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from epaas_shared.digest import digest_json
from epaas_shared.errors import InvalidRecord

Bits = NDArray[np.uint8]
"""Zeros and ones; the last axis has one entry a bit."""


@dataclass(frozen=True)
class Encoding:
    """Which bits of an input belong together, and the values that they can take together."""

    bits: slice
    patterns: Bits
    """Every possible value of these bits, shape (values, number of bits)."""

    @property
    def free(self) -> bool:
        """Whether the bits are independent of one another."""
        values, bits = self.patterns.shape
        return bool(values == 2**bits)


class Feature(BaseModel):
    """A number as bits.

    ``one-hot-bins``: one bit a bin, of which exactly one is set (thesis B.1 for Cancer); bin i holds the values v with
    edges[i-1] <= v < edges[i]. ``thresholds``: one bit an edge, set for v >= edges[i]; with a single edge it is a
    binary pixel. ``minimum`` and ``maximum`` bound what is plausible at all: a value outside is a mistake in the
    record, not a rare patient.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    kind: Literal["one-hot-bins", "thresholds"] = "one-hot-bins"
    edges: tuple[float, ...] = Field(min_length=1)
    minimum: float
    maximum: float
    description: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        bounds = (self.minimum, *self.edges, self.maximum)
        if not all(math.isfinite(bound) for bound in bounds):
            raise ValueError(f"feature {self.name}: bounds must be finite")
        if any(low >= high for low, high in pairwise(bounds)):
            raise ValueError(f"feature {self.name}: minimum, edges and maximum must increase")
        return self

    @property
    def bits(self) -> int:
        return len(self.edges) + (self.kind == "one-hot-bins")

    @property
    def patterns(self) -> Bits:
        """The bits of a value in each of the bins, shape (bins, bits); ``thresholds``: 0...0, 10...0, 110...0, ..."""
        bins = len(self.edges) + 1
        if self.kind == "one-hot-bins":
            return np.eye(bins, dtype=np.uint8)
        return np.tri(bins, self.bits, -1, dtype=np.uint8)

    def number(self, value: Any) -> float:
        """The value as a number within the plausible range. Raises :class:`InvalidRecord` naming this feature."""
        if value is None or (isinstance(value, str) and not value.strip()):
            raise InvalidRecord("the value is missing", field=self.name, hint="give a number in every column")
        try:
            number = math.nan if _no_number(value) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            readable = isinstance(value, str | float)
            shown = repr(str(value)[:40]) if readable else f"a value of type {type(value).__name__}"
            raise InvalidRecord(f"{shown} is not a number", field=self.name, hint="give a plain number such as 17.3")
        if not self.minimum <= number <= self.maximum:
            raise InvalidRecord(
                f"{number:g} is outside the plausible range {self.minimum:g} to {self.maximum:g}",
                field=self.name,
                hint="check the unit and the decimal point",
            )
        return number


def _no_number(value: Any) -> bool:
    """What ``float`` would take although nobody means a number by it."""
    return isinstance(value, bool | np.bool_) or (isinstance(value, str) and "_" in value)


class InputSchema(BaseModel):
    """The record of one task: its features in the order of their bits, and what is predicted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    version: int = Field(ge=1)
    title: str
    description: str = ""
    target: str
    """Name of the column with the true label, which a record may carry and which is never sent."""
    classes: tuple[str, ...] = Field(min_length=2)
    features: tuple[Feature, ...] = Field(min_length=1)
    learnt_from: dict[str, Any] = {}
    """Where the bin edges come from: data digest, split seed, number of rows."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [feature.name for feature in self.features]
        if len({*names, self.target}) != len(names) + 1:
            raise ValueError("feature names and the target must be distinct")
        return self

    @property
    def name(self) -> str:
        return f"{self.task}/v{self.version}"

    @property
    def digest(self) -> str:
        return digest_json(self.model_dump(mode="json"))

    @property
    def bits(self) -> int:
        return sum(feature.bits for feature in self.features)

    @property
    def encodings(self) -> list[Encoding]:
        """The bits of each feature, in order, and the values that they can take."""
        ends = np.cumsum([feature.bits for feature in self.features])
        return [
            Encoding(slice(int(end) - feature.bits, int(end)), feature.patterns)
            for end, feature in zip(ends, self.features, strict=True)
        ]

    def numbers(self, record: Mapping[str, Any]) -> list[float]:
        """The checked values of a record, in the order of the features.

        Raises :class:`InvalidRecord` naming the column.
        """
        names = [feature.name for feature in self.features]
        for name in names:
            if name not in record:
                raise InvalidRecord(
                    "the column is missing", field=name, hint=f"task {self.name} has the columns {', '.join(names)}"
                )
        for name in record:
            if name not in names and name != self.target:
                raise InvalidRecord(
                    f"task {self.name} has no such column", field=str(name), hint=f"its columns are {', '.join(names)}"
                )
        return [feature.number(record[feature.name]) for feature in self.features]

    def encode(self, records: Sequence[Mapping[str, Any]]) -> Bits:
        """Bits of the records, shape (records, bits).

        Raises :class:`InvalidRecord` naming the column and the record.
        """
        rows = []
        for index, record in enumerate(records):
            try:
                rows.append(self.numbers(record))
            except InvalidRecord as error:
                if len(records) > 1:
                    error.detail = f"{error.detail} (record {index + 1})"
                raise
        return self.encode_numbers(np.array(rows, dtype=np.float64).reshape(len(rows), len(self.features)))

    def encode_numbers(self, values: NDArray[np.float64]) -> Bits:
        """Bits of checked values, shape (records, features) to (records, bits)."""
        columns = []
        for column, feature in zip(values.T, self.features, strict=True):
            bins = np.searchsorted(np.array(feature.edges), column, side="right")
            columns.append(feature.patterns[bins])
        return np.concatenate(columns, axis=1)


def shipped_schemas() -> dict[str, InputSchema]:
    """The schemas that ship with this release, by name (``task/vN``)."""
    return {schema.name: schema for schema in _load_schemas()}


@cache
def _load_schemas() -> tuple[InputSchema, ...]:
    folder = resources.files("epaas_shared") / "tasks"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    return tuple(InputSchema.model_validate(json.loads(file.read_text("utf-8"))) for file in files)
