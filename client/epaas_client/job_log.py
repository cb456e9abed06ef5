"""The predictions that this machine asked for, so that a later process can fetch and decrypt them.

One JSON object a line, appended and synchronised: an entry, or ``{"forget": id}``. It holds where a prediction is and
which keys open it, never a value of a record. A line cut off by a crash is skipped. This module knows neither servers
nor keys.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from epaas_shared.digest import Digest
from epaas_shared.errors import ConfigurationError
from epaas_shared.scores import ScoreScale

LOG_FILE = "jobs.jsonl"


class LoggedJob(BaseModel):
    """One prediction asked for. ``first_record`` is the number, from 1, of its first record in ``source``.

    ``output`` and ``scores`` are what the model was announced with; there is no ``output`` in an entry of release 0.1.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    server: str
    model: str
    version: int
    evaluation_keys: Digest
    input_schema: Digest
    output: Literal["label", "scores"] | None = None
    scores: ScoreScale | None = None
    records: int
    first_record: int
    submitted: datetime
    source: str


class JobLog:
    """The log of one user on this machine, a file in the keystore."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, job: LoggedJob) -> None:
        """Write an entry through to the disk."""
        self._append(job.model_dump(mode="json"))

    def forget(self, job_id: str) -> None:
        """Leave a prediction out of the list from now on."""
        self._append({"forget": job_id})

    def jobs(self) -> list[LoggedJob]:
        """The entries, oldest first."""
        jobs: dict[str, LoggedJob] = {}
        for fields in self._lines():
            if "forget" in fields:
                jobs.pop(str(fields["forget"]), None)
                continue
            try:
                job = LoggedJob.model_validate(fields)
            except ValidationError:
                continue
            jobs[job.id] = job
        return list(jobs.values())

    def find(self, job_id: str) -> LoggedJob | None:
        """The entry of a prediction, if this machine asked for it."""
        return next((job for job in self.jobs() if job.id == job_id), None)

    def _lines(self) -> list[dict[str, Any]]:
        try:
            content = self.path.read_text("utf-8", errors="replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ConfigurationError(f"{self.path} cannot be read: {error.strerror}") from error
        found = []
        for line in content.splitlines():
            try:
                fields = json.loads(line)
            except ValueError:
                continue
            if isinstance(fields, dict):
                found.append(fields)
        return found

    def _append(self, fields: dict[str, Any]) -> None:
        # The leading newline ends a line that a crash cut off; empty lines are skipped on reading.
        line = b"\n" + json.dumps(fields).encode() + b"\n"
        try:
            if not self.path.parent.exists():
                self.path.parent.mkdir(parents=True, mode=0o700)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(descriptor, line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise ConfigurationError(f"{self.path} cannot be written: {error.strerror}") from error
