"""The whole report, its format and its published JSON schema."""

from __future__ import annotations

from typing import Any, Final, Literal, Self

from pydantic import ValidationError, model_validator

from epaas_shared.digest import Digest, canonical_json
from epaas_shared.errors import InvalidBundle
from epaas_shared.report.accuracy import Accuracy
from epaas_shared.report.agreement import Agreement
from epaas_shared.report.calibration import Calibration
from epaas_shared.report.generalisation import Generalisation
from epaas_shared.report.measures import Count, Finite, Section
from epaas_shared.report.robustness import Robustness

REPORT_FORMAT: Final = "epaas-report/2"


class Data(Section):
    """What the model was trained and tested on."""

    source: str
    digest: Digest
    split: str
    training_rows: Count
    validation_rows: Count
    test_rows: Count


class Claim(Section):
    """What was claimed beside what was measured here."""

    claim: str
    by: str
    """Who claims it: the thesis's table, the configuration."""
    claimed: Finite
    measured: Finite
    interval: tuple[Finite, Finite] | None
    holds: bool
    """Whether the measured value or its interval reaches the claim."""


class Making(Section):
    """How the report was made: enough to make it again."""

    command: str
    """That measures again; the training's is in the manifest."""
    seed: int
    thoroughness: Literal["quick", "full"]
    versions: dict[str, str]
    seconds: dict[str, Finite]
    """What each chapter took."""
    machine: str
    created: str


class Report(Section):
    """How reliable one model is, and how that was measured."""

    format: Literal["epaas-report/2"] = REPORT_FORMAT
    model: str
    title: str
    task: str
    """The input schema, ``task/vN``."""
    classes: tuple[str, ...]
    weights: Digest
    """Of the bundle's weights: a report belongs to the network that it was measured on."""
    intended_use: str
    limits: tuple[str, ...]
    data: Data
    accuracy: Accuracy
    calibration: Calibration
    robustness: Robustness
    generalisation: Generalisation
    agreement: Agreement
    claims: tuple[Claim, ...]
    made: Making

    @model_validator(mode="after")
    def _classes_fit(self) -> Self:
        if tuple(found.label for found in self.accuracy.classes) != self.classes:
            raise ValueError("accuracy.classes are not the classes of the report")
        return self


def read_report(data: bytes) -> Report:
    """The report in a bundle's file. Raises :class:`InvalidBundle` naming the entry that is wrong or missing."""
    try:
        return Report.model_validate_json(data)
    except ValidationError as invalid:
        first = invalid.errors()[0]
        where = ".".join(["report.json", *(str(part) for part in first["loc"])])
        raise InvalidBundle(
            first["msg"].lower(),
            field=where,
            hint="`epaas-train report BUNDLE` measures the model and writes its report",
        ) from None


def report_json_schema() -> dict[str, Any]:
    """The JSON schema of reports, as docs/reference/report.schema.json has it."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Report.model_json_schema(mode="serialization")}


def report_bytes(report: Report) -> bytes:
    """Canonical bytes for a bundle."""

    return canonical_json(report.model_dump(mode="json"))
