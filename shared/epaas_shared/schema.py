"""Input schemas: what a record of a task looks like, and how it becomes bits.

A schema belongs to a task, not to a model: models come and go, the schema stays (C3(i)). It is public and named by the
digest of its JSON document. Its parameters (bin edges) were learnt from training rows only, before it was frozen. This
module owns which columns a record has and where their bits are; ``features`` owns each column.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from itertools import accumulate
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from epaas_shared.digest import digest_json
from epaas_shared.errors import InvalidRecord
from epaas_shared.features import Bits, Encoding, Feature

_RECORDS_AT_ONCE = 1024
"""Records whose columns are encoded together: it bounds the memory that an image takes on the way to its bits."""


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
        """The bits that belong together, feature by feature, and the values that they can take."""
        placed = zip(self.features, self._starts, strict=True)
        return [encoding.moved(start) for feature, start in placed for encoding in feature.encodings]

    @property
    def _starts(self) -> list[int]:
        """The first bit of each feature."""
        return list(accumulate((feature.bits for feature in self.features[:-1]), initial=0))

    def encode(self, records: Sequence[Mapping[str, Any]]) -> Bits:
        """Bits of the records, shape (records, bits).

        Raises :class:`InvalidRecord` naming the column and the record.
        """
        rows = []
        for index, record in enumerate(records):
            try:
                self._check_columns(record)
                rows.append([feature.value(record[feature.name]) for feature in self.features])
            except InvalidRecord as error:
                if len(records) > 1:
                    error.detail = f"{error.detail} (record {index + 1})"
                raise
        return self.encode_columns(
            {
                feature.name: np.array([row[place] for row in rows], dtype=feature.dtype)
                for place, feature in enumerate(self.features)
            }
        )

    def encode_columns(self, columns: Mapping[str, NDArray[Any]]) -> Bits:
        """Bits of checked values, shape (records, bits).

        ``columns`` has an array by the name of each feature: numbers (records,), text (records,) of dtype object, or
        images (records, height, width).
        """
        self._check_columns(columns)
        (records,) = {len(columns[feature.name]) for feature in self.features}
        bits = np.empty((records, self.bits), dtype=np.uint8)
        for feature, start in zip(self.features, self._starts, strict=True):
            for row in range(0, records, _RECORDS_AT_ONCE):
                part = slice(row, row + _RECORDS_AT_ONCE)
                bits[part, start : start + feature.bits] = feature.encode(columns[feature.name][part])
        return bits

    def _check_columns(self, found: Iterable[str]) -> None:
        """Raises :class:`InvalidRecord` naming a column that is missing or that the task does not have."""
        names, given = [feature.name for feature in self.features], list(found)
        for name in names:
            if name not in given:
                raise InvalidRecord(
                    "the column is missing", field=name, hint=f"task {self.name} has the columns {', '.join(names)}"
                )
        for name in given:
            if name not in names and name != self.target:
                raise InvalidRecord(
                    f"task {self.name} has no such column", field=str(name), hint=f"its columns are {', '.join(names)}"
                )


def shipped_schemas() -> dict[str, InputSchema]:
    """The schemas that ship with this release, by name (``task/vN``)."""
    return {schema.name: schema for schema in _load_schemas()}


@cache
def _load_schemas() -> tuple[InputSchema, ...]:
    folder = resources.files("epaas_shared") / "tasks"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    return tuple(InputSchema.model_validate(json.loads(file.read_text("utf-8"))) for file in files)
