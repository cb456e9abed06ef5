"""Training jobs over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response

from epaas_models.configuration import ModelConfiguration, load_shipped
from epaas_models.datasets import TASKS
from epaas_models.fit import schema_of
from epaas_models.jobs.folder import ENDED, JobFolder
from epaas_models.jobs.request import PublishingRequest, TrainingRequest
from epaas_models.service.app import Context, ContextDependency
from epaas_models.service.documents import JobEvents, NewTrainingJob, TrainingJob, TrainingJobList
from epaas_models.tables.own_tasks import OwnData
from epaas_shared.bundle import MANIFEST_FILE, REPORT_FILE
from epaas_shared.bundle_archive import packed
from epaas_shared.errors import (
    BundleNotReady,
    IdempotencyConflict,
    InvalidRequest,
    JobCancelled,
    TrainingJobNotFound,
)
from epaas_shared.protocol import BUNDLE_MEDIA_TYPE, IDEMPOTENCY_HEADER
from epaas_web.problems import problem_responses

router = APIRouter(prefix="/v1", tags=["training jobs"])

JobId = Annotated[str, Path(max_length=100)]
_BYTES = {"schema": {"type": "string", "format": "binary"}}


@router.post("/training-jobs", status_code=202, responses=problem_responses(IdempotencyConflict))
def submit_training_job(
    body: NewTrainingJob,
    context: ContextDependency,
    response: Response,
    key: Annotated[str | None, Header(alias=IDEMPOTENCY_HEADER, max_length=200)] = None,
) -> TrainingJob:
    """Queue a training. With the same idempotency key it is the same job again."""
    configuration, own = _what(body, context)
    schema_of(configuration, None if own is None else own.input_schema)
    request = TrainingRequest(
        configuration=configuration,
        own=own,
        publish=_publishing(body, context),
        seed=body.seed,
        splits=body.splits,
        thoroughness=body.thoroughness,
        device=body.device,
        command=f"epaas-train fit {configuration.name} --seed {body.seed} (by the training service)",
    )
    job = context.queue.submit(request, key)
    response.headers["Location"] = f"/v1/training-jobs/{job.id}"
    return TrainingJob.of(job)


@router.get("/training-jobs", responses=problem_responses())
def list_training_jobs(context: ContextDependency) -> TrainingJobList:
    """All jobs, the newest first."""
    return TrainingJobList(jobs=[TrainingJob.of(job) for job in context.queue.jobs()])


@router.get("/training-jobs/{id}", responses=problem_responses(TrainingJobNotFound))
def get_training_job(id: JobId, context: ContextDependency) -> TrainingJob:
    return TrainingJob.of(context.queue.job(id))


@router.get("/training-jobs/{id}/events", responses=problem_responses(TrainingJobNotFound))
def get_training_job_events(id: JobId, context: ContextDependency, after: Annotated[int, Query(ge=0)] = 0) -> JobEvents:
    """Stages begun and epochs done: loss, accuracy and likelihood on validation rows."""
    events = context.queue.job(id).events(after)
    return JobEvents(events=events, next=after + len(events))


@router.get(
    "/training-jobs/{id}/log",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **problem_responses(TrainingJobNotFound),
    },
)
def get_training_job_log(id: JobId, context: ContextDependency) -> Response:
    """What the job's process wrote, for people."""
    log = context.queue.job(id).log
    return Response(log.read_bytes() if log.exists() else b"", media_type="text/plain; charset=utf-8")


@router.delete("/training-jobs/{id}", status_code=202, responses=problem_responses(TrainingJobNotFound))
def cancel_training_job(id: JobId, context: ContextDependency) -> TrainingJob:
    """Ask a job to stop, which it does at its next step; one that has ended stays as it is."""
    job = context.queue.job(id)
    if job.status.state not in ENDED:
        job.ask_to_cancel()
    return TrainingJob.of(job)


@router.get(
    "/training-jobs/{id}/bundle",
    response_class=Response,
    responses={
        200: {"content": {BUNDLE_MEDIA_TYPE: _BYTES}},
        **problem_responses(TrainingJobNotFound, BundleNotReady, JobCancelled),
    },
)
def get_training_job_bundle(id: JobId, context: ContextDependency) -> Response:
    """The bundle as a prediction server takes it."""
    job = _with_bundle(context.queue.job(id))
    name = f"{job.request.configuration.name}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(packed(job.bundle), media_type=BUNDLE_MEDIA_TYPE, headers=headers)


@router.get(
    "/training-jobs/{id}/report",
    response_class=Response,
    responses={
        200: {"content": {"application/json": {}}},
        **problem_responses(TrainingJobNotFound, BundleNotReady, JobCancelled),
    },
)
def get_training_job_report(id: JobId, context: ContextDependency) -> Response:
    """The reliability report of the bundle."""
    job = _with_bundle(context.queue.job(id))
    return Response((job.bundle / REPORT_FILE).read_bytes(), media_type="application/json")


def _with_bundle(job: JobFolder) -> JobFolder:
    """Raises what became of a job that has no bundle; one that failed to be published has one."""
    if (job.bundle / MANIFEST_FILE).exists():
        return job
    status = job.status
    if status.state == "cancelled":
        raise JobCancelled("the job was cancelled before it had a bundle", field="id")
    if status.problem is not None:
        raise status.problem.error()
    raise BundleNotReady(f"the job is {status.state}", field="id", hint="ask again when it has succeeded")


def _what(body: NewTrainingJob, context: Context) -> tuple[ModelConfiguration, OwnData | None]:
    """The configuration that is asked for, and the provider's own data that it is about."""
    if (body.configuration is None) == (body.task is None):
        raise InvalidRequest("give either a configuration or a task", field="configuration", hint="see GET /v1/tasks")
    if body.task is not None:
        accepted = context.tasks.task(body.task)
        return accepted.configuration, accepted.data
    found = load_shipped(body.configuration) if isinstance(body.configuration, str) else body.configuration
    assert found is not None
    own = None if found.task in TASKS else context.tasks.task(found.input_schema).data
    return found, own


def _publishing(body: NewTrainingJob, context: Context) -> PublishingRequest | None:
    if body.publish is None:
        if body.budget_seconds is not None:
            raise InvalidRequest(
                "a budget is of a bundle that is published", field="budget_seconds", hint="say publish"
            )
        return None
    settings = context.settings
    if not settings.prediction_server or settings.publish_token_file is None:
        raise InvalidRequest(
            "this service knows no prediction server",
            field="publish",
            hint="its operator sets EPAAS_TRAIN_PREDICTION_SERVER and EPAAS_TRAIN_PUBLISH_TOKEN_FILE",
        )
    return PublishingRequest(
        server=settings.prediction_server,
        token_file=settings.publish_token_file.absolute(),
        alias=body.publish,
        budget_seconds=body.budget_seconds,
        trust_measured_ranges=body.trust_measured_ranges,
    )
