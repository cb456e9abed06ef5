"""The JSON documents of the HTTP interface, version 1, and its media types and header names.

Both ends use these classes; the OpenAPI document is made from them. Binary bodies are frames
(:mod:`epaas_shared.frame`).

A prediction moves through these states and never back:

    queued ──▶ running ──▶ succeeded
       │          ├──────▶ failed
       └──────────┴──────▶ cancelled
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from epaas_shared.digest import Digest
from epaas_shared.errors import BundleFallsShort, EpaasError, Fault, InvalidTable, Shortfall, error_class
from epaas_shared.scores import ScoreScale

PROBLEM_MEDIA_TYPE = "application/problem+json"
EVALUATION_KEYS_MEDIA_TYPE = "application/vnd.epaas.evaluation-keys"
RECORD_MEDIA_TYPE = "application/vnd.epaas.record"
RESULT_MEDIA_TYPE = "application/vnd.epaas.result"
BUNDLE_MEDIA_TYPE = "application/zip"
IDEMPOTENCY_HEADER = "Idempotency-Key"
PROBLEM_TYPE_PREFIX = "urn:epaas:problem:"
MAX_VERSION = 2**31 - 1


class Document(BaseModel):
    """A JSON document; unknown members are ignored, so that an older client reads a newer server."""

    model_config = ConfigDict(frozen=True)


class Problem(Document):
    """An RFC 9457 problem document, the body of every error."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    field: str | None = None
    hint: str | None = None
    instance: str | None = None
    shortfalls: tuple[Shortfall, ...] | None = Field(
        None, description="of a bundle that was refused: everything that its report does not reach"
    )
    faults: tuple[Fault, ...] | None = Field(None, description="of a table that was refused: all that was found wrong")

    @classmethod
    def of(cls, error: EpaasError, instance: str | None = None) -> Problem:
        return cls(
            type=PROBLEM_TYPE_PREFIX + error.code,
            title=error.title,
            status=error.status,
            detail=error.detail,
            code=error.code,
            field=error.field,
            hint=error.hint,
            instance=instance,
            shortfalls=error.shortfalls if isinstance(error, BundleFallsShort) else None,
            faults=error.faults if isinstance(error, InvalidTable) else None,
        )

    def error(self) -> EpaasError:
        """The error that this document describes, of its own class."""
        kind = error_class(self.code)
        if issubclass(kind, BundleFallsShort):
            return kind(self.detail, field=self.field, hint=self.hint, shortfalls=self.shortfalls or ())
        if issubclass(kind, InvalidTable):
            return kind(self.detail, field=self.field, hint=self.hint, faults=self.faults or ())
        return kind(self.detail, field=self.field, hint=self.hint)


class Cost(Document):
    """What one record costs, known before running."""

    bootstraps: int
    depth: int | None = Field(None, description="longest chain of bootstraps, each of which needs the one before")
    seconds: float | None = Field(description="predicted on this server, alone; null before its first calibration")
    memory_bytes: int | None = Field(None, description="predicted peak memory; null before the first calibration")
    record_bytes: int | None = Field(None, description="an encrypted record, without the header of its file")
    result_bytes: int | None = Field(None, description="an encrypted result, without the header of its file")


class ModelVersion(Document):
    """One published version of a model."""

    name: str
    version: int
    title: str
    digest: Digest
    task: str = Field(examples=["breast-cancer/v1"])
    input_schema: Digest
    profile: Digest
    profile_name: str
    security_bits: int
    log2_p_error: int
    output: Literal["label", "scores"]
    scores: ScoreScale | None = Field(None, description="the scale of the scores; null where the output is the label")
    cost: Cost
    published_at: datetime


class ModelList(Document):
    """The stable version of each model."""

    models: list[ModelVersion]


class Alias(StrEnum):
    """``stable`` answers requests that name the model alone; ``candidate`` is what was last published as one."""

    STABLE = "stable"
    CANDIDATE = "candidate"


class Model(ModelVersion):
    """The stable version of a model, and the versions that its aliases name."""

    aliases: dict[Alias, int]


class Release(Document):
    """A version became the stable one."""

    version: int
    released_at: datetime


class ModelVersions(Document):
    """All versions of a model."""

    name: str
    aliases: dict[Alias, int]
    versions: list[ModelVersion] = Field(description="from the first on")
    history: list[Release] = Field(description="what was stable when, from the first on; a roll back is one more entry")


class Instruction(Document):
    """A document that asks for a change; a member that is not known is refused, for it may be a misspelt one."""

    model_config = ConfigDict(frozen=True, extra="forbid")


ExpectedVersion = Annotated[
    int | None, Field(ge=1, le=MAX_VERSION, description="refuse with 409 if another version is stable by now")
]


class Promotion(Instruction):
    """Make a version the stable one."""

    version: int = Field(ge=1, le=MAX_VERSION)
    expected: ExpectedVersion = None


class RollBack(Instruction):
    """Make the version stable that was so before the present one."""

    expected: ExpectedVersion = None


class KeysState(StrEnum):
    """``checking`` until a trial run under the keys has passed (``ready``) or not (``rejected``)."""

    CHECKING = "checking"
    READY = "ready"
    REJECTED = "rejected"


class EvaluationKeys(Document):
    digest: Digest
    profile: Digest
    state: KeysState
    bytes: int
    uploaded_at: datetime
    problem: Problem | None = None


class PredictionState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        return self in (PredictionState.SUCCEEDED, PredictionState.FAILED, PredictionState.CANCELLED)


class Progress(Document):
    done: int
    total: int
    unit: Literal["bootstraps"] = "bootstraps"


class Prediction(Document):
    """A prediction asked for: its state, never its content."""

    id: str
    state: PredictionState
    model: str
    version: int
    model_digest: Digest
    evaluation_keys: Digest
    records: int
    progress: Progress
    eta_seconds: float | None = None
    evaluation_seconds: float | None = Field(None, description="time spent evaluating, once finished")
    threads: int | None = Field(None, description="threads that evaluated it")
    attempts: int = Field(0, description="how often a worker has begun or resumed it")
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    problem: Problem | None = None


class Health(Document):
    status: Literal["ok", "unavailable"]
    checks: dict[str, str] = {}
