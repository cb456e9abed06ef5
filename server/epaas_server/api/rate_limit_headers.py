"""Every answer to a counted request says how much is left, errors and streams too."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from epaas_server.rate_limits import RateLimitState


class RateLimitHeaders:
    """ASGI middleware: adds the headers of what a route's dependency left in the request's state."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            state = scope.get("state", {}).get("rate_limit")
            if message["type"] == "http.response.start" and isinstance(state, RateLimitState):
                MutableHeaders(scope=message).update(state.headers())
            await send(message)

        await self._app(scope, receive, send_with_headers)
