"""What the operator requires of a model before it is published: thresholds a task, from a TOML file.

    ["mnist/v1"]
    accuracy = 0.97                     # at least, on the report's test rows
    expected_calibration_error = 0.05   # at most, after temperature scaling
    encrypted_agreement = 1.0           # at least, of the records that a real client sent
    encrypted_rows = 5                  # at least so many of them
    seconds = 120                       # at most, for one record

Every entry may be left out; a task without a table is accepted as it is. What was not measured falls short.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from epaas_shared.errors import BundleFallsShort, ConfigurationError, Shortfall
from epaas_shared.report import Report

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
TaskName = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*/v[1-9][0-9]*$")]


class Thresholds(BaseModel):
    """Of one task. An entry that is None requires nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    accuracy: Share | None = None
    expected_calibration_error: Share | None = None
    encrypted_agreement: Share | None = None
    encrypted_rows: Annotated[int, Field(ge=1)] | None = None
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


_FILE = TypeAdapter(dict[TaskName, Thresholds])


@dataclass(frozen=True)
class Acceptance:
    thresholds: Mapping[str, Thresholds] = field(default_factory=dict)
    """By task."""

    def check(self, report: Report, seconds: float | None) -> None:
        """Raises :class:`BundleFallsShort` with everything that the report does not reach.

        ``seconds`` is what a record is predicted to take on this server, None where that is not known; then counts
        what the report's encrypted records took.
        """
        thresholds = self.thresholds.get(report.task)
        if thresholds is None:
            return
        shortfalls = tuple(_shortfalls(thresholds, report, seconds))
        if shortfalls:
            listed = "; ".join(str(shortfall) for shortfall in shortfalls)
            raise BundleFallsShort(f"task {report.task}: {listed}", field="report.json", shortfalls=shortfalls)


def read_acceptance(path: Path) -> Acceptance:
    """The thresholds in a file. Raises :class:`ConfigurationError` naming the entry that is wrong."""
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {(error.strerror or '').lower()}", field=str(path)) from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigurationError(
            f"is not TOML: {error}", field=str(path), hint='tasks are quoted tables, such as ["mnist/v1"]'
        ) from None
    try:
        return Acceptance(_FILE.validate_python(content))
    except ValidationError as invalid:
        first = invalid.errors()[0]
        raise ConfigurationError(
            first["msg"].lower(),
            field=f"{path}: {_entry(first['loc'])}",
            hint=f'a task such as "mnist/v1" may have {", ".join(Thresholds.model_fields)}',
        ) from None


def _entry(location: tuple[int | str, ...]) -> str:
    """The place in the file, such as ``"mnist/v1".accuracy``."""
    task, *rest = (str(part) for part in location if part != "[key]")
    return ".".join([f'"{task}"', *rest])


def _shortfalls(thresholds: Thresholds, report: Report, seconds: float | None) -> Iterator[Shortfall]:
    encrypted = report.agreement.encrypted
    rows = 0 if encrypted is None else encrypted.rows
    agreement = None if encrypted is None or rows == 0 else encrypted.agree / rows
    if seconds is None and encrypted is not None:
        seconds = encrypted.seconds
    error = report.calibration.after.expected_calibration_error.value
    measured: tuple[tuple[str, float | None, Literal["at least", "at most"]], ...] = (
        ("accuracy", report.accuracy.accuracy.value, "at least"),
        ("expected_calibration_error", error, "at most"),
        ("encrypted_agreement", agreement, "at least"),
        ("encrypted_rows", rows, "at least"),
        ("seconds", seconds, "at most"),
    )
    for name, value, bound in measured:
        required = getattr(thresholds, name)
        if required is None:
            continue
        reached = value is not None and (value >= required if bound == "at least" else value <= required)
        if not reached:
            yield Shortfall(name, required, bound, value)
