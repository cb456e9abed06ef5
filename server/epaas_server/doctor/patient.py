"""What is examined, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Engine

from epaas_server.blobs import Blobs
from epaas_server.settings import Settings


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    verdict: Verdict
    detail: str
    remedy: str | None = None
    """What to do; of warnings and errors."""


@dataclass
class Patient:
    """An installation. What an early check has opened the later ones use; they are skipped where it could not."""

    settings: Settings
    environment: Mapping[str, str]
    database: Engine | None = None
    """Of the present schema."""
    blobs: Blobs | None = None


def ok(detail: str) -> Finding:
    return Finding(Verdict.OK, detail)


def warning(detail: str, remedy: str) -> Finding:
    return Finding(Verdict.WARNING, detail, remedy)


def error(detail: str, remedy: str) -> Finding:
    return Finding(Verdict.ERROR, detail, remedy)


def skipped(detail: str) -> Finding:
    return Finding(Verdict.SKIPPED, detail)


def gigabytes(bytes_: float) -> str:
    return f"{bytes_ / 1e9:,.1f} GB"


def variable(setting: str) -> str:
    """The name of a setting in the environment."""
    return f"EPAAS_SERVER_{setting.upper()}"
