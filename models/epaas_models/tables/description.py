"""What a provider says of a table: which column is the label, and whatever cannot be seen in the rows.

A small document in JSON or TOML. Only the name of the task and of its label are needed; the rest is found in the table
or has a default. Knows no rows.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from itertools import chain
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from epaas_models.datasets import TASKS
from epaas_models.tables.faults import invalid_table
from epaas_shared.bundle import MODEL_NAME
from epaas_shared.errors import Fault, InvalidTable
from epaas_shared.schema import shipped_schemas

Text = Annotated[str, Field(min_length=1, pattern=r"^\S(.*\S)?$")]
"""Not empty and without spaces around it, as cells are read."""
Real = Annotated[float, Field(allow_inf_nan=False)]


class ColumnDescription(BaseModel):
    """A column that is not the label. Without a ``type`` it is found: nearly all numbers, or else categories."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["number", "category", "ignore"] | None = None
    minimum: Real | None = None
    """The plausible range, ends included: what is outside is a mistake, in the table and in any later record."""
    maximum: Real | None = None
    categories: tuple[Text, ...] = ()
    """All that there are; without them they are found."""
    missing: tuple[Text, ...] = ()
    """Marks of a missing value beside those of the table."""
    units: str = ""
    """Of a number, or whatever else whoever fills in a record must know."""

    @field_validator("categories")
    @classmethod
    def _distinct(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return _check_distinct(values)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.categories and self.kind != "category":
            raise ValueError(f"categories are for a column of type category, and this is of type {self.kind}")
        if self._bounds and self.kind != "number":
            raise ValueError(f"minimum and maximum are for a column of type number, and this is of type {self.kind}")
        if self.minimum is not None and self.maximum is not None and self.minimum >= self.maximum:
            raise ValueError("the minimum must be below the maximum")
        return self

    @property
    def kind(self) -> Literal["number", "category", "ignore"] | None:
        """The type, as given or as it follows from what else is given."""
        return self.type or ("number" if self._bounds else "category" if self.categories else None)

    @property
    def _bounds(self) -> bool:
        return self.minimum is not None or self.maximum is not None


class TableDescription(BaseModel):
    """A task from a provider's own rows. Columns that are not named here are used, as what they are found to be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str = Field(pattern=MODEL_NAME, max_length=100)
    label: Text
    """The column to predict."""
    title: str = ""
    source: str = ""
    """Where the rows come from, in words, for the report."""
    classes: tuple[Text, ...] = ()
    """All labels, in the order that they are reported in; without them they are found."""
    columns: dict[Text, ColumnDescription] = {}
    missing: tuple[Text, ...] = ()
    """Marks of a missing value in any column, such as ``NA``; an empty cell always is one."""
    incomplete_rows: Literal["refuse", "leave-out"] = "refuse"
    """What to do with rows that lack a number, a label or a group. A missing category is a value like others."""
    group: Text | None = None
    """A column that says whose row it is: rows of one person are never on both sides of a split. No feature."""
    subgroups: tuple[Text, ...] = ()
    """Columns whose values divide people into groups that a model should serve alike; the report looks at each."""
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    encoding: Literal["thresholds", "one-hot-bins"] = "thresholds"
    bins: int = Field(default=16, ge=2, le=256)
    """Of a number, at most; between its quantiles. One-hot ones are fewer where there are few rows."""
    bits: int = Field(default=512, ge=2, le=65536)
    """Of a record, at most. A bit costs 24 bytes of upload, and time in each neuron of the first layer."""

    @field_validator("task")
    @classmethod
    def _own(cls, task: str) -> str:
        if task in TASKS or any(schema.task == task for schema in shipped_schemas().values()):
            raise ValueError("there is a task of this name in this release; choose another name")
        return task

    @field_validator("classes")
    @classmethod
    def _several(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if len(classes) == 1:
            raise ValueError("there must be two classes or more")
        return _check_distinct(classes)

    @field_validator("columns")
    @classmethod
    def _no_label(cls, columns: dict[str, ColumnDescription], info: ValidationInfo) -> dict[str, ColumnDescription]:
        if info.data.get("label") in columns:
            raise ValueError(f"{info.data['label']!r} is the label; its values are the entry classes")
        return columns

    @field_validator("group")
    @classmethod
    def _group(cls, group: str | None, info: ValidationInfo) -> str | None:
        if group is not None and group == info.data.get("label"):
            raise ValueError("the label cannot be the group as well")
        if group in info.data.get("columns", {}):
            raise ValueError(f"the group is not a feature: remove columns.{group}")
        return group

    @field_validator("subgroups")
    @classmethod
    def _features(cls, subgroups: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        columns = info.data.get("columns", {})
        for name in subgroups:
            if name in (info.data.get("label"), info.data.get("group")):
                raise ValueError(f"{name!r} is the label or the group, not a feature")
            if name in columns and columns[name].type == "ignore":
                raise ValueError(f"{name!r} is ignored, so that nothing can be said of its values")
        return _check_distinct(subgroups)

    @field_validator("delimiter")
    @classmethod
    def _separates(cls, delimiter: str | None) -> str | None:
        if delimiter is not None and (delimiter in '"\r\n ' or delimiter.isalnum() or not delimiter.isascii()):
            raise ValueError("use a comma, a semicolon, a tab or another mark that is no letter, digit or quote")
        return delimiter

    def column(self, name: str) -> ColumnDescription:
        return self.columns.get(name, _NOTHING)

    def marks(self, name: str) -> frozenset[str]:
        """Cells of a column that mean a missing value."""
        return frozenset(chain(("",), self.missing, self.column(name).missing))


_NOTHING = ColumnDescription()


def parse_description(text: str) -> TableDescription:
    """The description in a JSON or a TOML document. Raises :class:`InvalidTable` with every entry that is wrong."""
    try:
        document = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidTable(
            f"is neither valid JSON nor valid TOML: {error}", field="description", hint="correct the document"
        ) from None
    return description_of(document)


def description_of(document: Mapping[str, Any]) -> TableDescription:
    """The description in a document that is read already. Raises as :func:`parse_description` does."""
    try:
        return TableDescription.model_validate(document)
    except ValidationError as invalid:
        raise invalid_table([_fault(error) for error in invalid.errors()]) from None


def _fault(error: Any) -> Fault:
    """An error of pydantic as a fault of the entry."""
    *path, last = (str(part) for part in error["loc"]) if error["loc"] else ("description",)
    entries = ColumnDescription if path[:1] == ["columns"] else TableDescription
    field, hint = ".".join((*path, last)), "correct the entry"
    detail = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        detail, hint = "there is no such entry", f"entries here are {', '.join(entries.model_fields)}"
    elif error["type"] == "missing":
        detail, hint = "the entry is missing", "give it: task names the task and label the column to predict"
    return Fault(field, detail[:1].lower() + detail[1:], hint)


def _check_distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    repeated = sorted({value for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"given twice: {', '.join(repeated)}")
    return values
