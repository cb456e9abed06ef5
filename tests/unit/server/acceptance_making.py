"""Reports that reach so much, and operators' files that ask for so much."""

from __future__ import annotations

from typing import Any

from server_making import BundleParts, sha256
from tests.report_making import least_report

from epaas_shared.report import Report, report_bytes
from epaas_shared.report.agreement import Agreement, EncryptedAgreement
from epaas_shared.report.measures import Measure

EVERYTHING = """
["toy/v1"]
accuracy = 0.97
expected_calibration_error = 0.05
encrypted_agreement = 1.0
encrypted_rows = 5
seconds = 120
"""


def encrypted(rows: int, agree: int, seconds: float | None) -> EncryptedAgreement:
    return EncryptedAgreement(
        rows=rows,
        agree=agree,
        right=0,
        model_digest="0" * 64,
        seconds=seconds,
        bootstraps=None,
        threads=None,
        machine="none",
    )


def report_with(
    parts: BundleParts, *, accuracy: float = 1.0, error: float = 0.0, served: EncryptedAgreement | None = None
) -> Report:
    """The least report on the bundle's network, but for what is given."""
    report = least_report(parts.schema, sha256(parts.files()["weights.safetensors"]))
    rate = report.accuracy.accuracy.model_copy(update={"value": accuracy})
    after = report.calibration.after.model_copy(update={"expected_calibration_error": Measure(value=error)})
    changes: dict[str, Any] = {
        "accuracy": report.accuracy.model_copy(update={"accuracy": rate}),
        "calibration": report.calibration.model_copy(update={"after": after}),
        "agreement": Agreement(torch=None, encrypted=served),
    }
    return report.model_copy(update=changes)


def bundle_with(**measured: Any) -> BundleParts:
    """A bundle of such a report."""
    parts = BundleParts()
    parts.report = report_bytes(report_with(parts, **measured))
    return parts
