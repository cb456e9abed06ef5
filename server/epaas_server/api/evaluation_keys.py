"""Evaluation keys: content-addressed, so that uploading is idempotent. Streamed to disk, never parsed here."""

from __future__ import annotations

from anyio import to_thread
from fastapi import APIRouter, Request, Response

from epaas_server.api.authorisation import CALLER_ERRORS, PredictingCaller
from epaas_server.api.dependencies import DigestPath, ServicesDependency
from epaas_server.audit import Action
from epaas_server.evaluation_keys import check_start
from epaas_server.observability.tracing import current_traceparent
from epaas_shared.errors import (
    DigestMismatch,
    EvaluationKeysNotFound,
    InvalidEvaluationKeys,
    PayloadTooLarge,
    ProfileMismatch,
    QuotaExceeded,
    StorageFull,
)
from epaas_shared.frame import MAX_HEADER_BYTES, PREFIX_BYTES, EvaluationKeysHeader, FrameStart, decode_frame_start
from epaas_shared.protocol import EVALUATION_KEYS_MEDIA_TYPE, EvaluationKeys
from epaas_web.bodies import limited_chunks
from epaas_web.problems import problem_responses

router = APIRouter(prefix="/v1/evaluation-keys", tags=["evaluation keys"])

_BODY = {"requestBody": {"required": True, "content": {EVALUATION_KEYS_MEDIA_TYPE: {"schema": {"type": "string"}}}}}


@router.put(
    "/{digest}",
    status_code=201,
    openapi_extra=_BODY,
    responses={
        200: {"model": EvaluationKeys, "description": "The server had these keys already"},
        **problem_responses(
            *CALLER_ERRORS,
            QuotaExceeded,
            DigestMismatch,
            InvalidEvaluationKeys,
            ProfileMismatch,
            PayloadTooLarge,
            StorageFull,
        ),
    },
)
async def put_evaluation_keys(
    digest: DigestPath, request: Request, response: Response, services: ServicesDependency, caller: PredictingCaller
) -> EvaluationKeys:
    """Upload evaluation keys under the SHA-256 of their file. Known keys are answered at once, with 200.

    New keys are ``checking`` until a trial run has passed; predictions under them may be asked for at once and wait
    for it.
    """
    try:
        known = await to_thread.run_sync(services.keys.get, digest, caller.tenant)
    except EvaluationKeysNotFound:
        pass
    else:
        response.status_code = 200
        return known
    announced = request.headers.get("content-length", "")
    await to_thread.run_sync(services.keys.admit, caller.tenant, int(announced) if announced.isdigit() else 0)
    start: FrameStart[EvaluationKeysHeader] | None = None
    beginning = b""
    with services.blobs.writer() as writer:
        async for chunk in limited_chunks(request, services.settings.max_evaluation_keys_bytes):
            if start is None:
                beginning += chunk
                if len(beginning) >= PREFIX_BYTES + MAX_HEADER_BYTES:
                    start = _start(beginning)
            await to_thread.run_sync(writer.write, chunk)
        if start is None:
            start = _start(beginning)
        keys, created = await to_thread.run_sync(
            services.keys.add, digest, writer, start, caller.tenant, current_traceparent()
        )
    await to_thread.run_sync(services.audit.add, caller.tenant, caller.actor, Action.KEYS_UPLOADED, digest)
    response.status_code = 201 if created else 200
    return keys


@router.get("/{digest}", responses=problem_responses(*CALLER_ERRORS, EvaluationKeysNotFound))
def get_evaluation_keys(digest: DigestPath, services: ServicesDependency, caller: PredictingCaller) -> EvaluationKeys:
    """Whether the server has these keys, and whether they work."""
    return services.keys.get(digest, caller.tenant)


@router.head("/{digest}", responses=problem_responses(*CALLER_ERRORS, EvaluationKeysNotFound))
def head_evaluation_keys(digest: DigestPath, services: ServicesDependency, caller: PredictingCaller) -> Response:
    services.keys.get(digest, caller.tenant)
    return Response()


@router.delete("/{digest}", status_code=204, responses=problem_responses(*CALLER_ERRORS, EvaluationKeysNotFound))
def delete_evaluation_keys(digest: DigestPath, services: ServicesDependency, caller: PredictingCaller) -> None:
    """Erase the keys. Predictions under them that have not finished will fail."""
    services.keys.delete(digest, caller.tenant)
    services.audit.add(caller.tenant, caller.actor, Action.KEYS_ERASED, digest)


def _start(beginning: bytes) -> FrameStart[EvaluationKeysHeader]:
    start = decode_frame_start(beginning, EvaluationKeysHeader)
    check_start(start)
    return start
