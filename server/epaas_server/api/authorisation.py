"""Who asks, and may they: tokens in ``Authorization: Bearer``, checked before a body is read and never logged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from epaas_server.api.dependencies import ServicesDependency
from epaas_server.scopes import Scope
from epaas_server.services import Services
from epaas_server.tables import DEFAULT_TENANT
from epaas_shared.errors import Forbidden, TooManyRequests, Unauthorised
from epaas_web.request_log import note

ANONYMOUS = "anonymous"
CALLER_ERRORS = (Unauthorised, Forbidden, TooManyRequests)
"""What any route may answer that asks who calls."""
_BEARER = HTTPBearer(scheme_name="token", description="A token that `epaas-server token create` made", auto_error=False)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


@dataclass(frozen=True)
class Caller:
    """Who a request acts for."""

    tenant: str
    actor: str
    """The token's id, for the audit log."""


def _caller(scope: Scope, credentials: HTTPAuthorizationCredentials | None, services: Services) -> Caller:
    if credentials is None and scope is Scope.PREDICT and not services.settings.asks_for_tokens:
        return Caller(DEFAULT_TENANT, ANONYMOUS)
    token = services.tokens.known(None if credentials is None else credentials.credentials)
    token.require(scope)
    return Caller(token.tenant, token.id)


def requires(scope: Scope, threads: CapacityLimiter | None = None) -> Any:
    """A dependency of routes, the :class:`Caller`; found by one of ``threads`` where it is not to be by any.

    Raises :class:`Unauthorised`, :class:`Forbidden` and :class:`TooManyRequests`. Where no tokens are asked for,
    whoever predicts without one is the tenant ``default``.
    """

    def check(request: Request, credentials: HTTPAuthorizationCredentials | None, services: Services) -> Caller:
        caller = _caller(scope, credentials, services)
        note(request, tenant=caller.tenant, token=caller.actor)
        address = request.client.host if request.client else ""
        services.rate_limits.count(caller.actor if caller.actor != ANONYMOUS else address, request.state)
        return caller

    async def checked(request: Request, credentials: Credentials, services: ServicesDependency) -> Caller:
        return await to_thread.run_sync(check, request, credentials, services, limiter=threads)

    return Depends(checked)


PredictingCaller = Annotated[Caller, requires(Scope.PREDICT)]
PublishingCaller = Annotated[Caller, requires(Scope.PUBLISH)]
AdminCaller = Annotated[Caller, requires(Scope.ADMIN)]
