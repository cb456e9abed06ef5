"""Predictions: ask for one, follow it, fetch its encrypted result, cancel or erase it."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterable
from contextlib import suppress
from typing import Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from epaas_server.admission import check_fits
from epaas_server.api.authorisation import CALLER_ERRORS, Caller, PredictingCaller, requires
from epaas_server.api.dependencies import PredictionId, ServicesDependency
from epaas_server.api.watching import WatchDependency
from epaas_server.audit import Action
from epaas_server.jobs.job import NewPrediction, new_job_id
from epaas_server.observability.claims import fetching_result
from epaas_server.observability.tracing import current_traceparent
from epaas_server.scopes import Scope
from epaas_server.served_version import ServedVersion
from epaas_server.services import Services
from epaas_shared.digest import digest_bytes, digest_json
from epaas_shared.errors import (
    EpaasError,
    EvaluationKeysNotFound,
    EvaluationTooLarge,
    IdempotencyConflict,
    InvalidCiphertext,
    InvalidEvaluationKeys,
    KeyMismatch,
    ModelNotFound,
    PayloadTooLarge,
    PredictionCancelled,
    PredictionFailed,
    PredictionNotFound,
    ProfileMismatch,
    QuotaExceeded,
    ResultNotReady,
    StorageFull,
)
from epaas_shared.frame import SEEDED_BYTES, RecordHeader, decode_frame
from epaas_shared.profile import profile_by_digest
from epaas_shared.protocol import (
    MAX_VERSION,
    RECORD_MEDIA_TYPE,
    RESULT_MEDIA_TYPE,
    Prediction,
    PredictionState,
)
from epaas_web.bodies import limited_body
from epaas_web.problems import problem_responses
from epaas_web.request_log import note, note_waiting

router = APIRouter(prefix="/v1/predictions", tags=["predictions"])

_BODY = {"requestBody": {"required": True, "content": {RECORD_MEDIA_TYPE: {"schema": {"type": "string"}}}}}
_TAKING_IN = CapacityLimiter(4)
"""Threads that take predictions in. They wait for the disk and for one another; those who ask how things are do not."""
_WOKEN = CapacityLimiter(4)
"""Threads that look again for those who waited: many are woken at once."""
TakenInCaller = Annotated[Caller, requires(Scope.PREDICT, _TAKING_IN)]
PreferHeader = Annotated[str, Header(description="`wait=N`: answer when finished, or after N seconds")]


@router.post(
    "",
    status_code=202,
    openapi_extra=_BODY,
    responses=problem_responses(
        *CALLER_ERRORS,
        QuotaExceeded,
        EvaluationTooLarge,
        ModelNotFound,
        EvaluationKeysNotFound,
        InvalidCiphertext,
        InvalidEvaluationKeys,
        ProfileMismatch,
        KeyMismatch,
        PayloadTooLarge,
        IdempotencyConflict,
        StorageFull,
    ),
)
async def create_prediction(
    request: Request,
    response: Response,
    services: ServicesDependency,
    caller: TakenInCaller,
    model: Annotated[str, Query(max_length=100)],
    version: Annotated[
        int | None, Query(ge=1, le=MAX_VERSION, description="the stable one where none is given")
    ] = None,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
    evaluation_keys: Annotated[
        str | None, Header(description="digest of the keys to evaluate with; must be those of the ciphertext")
    ] = None,
) -> Prediction:
    """Ask for a prediction on an encrypted record (or several). Repeating a request under its key changes nothing."""
    body = await limited_body(request, services.settings.max_record_bytes)
    prediction = await to_thread.run_sync(
        _create, services, caller, body, model, version, idempotency_key, evaluation_keys, limiter=_TAKING_IN
    )
    note(request, job=prediction.id)
    response.headers["Location"] = f"{router.prefix}/{prediction.id}"
    return prediction


def _create(
    services: Services,
    caller: Caller,
    body: bytes,
    model: str,
    version: int | None,
    idempotency_key: str | None,
    evaluation_keys: str | None,
) -> Prediction:
    served = services.registry.served(model, version)
    header, payload = decode_frame(body, RecordHeader)
    _check_record(services, served, header, payload)
    if evaluation_keys not in (None, header.evaluation_keys):
        raise KeyMismatch("the record was encrypted under other keys than those asked for", field="evaluation-keys")
    services.keys.usable(header.evaluation_keys, caller.tenant)
    job_id = new_job_id()
    new = NewPrediction(
        id=job_id,
        model_name=served.model.name,
        model_version=served.model.version,
        model_digest=served.model.digest,
        evaluation_keys=header.evaluation_keys,
        records=header.records,
        record_blob=f"jobs/{job_id}/record",
        plan=served.plan,
        bootstraps_total=header.records * sum(layer.bootstraps for layer in served.plan.layers),
        predicted_seconds=served.seconds(header.records),
        idempotency_key=idempotency_key if idempotency_key is not None else job_id,
        request_digest=digest_json([model, version, digest_bytes(body)]),
        record_bytes=len(body),
        predicted_memory_bytes=served.memory_bytes(header.records),
        tenant=caller.tenant,
        traceparent=current_traceparent(),
    )
    check_fits(services, new)
    services.blobs.put(new.record_blob, body)
    try:
        prediction, created = services.jobs.submit(new)
    except EpaasError:  # whether a database that went away has kept it, nobody knows: the sweep will
        services.blobs.keep_only(f"jobs/{job_id}", None)
        raise
    if not created:
        services.blobs.keep_only(f"jobs/{job_id}", None)
    else:
        services.audit.add(caller.tenant, caller.actor, Action.PREDICTION_ASKED, job_id)
    return prediction


def _check_record(services: Services, served: ServedVersion, header: RecordHeader, payload: bytes) -> None:
    """Refuse by the header what cannot be evaluated; the ciphertexts themselves can be any bytes."""
    model, bits = served.model, served.cost.inputs
    profile_by_digest(header.profile)
    if header.input_schema != model.input_schema:
        raise InvalidCiphertext(
            f"the record is not of task {model.task}, which model {model.name} predicts",
            field="body.input_schema",
            hint=f"`epaas models show {model.name}` says what a record looks like",
        )
    if header.records > services.settings.max_records_per_prediction:
        raise InvalidCiphertext(
            f"{header.records} records; the limit is {services.settings.max_records_per_prediction}",
            field="body.records",
            hint="send several predictions",
        )
    if header.bits != bits or len(payload) != header.records * bits * SEEDED_BYTES:
        raise InvalidCiphertext(
            f"{header.records} records of {header.bits} bits in {len(payload)} bytes; "
            f"task {model.task} has {bits} bits of {SEEDED_BYTES} bytes a record",
            field="body.bits",
        )


@router.get("/{prediction_id}", responses=problem_responses(*CALLER_ERRORS, PredictionNotFound))
async def get_prediction(
    request: Request,
    prediction_id: PredictionId,
    services: ServicesDependency,
    watch: WatchDependency,
    caller: PredictingCaller,
    prefer: PreferHeader = "",
) -> Prediction:
    """State and progress of a prediction."""
    wait = re.search(r"(?:^|[,;\s])wait=(\d{1,6})", prefer)
    seconds = min(int(wait[1]), services.settings.max_wait_seconds) if wait else 0
    prediction = await to_thread.run_sync(services.jobs.get, prediction_id, caller.tenant)
    if seconds == 0 or prediction.state.finished:
        return prediction
    begin = time.monotonic()
    await watch.changed(prediction, seconds, finished=True)
    note_waiting(request, time.monotonic() - begin)
    return await to_thread.run_sync(services.jobs.get, prediction_id, caller.tenant, limiter=_WOKEN)


async def _own_prediction(
    prediction_id: PredictionId, services: ServicesDependency, caller: PredictingCaller
) -> Prediction:
    """Looked up before a stream begins, whose status would be 200 whatever comes."""
    return await to_thread.run_sync(services.jobs.get, prediction_id, caller.tenant)


OwnPrediction = Annotated[Prediction, Depends(_own_prediction)]


@router.get(
    "/{prediction_id}/events",
    response_class=EventSourceResponse,
    responses=problem_responses(*CALLER_ERRORS, PredictionNotFound),
)
async def stream_prediction_events(
    prediction: OwnPrediction, services: ServicesDependency, watch: WatchDependency, caller: PredictingCaller
) -> AsyncIterable[ServerSentEvent]:
    """The prediction whenever it changes, as server-sent events, until it has finished."""
    with suppress(PredictionNotFound):  # erased meanwhile
        while True:
            yield ServerSentEvent(data=prediction, event=prediction.state.value)
            if prediction.state.finished:
                return
            await watch.changed(prediction)
            prediction = await to_thread.run_sync(services.jobs.get, prediction.id, caller.tenant, limiter=_WOKEN)


@router.get(
    "/{prediction_id}/result",
    response_class=Response,
    responses={
        200: {"content": {RESULT_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}},
        **problem_responses(*CALLER_ERRORS, PredictionNotFound, ResultNotReady, PredictionFailed, PredictionCancelled),
    },
)
def get_prediction_result(
    prediction_id: PredictionId, services: ServicesDependency, caller: PredictingCaller
) -> Response:
    """The encrypted prediction; only the client's secret key opens it."""
    prediction = services.jobs.get(prediction_id, caller.tenant)
    blob = services.jobs.result_blob(prediction_id, caller.tenant)
    if prediction.state is PredictionState.FAILED:
        raise PredictionFailed(
            prediction.problem.detail if prediction.problem else "the evaluation failed",
            hint=prediction.problem.hint if prediction.problem else None,
        )
    if prediction.state is PredictionState.CANCELLED:
        raise PredictionCancelled("the prediction was cancelled and has no result")
    if blob is None:
        raise ResultNotReady(f"the prediction is {prediction.state.value}")
    try:
        with fetching_result(services.database, prediction_id):
            result = services.blobs.read(blob)
    except FileNotFoundError:  # erased since it was looked up
        raise PredictionNotFound(f"the result of {prediction_id} was erased", field="id") from None
    services.audit.add(caller.tenant, caller.actor, Action.RESULT_FETCHED, prediction_id)
    return Response(result, media_type=RESULT_MEDIA_TYPE)


@router.post("/{prediction_id}/cancel", responses=problem_responses(*CALLER_ERRORS, PredictionNotFound))
def cancel_prediction(
    prediction_id: PredictionId, services: ServicesDependency, caller: PredictingCaller
) -> Prediction:
    """Stop a prediction that has not finished; one that has stays as it is."""
    prediction = services.jobs.cancel(prediction_id, caller.tenant)
    if prediction.state is PredictionState.CANCELLED:
        services.audit.add(caller.tenant, caller.actor, Action.PREDICTION_CANCELLED, prediction_id)
        services.blobs.keep_only(f"jobs/{prediction_id}", None)
    return prediction


@router.delete("/{prediction_id}", status_code=204, responses=problem_responses(*CALLER_ERRORS, PredictionNotFound))
def delete_prediction(prediction_id: PredictionId, services: ServicesDependency, caller: PredictingCaller) -> None:
    """Erase a prediction, its record and its result; one that is running is stopped."""
    services.retention.erase_prediction(prediction_id, caller.tenant)
    services.audit.add(caller.tenant, caller.actor, Action.PREDICTION_ERASED, prediction_id)
