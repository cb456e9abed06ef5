"""One line in the log for every request, an id that its other lines have too, and how long it took.

The line has the route's template and the ids that routes note; never a path, a query, a header or a body, in any of
which somebody may have put a token or a record.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import FastAPI, Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
    """Have the request's line in the log say these too: the tenant, a token's id, a job's. Nothing secret."""
    request.scope.setdefault("state", {}).setdefault(_NOTED, {}).update(ids)


def noted(scope: Scope) -> dict[str, str]:
    """What routes have noted of a request so far."""
    found: dict[str, str] = scope.get("state", {}).get(_NOTED, {})
    return found


def note_waiting(request: Request, seconds: float) -> None:
    """So long the request waited because it asked to (a long poll), which is no slowness of the service."""
    state = request.scope.setdefault("state", {})
    state[_WAITED] = state.get(_WAITED, 0.0) + seconds


def route_of(scope: Scope) -> str:
    """The template of the route that a request was given to; known once it is answered."""
    route = scope.get("route")
    template: str = getattr(route, "path_format", None) or getattr(route, "path", None) or UNMATCHED
    return template


def method_of(scope: Scope) -> str:
    """The request's method; ``OTHER`` for words that clients make up."""
    return scope["method"] if scope["method"] in _METHODS else "OTHER"


def surround(app: FastAPI, *layers: Callable[[ASGIApp], ASGIApp]) -> None:
    """Put layers around everything that an application does, the first outermost.

    Middleware that is added in the framework's way does not see its answers to unexpected errors.
    """
    build = app.build_middleware_stack

    def build_surrounded() -> ASGIApp:
        stack = build()
        for layer in reversed(layers):
            stack = layer(stack)
        return stack

    app.build_middleware_stack = build_surrounded  # type: ignore[method-assign]


class RequestLog:
    """ASGI layer for :func:`surround`; ``observe`` is told of every request that was answered."""

    def __init__(self, app: ASGIApp, observe: Callable[[Answered], None] | None = None) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        # every request is a task of its own: what is bound here is bound for it alone
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
            seconds = max(0.0, answered.seconds - waited)
            self._observe(Answered(answered.method, answered.route, answered.status, seconds))


def _request_id(scope: Scope) -> str:
    """The client's own, if it could be one; else one that is new."""
    for name, value in scope["headers"]:
        if name == REQUEST_ID_HEADER.lower().encode():
            text = value.decode("latin-1")
            return text if _SANE.fullmatch(text) else secrets.token_hex(16)
    return secrets.token_hex(16)
