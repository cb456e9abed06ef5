"""The work of a training job, from its request to its bundle; the same by command and by service."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from epaas_models.datasets import DataSettings, load
from epaas_models.fit import Fitted, fit
from epaas_models.jobs.folder import JobFolder
from epaas_models.publishing import publish_within, read_token
from epaas_models.watching import EpochSeen
from epaas_shared.errors import Conflict, EpaasError, InternalError, JobCancelled
from epaas_shared.protocol import Problem

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how far it is and of how much."""

_SECONDS = 0.5
"""Between two notes of how far it is."""


def run(job: JobFolder, data: DataSettings, progress: Progress = lambda _what, _done, _total: None) -> Fitted:
    """Train, measure and write the bundle; a job that was interrupted goes on from its last epoch.

    Raises :class:`Conflict` if another process runs it, :class:`JobCancelled` soon after it was asked to stop, and
    whatever a training raises, which ends the job as failed. A signal or a kill leaves it as it is, to be run again.
    """
    with job.lock() as free:
        if not free:
            raise Conflict("another process runs this job", field=job.id, hint="wait for it, or end it first")
        job.begin()
        note = _Notes(job, progress)
        try:
            fitted = _fit(job, data, note)
        except JobCancelled:
            job.end("cancelled")
            raise
        except EpaasError as error:
            job.end("failed", Problem.of(error))
            raise
        except Exception as error:
            job.end("failed", Problem.of(InternalError(f"{type(error).__name__}: {error}")))
            raise
        job.end("succeeded")
        return fitted


def _fit(job: JobFolder, data: DataSettings, note: _Notes) -> Fitted:
    request, own = job.request, job.request.own
    dataset = load(request.configuration.task, data, note) if own is None else own.dataset()
    job.bundle.mkdir(exist_ok=True)
    fitted = fit(
        request.configuration,
        dataset,
        job.bundle,
        seed=request.seed,
        command=request.command,
        evaluation_splits=request.splits,
        thoroughness=request.thoroughness,
        progress=note,
        checkpoint=job.checkpoint,
        device=device_of(request.device),
        watch=note.epoch,
        own_schema=None if own is None else own.input_schema,
        learn=None if own is None else own.learn,
    )
    if (asked := request.publish) is not None:
        note("publish", 0, 1)
        published = publish_within(
            job.bundle,
            asked.server,
            read_token(asked.token_file),
            alias=asked.alias,
            seconds=asked.budget_seconds,
            trust_measured_ranges=asked.trust_measured_ranges,
        )
        job.add_event({"event": "published", "version": published.version, "alias": asked.alias.value})
    return fitted


def device_of(wish: str) -> str:
    """The torch device for a request's."""
    if wish == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return wish


class _Notes:
    """Writes how far a job is into its folder, and passes it on."""

    def __init__(self, job: JobFolder, progress: Progress) -> None:
        self._job, self._progress = job, progress
        self._what, self._noted, self._looked = "", 0.0, 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        self._progress(what, done, total)
        now = time.monotonic()
        if now - self._looked >= _SECONDS:
            self._looked = now
            if self._job.cancelling:
                raise JobCancelled("the job was cancelled", field=self._job.id)
        if what != self._what:
            self._job.add_event({"event": "stage", "stage": what})
        if what != self._what or done == total or now - self._noted >= _SECONDS:
            self._job.write_progress(what, done, total)
            self._what, self._noted = what, now

    def epoch(self, seen: EpochSeen) -> None:
        self._job.add_event({"event": "epoch", **seen.model_dump(mode="json", exclude_none=True)})
