"""The checks, in the order in which they are made, and what they find together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from epaas_server.doctor import evaluation, exposure, machine, service, stores
from epaas_server.doctor.patient import Finding, Patient, Verdict, error, ok, skipped
from epaas_server.settings import Settings
from epaas_shared.errors import EpaasError

Look = Callable[[Patient], Iterator[Finding]]


@dataclass(frozen=True)
class Check:
    name: str
    look: Look
    needs: tuple[str, ...] = ()
    """What must have been opened: ``database``, ``blobs``."""


CHECKS = (
    Check("variables", machine.variables),
    Check("data folder", machine.data_folder),
    Check("strangers", machine.strangers),
    Check("disk", machine.disk),
    Check("memory", machine.memory),
    Check("threads", machine.threads),
    Check("limits", machine.limits),
    Check("secrets", exposure.secrets),
    Check("exposure", exposure.exposure),
    Check("acceptance", stores.acceptance),
    Check("tracing", service.tracing),
    Check("database", stores.database),
    Check("clocks", stores.clocks, ("database",)),
    Check("connections", stores.connections, ("database",)),
    Check("blobs", stores.blobs),
    Check("orphans", stores.orphans, ("database", "blobs")),
    Check("evaluation", evaluation.evaluation),
    Check("models", stores.models, ("database", "blobs")),
    Check("tokens", exposure.tokens, ("database",)),
    Check("workers", service.workers, ("database",)),
    Check("queue", service.queue, ("database",)),
    Check("abandoned", service.abandoned, ("database",)),
    Check("keys", service.keys, ("database",)),
    Check("failures", service.failures, ("database",)),
)


@dataclass(frozen=True)
class Result:
    check: str
    finding: Finding

    def document(self) -> dict[str, Any]:
        finding = self.finding
        return {
            "check": self.check,
            "verdict": finding.verdict.value,
            "detail": finding.detail,
            "remedy": finding.remedy,
        }


def examine(settings: Callable[[], Settings], environment: Mapping[str, str]) -> Iterator[Result]:
    """What the checks find, as they find it; ``settings`` raises what is wrong with them."""
    try:
        patient = Patient(settings(), environment)
    except EpaasError as wrong:
        yield Result("settings", error(str(wrong), wrong.hint or "see docs/operating.md for what it may be"))
        return
    yield Result("settings", ok("they can be read"))
    for check in CHECKS:
        missing = [what for what in check.needs if getattr(patient, what) is None]
        if missing:
            yield Result(check.name, skipped(f"needs the {missing[0]}"))
            continue
        for finding in _findings(check, patient):
            yield Result(check.name, finding)
    if patient.database is not None:
        patient.database.dispose()


def worst(results: list[Result]) -> Verdict:
    """What the whole installation is."""
    verdicts = {result.finding.verdict for result in results}
    return next((verdict for verdict in (Verdict.ERROR, Verdict.WARNING) if verdict in verdicts), Verdict.OK)


def _findings(check: Check, patient: Patient) -> Iterator[Finding]:
    """A check that is stopped by what it looks at has found that."""
    try:
        yield from check.look(patient)
    except EpaasError as wrong:
        yield error(str(wrong), wrong.hint or "mend that, and run `epaas-server doctor` again")
    except (OSError, SQLAlchemyError) as failed:
        words = next(iter(str(getattr(failed, "orig", failed)).splitlines()), type(failed).__name__)
        yield error(f"it could not be looked at: {words}", "mend that, and run `epaas-server doctor` again")
