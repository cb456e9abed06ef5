"""Starts the jobs of a queue, each in a process of its own, so many at a time; a job whose process died is begun again.

A process outlives a service that dies, and is left alone by the next one: it holds its job's lock.
"""

from __future__ import annotations

import subprocess
import sys
import threading

import structlog

from epaas_models.jobs.folder import JobFolder
from epaas_models.jobs.queue import JobQueue
from epaas_shared.errors import InternalError
from epaas_shared.protocol import Problem

_log = structlog.get_logger()

_POLL_SECONDS = 0.3
_PAUSE_SECONDS = 5.0
"""After something that should not happen."""
MAX_ATTEMPTS = 5
"""How often a job whose process dies is begun before it fails."""


class Slots:
    """Threads that each run one job after another."""

    def __init__(self, queue: JobQueue, count: int) -> None:
        self._queue = queue
        self._stop = threading.Event()
        self._claiming = threading.Lock()
        self._claimed: set[str] = set()
        self._threads = [threading.Thread(target=self._work, name=f"slot-{n}", daemon=True) for n in range(count)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Interrupt what runs, which goes on when a service is started again, and wait for it."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                if not self._run_next():
                    self._stop.wait(_POLL_SECONDS)
            except Exception as error:  # a full disk, a damaged folder: the others still have a right to be run
                _log.error("a slot failed", exc_info=error)
                self._stop.wait(_PAUSE_SECONDS)

    def _run_next(self) -> bool:
        """Whether there was a job to run."""
        job = self._claim()
        if job is None:
            return False
        try:
            self._run(job)
        finally:
            with self._claiming:
                self._claimed.discard(job.id)
        return True

    def _claim(self) -> JobFolder | None:
        with self._claiming:
            for job in self._queue.waiting():
                if job.id not in self._claimed:
                    self._claimed.add(job.id)
                    return job
        return None

    def _run(self, job: JobFolder) -> None:
        if job.cancelling or job.status.attempts >= MAX_ATTEMPTS:
            _give_up(job)
            return
        with job.log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603  # of this program's own
                [sys.executable, "-m", "epaas_models.jobs", str(job.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        _log.info("training job begun", job=job.id, pid=process.pid)
        while process.poll() is None:
            if self._stop.wait(_POLL_SECONDS):
                process.terminate()
                process.wait()
                return
        _log.info("training job's process ended", job=job.id, state=job.status.state, exit_code=process.returncode)
        if job.status.attempts == 0:
            self._stop.wait(_POLL_SECONDS)  # it did not even begin: no hurry


def _give_up(job: JobFolder) -> None:
    with job.lock() as free:
        if not free:
            return
        if job.cancelling:
            job.end("cancelled")
        else:
            detail = f"the process of the job died {MAX_ATTEMPTS} times; its log may say why"
            job.end("failed", Problem.of(InternalError(detail)))
