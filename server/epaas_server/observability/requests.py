"""A request as a span of the client's trace, or of one that it begins; and the ids in its path, for the log's line.

Polls are no spans unless the client traces them itself: a request is one where it changes something or bears a
``traceparent``.
"""

from __future__ import annotations

import re

import structlog
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import SpanKind, StatusCode, Tracer
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from epaas_server.observability.tracing import KEY_DIGITS, context_of, trace_id_of, tracer
from epaas_shared.digest import DIGEST_PATTERN
from epaas_web.request_log import CLIENT_GONE, method_of, note, noted, route_of

_JOB = re.compile(r"[0-9a-f]{32}")
_DIGEST = re.compile(DIGEST_PATTERN)
_READING = ("GET", "HEAD", "OPTIONS")


class RequestSpans:
    """ASGI layer, inside :class:`epaas_web.request_log.RequestLog`."""

    def __init__(self, app: ASGIApp, recorder: Tracer | None = None) -> None:
        self._app = app
        self._tracer = recorder or tracer()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        changing = scope["path"].startswith("/v1/") and scope["method"] not in _READING
        # a request's task may have begun within the span of the request before it, on the same connection
        token = attach(Context())
        try:
            if changing or "traceparent" in headers:
                await self._recorded(scope, headers, receive, send)
            else:
                await self._app(scope, receive, send)
        finally:
            detach(token)
            _note_ids(scope)

    async def _recorded(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        status = CLIENT_GONE

        async def send_and_look(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        begun = self._tracer.start_as_current_span(
            method_of(scope),
            context=context_of(headers.get("traceparent"), headers.get("tracestate")),
            kind=SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        )
        with begun as span:
            trace_id = trace_id_of()
            if trace_id is not None:
                structlog.contextvars.bind_contextvars(trace_id=trace_id)
            try:
                await self._app(scope, receive, send_and_look)
            finally:
                _note_ids(scope)
                route = route_of(scope)
                span.update_name(f"{method_of(scope)} {route}")
                span.set_attributes(
                    {
                        "http.request.method": method_of(scope),
                        "http.route": route,
                        "http.response.status_code": status,
                        **{f"epaas.{name}": value for name, value in noted(scope).items() if name != "token"},
                    }
                )
                if status >= 500:
                    span.set_status(StatusCode.ERROR)


def _note_ids(scope: Scope) -> None:
    """The ids in the path; only what looks like one, as anything may stand there."""
    parameters = scope.get("path_params", {})
    job, keys = str(parameters.get("prediction_id")), str(parameters.get("digest"))
    if _JOB.fullmatch(job):
        note(Request(scope), job=job)
    if scope["path"].startswith("/v1/evaluation-keys/") and _DIGEST.fullmatch(keys):
        note(Request(scope), keys=keys[:KEY_DIGITS])
