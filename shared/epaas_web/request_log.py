"""One line in the log for every request, an id that its other lines have too, and how long it took.

The line has the route's template and the ids that routes note; never a path, a query, a header or a body, in any of
which somebody may have put a token or a record.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog
from fastapi import FastAPI, Request, Response
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig

FRAMEWORK_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""For ``FastAPI(telemetry=...)``: its own spans and logs would have paths, queries and words of exceptions in them."""

REQUEST_ID_HEADER = "X-Request-ID"
UNMATCHED = "unmatched"
"""The route of a request for which there is none."""
CLIENT_GONE = 499
"""The status of a request whose client closed the connection before it was answered; nobody is sent it."""

_log = structlog.get_logger()
_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NOTED, _WAITED = "noted", "waited_seconds"


@dataclass(frozen=True)
class Answered:
    """A request and how it was answered, in words of which there are few."""

    method: str
    route: str
    """The template, such as ``/v1/predictions/{prediction_id}``."""
    status: int
    seconds: float
    """Until the answer began, its body being received included; without what the request asked to wait."""


def note(request: Request, **ids: str) -> None:
    """Have a request's line in the log say these too: the tenant, a token's id, a job's. Nothing secret."""
    request.scope.setdefault("state", {}).setdefault(_NOTED, {}).update(ids)


def noted(scope: Scope) -> dict[str, str]:
    """What was noted of a request so far."""
    found: dict[str, str] = scope.get("state", {}).get(_NOTED, {})
    return found


def note_waiting(request: Request, seconds: float) -> None:
    """So long a request waited because it asked to (a long poll), which is no slowness of the service."""
    state = request.scope.setdefault("state", {})
    state[_WAITED] = state.get(_WAITED, 0.0) + seconds


def route_of(scope: Scope) -> str:
    """The template of the route that a request was given to, or where what it was given to is mounted.

    Known once the request is answered.
    """
    template: str | None = getattr(scope.get("route"), "path_format", None)
    mounted: str = scope.get("root_path", "").removeprefix(scope.get("app_root_path", scope.get("root_path", "")))
    return template or mounted or UNMATCHED


def method_of(scope: Scope) -> str:
    """The request's method; ``OTHER`` for words that clients make up."""
    return scope["method"] if scope["method"] in _METHODS else "OTHER"


def add_request_log(
    app: FastAPI,
    observe: Callable[[Answered], None] | None = None,
    inside: Callable[[ASGIApp], ASGIApp] | None = None,
) -> None:
    """Log the requests of an application, and tell ``observe`` of each; ``inside`` is one more layer, around the rest.

    Both are around everything: middleware that is added in the framework's way does not see its answers to unexpected
    errors.
    """
    build = app.build_middleware_stack

    def build_with_log() -> ASGIApp:
        stack = build()
        return RequestLog(stack if inside is None else inside(stack), observe)

    app.build_middleware_stack = build_with_log  # type: ignore[method-assign]
    app.add_exception_handler(ClientDisconnect, _client_gone)


async def _client_gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)


class RequestLog:
    """The ASGI layer of :func:`add_request_log`."""

    def __init__(self, app: ASGIApp, observe: Callable[[Answered], None] | None = None) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        # each request is a task, but one that may have begun with what was bound for the request before it
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        begin = time.perf_counter()
        answer: dict[str, Any] = {"status": CLIENT_GONE, "seconds": None}

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
                answer.update(status=message["status"], seconds=time.perf_counter() - begin)
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            whole = time.perf_counter() - begin
            answered = Answered(method_of(scope), route_of(scope), answer["status"], answer["seconds"] or whole)
            self._tell(answered, scope, whole)

    def _tell(self, answered: Answered, scope: Scope, whole_seconds: float) -> None:
        _log.info(
            "request",
            method=answered.method,
            route=answered.route,
            status=answered.status,
            seconds=round(whole_seconds, 4),
            **noted(scope),
        )
        if self._observe is not None:
            waited = scope.get("state", {}).get(_WAITED, 0.0)
            self._observe(replace(answered, seconds=max(0.0, answered.seconds - waited)))


def _request_id(scope: Scope) -> str:
    """The client's own, if it could be one; else one that is new."""
    for name, value in scope["headers"]:
        if name == REQUEST_ID_HEADER.lower().encode():
            text = value.decode("latin-1")
            return text if _SANE.fullmatch(text) else secrets.token_hex(16)
    return secrets.token_hex(16)
