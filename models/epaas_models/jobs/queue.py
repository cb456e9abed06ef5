"""All jobs of a service: a folder of job folders. The order of the queue is that of submission."""

from __future__ import annotations

import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from epaas_models.jobs.folder import ENDED, JobFolder
from epaas_models.jobs.request import TrainingRequest
from epaas_shared.digest import digest_bytes
from epaas_shared.errors import ConfigurationError, IdempotencyConflict, TrainingJobNotFound

_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class JobQueue:
    folder: Path

    def submit(self, request: TrainingRequest, key: str | None = None) -> JobFolder:
        """Queue a job. With the same ``key`` as before it is the same job again.

        Raises :class:`IdempotencyConflict` if that asked for something else, :class:`ConfigurationError` where there is
        no room.
        """
        job = JobFolder(self.folder / (secrets.token_hex(16) if key is None else digest_bytes(key.encode())[:32]))
        if not job.exists:
            return JobFolder.create(job.path, request)
        if job.request != request:
            raise IdempotencyConflict("the key came with another request before", field="Idempotency-Key")
        return job

    def job(self, name: str) -> JobFolder:
        """Raises :class:`TrainingJobNotFound`."""
        job = JobFolder(self.folder / name)
        if not _ID.fullmatch(name) or not job.exists:
            raise TrainingJobNotFound(f"there is no training job {name[:80]!r}", field="id")
        return job

    def jobs(self) -> list[JobFolder]:
        """All of them, the newest first. One whose state is damaged is left out, so that the others go on."""
        submitted: dict[JobFolder, datetime] = {}
        for path in self.folder.glob("*"):
            job = JobFolder(path)
            if _ID.fullmatch(path.name) and job.exists:
                with suppress(ConfigurationError):
                    submitted[job] = job.status.submitted_at
        return sorted(submitted, key=lambda job: submitted[job], reverse=True)

    def waiting(self) -> list[JobFolder]:
        """Those that nobody runs and that have not ended, interrupted ones among them, the oldest first."""
        return [job for job in reversed(self.jobs()) if job.status.state not in ENDED and not job.locked]
