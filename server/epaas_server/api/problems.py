"""Problem documents of this service: those that all have, and what its database may say."""

from __future__ import annotations

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError

from epaas_server.database import DATABASE_ERRORS, is_away, is_full
from epaas_shared.errors import InvalidRequest, StorageFull, Unavailable
from epaas_shared.protocol import Problem
from epaas_web.problems import respond

_log = structlog.get_logger()


_RETRY_SECONDS = 5


def add_database_handler(app: FastAPI) -> None:
    for kind in DATABASE_ERRORS:
        app.add_exception_handler(kind, _database_error)


async def _database_error(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, DataError):  # a text with a NUL, which PostgreSQL keeps nowhere
        return respond(request, Problem.of(InvalidRequest("the request has characters that no name has")))
    if not is_away(error):
        raise error
    _log.error("database error", path=request.url.path, error=str(error).splitlines()[0])
    if is_full(error):
        return respond(request, Problem.of(StorageFull("the disk is full")))
    away = Unavailable("the database does not answer", hint="try again in a moment")
    return respond(request, Problem.of(away), {"Retry-After": str(_RETRY_SECONDS)})
