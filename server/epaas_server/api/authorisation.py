"""Who may do what: tokens in ``Authorization: Bearer``, checked before a body is read. A token is never logged."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from epaas_server.api.dependencies import ServicesDependency
from epaas_server.scopes import Scope

_BEARER = HTTPBearer(scheme_name="token", description="A token that `epaas-server token create` made", auto_error=False)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


def requires(scope: Scope) -> Any:
    """A dependency of routes: raises :class:`Unauthorised` or :class:`Forbidden`."""

    def check(credentials: Credentials, services: ServicesDependency) -> None:
        services.tokens.check(None if credentials is None else credentials.credentials, scope)

    return Depends(check)
