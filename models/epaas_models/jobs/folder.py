"""A training job's folder: the request, the state, the events, the checkpoint and at the end the bundle.

Every change is a file written whole, so that a process killed at any moment leaves a job that another goes on with.
Running is holding the lock, which the operating system gives back when the holder dies. Knows nothing of training.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from epaas_models.jobs.request import TrainingRequest
from epaas_models.whole_files import write_atomically
from epaas_shared.errors import ConfigurationError, Conflict
from epaas_shared.protocol import Problem

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ENDED: frozenset[State] = frozenset({"succeeded", "failed", "cancelled"})


class JobStatus(BaseModel):
    """Where a job is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: State
    submitted_at: datetime
    started_at: datetime | None = None
    """When it was begun for the first time."""
    ended_at: datetime | None = None
    attempts: int = 0
    """How often it was begun."""
    problem: Problem | None = None
    """Why it failed."""


class JobProgress(BaseModel):
    """How far a stage is, such as ``train`` or ``attacks``, in its own units."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class JobFolder:
    """A job by the path of its folder, whose name is its id."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint"

    @property
    def bundle(self) -> Path:
        return self.path / "bundle"

    @property
    def log(self) -> Path:
        """What the job's process wrote, for people."""
        return self.path / "log.txt"

    @property
    def request(self) -> TrainingRequest:
        """Raises :class:`ConfigurationError` if the folder is no job's."""
        try:
            return TrainingRequest.model_validate_json((self.path / "request.json").read_bytes())
        except (OSError, ValidationError):
            raise ConfigurationError("this is no folder of a training job", field=str(self.path)) from None

    @property
    def status(self) -> JobStatus:
        """Raises :class:`ConfigurationError` for a file that somebody has changed."""
        path = self.path / "status.json"
        try:
            return JobStatus.model_validate_json(path.read_bytes())
        except ValidationError:
            raise ConfigurationError("the job's state is damaged", field=str(path), hint="remove its folder") from None

    @classmethod
    def create(cls, path: Path, request: TrainingRequest) -> JobFolder:
        """A queued job; the folder becomes one by its status, which is written last.

        One that is there and not running is queued again, with what its checkpoint has. Raises :class:`Conflict` if it
        runs, :class:`ConfigurationError` where the folder cannot be written to.
        """
        job = cls(path)
        if job.exists and job.locked:
            raise Conflict("it is being trained already", field=str(path), hint="wait for it, or end it first")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"{path.parent} cannot be written: {error.strerror}") from None
        write_atomically(path / "request.json", request.model_dump_json(indent=1).encode())
        job.write_status(JobStatus(state="queued", submitted_at=datetime.now(UTC)))
        return job

    @property
    def exists(self) -> bool:
        return (self.path / "status.json").exists()

    def write_status(self, status: JobStatus) -> None:
        write_atomically(self.path / "status.json", status.model_dump_json(indent=1).encode())

    def begin(self) -> None:
        """By the holder of the lock."""
        status, now = self.status, datetime.now(UTC)
        self.write_status(
            status.model_copy(
                update={
                    "state": "running",
                    "started_at": status.started_at or now,
                    "attempts": status.attempts + 1,
                }
            )
        )

    def end(self, state: State, problem: Problem | None = None) -> None:
        """By the holder of the lock. The checkpoint of a job that will not go on is removed."""
        self.write_status(
            self.status.model_copy(update={"state": state, "problem": problem, "ended_at": datetime.now(UTC)})
        )
        self.checkpoint.unlink(missing_ok=True)

    @property
    def cancelling(self) -> bool:
        """Whether it was asked to stop."""
        return (self.path / "cancel").exists()

    def ask_to_cancel(self) -> None:
        (self.path / "cancel").touch()

    def write_progress(self, stage: str, done: int, total: int) -> None:
        progress = JobProgress(stage=stage, done=done, total=total)
        write_atomically(self.path / "progress.json", progress.model_dump_json().encode())

    @property
    def progress(self) -> JobProgress | None:
        """How far the present stage is; None before the first."""
        try:
            return JobProgress.model_validate_json((self.path / "progress.json").read_bytes())
        except FileNotFoundError:
            return None

    def add_event(self, event: dict[str, Any]) -> None:
        """A line of JSON with the time. A line that a kill cut short is passed over when read."""
        line = json.dumps({"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **event}, allow_nan=False)
        descriptor = os.open(self.path / "events.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, f"\n{line}\n".encode())
        finally:
            os.close(descriptor)

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        """Those after so many, oldest first."""
        try:
            lines = (self.path / "events.jsonl").read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")][after:]

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Whether it was free; held until the end, or the death, of this process."""
        with (self.path / "lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    @property
    def locked(self) -> bool:
        """Whether a process runs it now."""
        with self.lock() as free:
            return not free
