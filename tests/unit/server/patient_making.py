"""Installations that are as they must be, for tests to break one thing of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from epaas_server.doctor.examination import CHECKS
from epaas_server.doctor.patient import Finding, Patient, Verdict
from epaas_server.services import Services
from epaas_server.settings import Settings


def installation(folder: Path, **changes: object) -> Settings:
    """One that has been started before, on SQLite."""
    settings = Settings.model_validate({"data_dir": folder / "data", "threads": 1, **changes})
    Services.open(Settings(data_dir=folder / "data", threads=1)).close()
    return settings


def look(check: str, settings: Settings, environment: Mapping[str, str] | None = None) -> list[Finding]:
    """What one check finds, after those that open what it needs."""
    (wanted,) = [each for each in CHECKS if each.name == check]
    patient = Patient(settings, environment or {})
    for name in wanted.needs:
        (opening,) = [each for each in CHECKS if each.name == name]
        (opened,) = opening.look(patient)
        assert opened.verdict is Verdict.OK, opened
    findings = list(wanted.look(patient))
    if patient.database is not None:
        patient.database.dispose()
    return findings


def the_only(findings: list[Finding]) -> Finding:
    (finding,) = findings
    return finding


def healthy(findings: list[Finding]) -> bool:
    return [finding.verdict for finding in findings] == [Verdict.OK]
