"""The JSON documents of the training service, version 1."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from epaas_models.configuration import ModelConfiguration
from epaas_models.jobs.folder import JobFolder, JobProgress, State
from epaas_models.tables.own_tasks import AcceptedTask
from epaas_shared.errors import Fault
from epaas_shared.protocol import Alias, Document, Problem
from epaas_shared.schema import InputSchema


class NewTrainingJob(BaseModel):
    """What to train. Without a configuration, the default one of an own ``task``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    configuration: ModelConfiguration | str | None = Field(
        None, description="a whole configuration, or the name of one of this release"
    )
    task: str | None = Field(None, description="an own task, to train by its default configuration")
    seed: int = Field(default=0, ge=0, lt=2**32)
    splits: int = Field(default=0, ge=0, le=100)
    thoroughness: Literal["quick", "full"] = "full"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    publish: Alias | None = Field(
        None, description="publish the bundle on the operator's prediction server, under this alias"
    )
    budget_seconds: float | None = Field(
        None, gt=0, description="what an encrypted record may take there; a bundle over it stays a candidate"
    )
    trust_measured_ranges: bool = Field(
        False, description="let the server provide for the sums that training measured and a margin"
    )


class TrainingJob(Document):
    """A job and where it is."""

    id: str
    model: str
    task: str
    seed: int
    state: State
    progress: JobProgress | None
    submitted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    attempts: int
    problem: Problem | None

    @classmethod
    def of(cls, job: JobFolder) -> TrainingJob:
        status, request = job.status, job.request
        return cls(
            id=job.id,
            model=request.configuration.name,
            task=request.configuration.task,
            seed=request.seed,
            progress=job.progress,
            **status.model_dump(exclude={"problem"}),
            problem=status.problem,
        )


class TrainingJobList(Document):
    jobs: list[TrainingJob]


class JobEvents(Document):
    """What happened, oldest first: ``stage`` begins, ``epoch`` is done."""

    events: list[dict[str, str | float | int]]
    next: int = Field(description="give it as `after` to get only what happens later")


class OwnTask(Document):
    """A provider's own task: its public schema, and the configuration that trains a first model."""

    name: str = Field(description="with its version: wine/v1")
    digest: str = Field(description="of the input schema")
    rows: int
    bits: int
    classes: tuple[str, ...]
    warnings: tuple[Fault, ...] = Field(description="what its provider should look at")
    configuration: ModelConfiguration
    input_schema: InputSchema

    @classmethod
    def of(cls, accepted: AcceptedTask) -> OwnTask:
        schema = accepted.input_schema
        return cls(
            name=schema.name,
            digest=schema.digest,
            rows=accepted.rows,
            bits=schema.bits,
            classes=schema.classes,
            warnings=accepted.warnings,
            configuration=accepted.configuration,
            input_schema=schema,
        )


class OwnTaskList(Document):
    tasks: list[OwnTask]


class ConfigurationList(Document):
    """The configurations of this release, by name."""

    configurations: dict[str, ModelConfiguration]
