"""What is refused before it is queued: what no worker could hold, and more than the workers can get done."""

from __future__ import annotations

from epaas_server.jobs.job import NewPrediction
from epaas_server.services import Services
from epaas_shared.errors import EvaluationTooLarge, Unavailable

_MEGABYTE = 1_000_000


def check_fits(services: Services, new: NewPrediction) -> None:
    """Raises :class:`EvaluationTooLarge` and :class:`Unavailable`, with the figures."""
    workers = services.presence.present()
    largest = max((worker.facts.memory_bytes for worker in workers), default=None)
    needed = new.predicted_memory_bytes
    if largest is not None and needed is not None and needed > largest:
        raise EvaluationTooLarge(
            f"evaluating {new.records} records takes {_megabytes(needed)}; the largest worker has "
            f"{_megabytes(largest)}",
            field="body.records",
        )
    backlog, limit = services.jobs.backlog_seconds(), services.settings.max_backlog_seconds
    seconds = new.predicted_seconds or 0.0
    if backlog + seconds > limit:
        raise Unavailable(
            f"{backlog:.0f} seconds of evaluation are waiting, and this would take {seconds:.0f} more; the limit is "
            f"{limit:.0f}",
            hint="try again later; nothing was kept",
            retry_after=max(1, round((backlog + seconds - limit) / max(1, len(workers)))),
        )


def _megabytes(size: int) -> str:
    return f"{size / _MEGABYTE:,.0f} MB"
