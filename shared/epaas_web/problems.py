"""Every error as an RFC 9457 problem document, the framework's own errors among them."""

from __future__ import annotations

import re
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from epaas_shared.errors import (
    BodyTooSlow,
    EpaasError,
    InternalError,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    Unavailable,
)
from epaas_shared.protocol import PROBLEM_MEDIA_TYPE, Problem

_log = structlog.get_logger()

_HEADERS = {
    401: {"WWW-Authenticate": 'Bearer realm="epaas"'},
    403: {"WWW-Authenticate": 'Bearer realm="epaas", error="insufficient_scope"'},
    408: {"Connection": "close"},
    413: {"Connection": "close"},  # a body that is not read to its end makes the connection useless for another request
}
"""By status, of problems that clients act upon by more than their document."""


def problem_responses(*errors: type[EpaasError]) -> dict[int | str, dict[str, Any]]:
    """The ``responses=`` of a route that may raise ``errors``; any route may answer 422 and 503.

    A route that limits the size of a body limits its time too (:mod:`epaas_web.bodies`).
    """
    statuses: dict[int, list[str]] = {}
    everywhere: tuple[type[EpaasError], ...] = (InvalidRequest, Unavailable)
    everywhere += (BodyTooSlow,) * (PayloadTooLarge in errors)
    for error in (*errors, *everywhere):
        statuses.setdefault(error.status, []).append(error.title)
    content = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": "; ".join(titles), "content": content} for status, titles in statuses.items()}


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error of the application by a problem document, and describe that in its OpenAPI document."""
    app.add_exception_handler(EpaasError, _epaas_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)
    make = app.openapi

    def openapi() -> dict[str, Any]:
        document = make()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.setdefault("Problem", Problem.model_json_schema())
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def respond(request: Request, problem: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    body = problem.model_copy(update={"instance": request.url.path}).model_dump(mode="json", exclude_none=True)
    return JSONResponse(body, status_code=problem.status, media_type=PROBLEM_MEDIA_TYPE, headers=headers)


async def _epaas_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, EpaasError)
    headers = dict(_HEADERS.get(error.status, {}))
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return respond(request, Problem.of(error), headers)


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    return respond(request, Problem.of(InvalidRequest(str(first["msg"]), field=field)))


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    kind = NotFound if error.status_code == 404 else InvalidRequest
    detail = f"{request.method} {request.url.path}: {str(error.detail).lower()}"
    problem = Problem.of(kind(detail, hint="GET /openapi.json lists what there is"))
    headers = {"Allow": ", ".join(_allowed_methods(request))} if error.status_code == 405 else None
    return respond(request, problem.model_copy(update={"status": error.status_code}), headers)


def _allowed_methods(request: Request) -> list[str]:
    """Methods of all routes of this path; the framework's own answer names those of the first alone."""
    operations: dict[str, Any] = next(
        (
            operations
            for path, operations in request.app.openapi()["paths"].items()
            if re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", path), request.url.path)
        ),
        {},
    )
    return sorted(method.upper() for method in operations)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    _log.error("unexpected error", path=request.url.path, exc_info=error)
    return respond(request, Problem.of(InternalError("an unexpected error; the operator's log has the details")))
