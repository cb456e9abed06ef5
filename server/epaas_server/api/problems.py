"""Problem documents of this service: those that all have, and what its database may say."""

from __future__ import annotations

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError

from epaas_shared.errors import StorageFull, Unavailable
from epaas_shared.protocol import Problem
from epaas_web.problems import respond

_log = structlog.get_logger()


def add_database_handler(app: FastAPI) -> None:
    app.add_exception_handler(OperationalError, _database_error)


async def _database_error(request: Request, error: Exception) -> JSONResponse:
    _log.error("database error", path=request.url.path, error=str(error).splitlines()[0])
    if "full" in str(error):
        return respond(request, Problem.of(StorageFull("the disk is full")))
    return respond(request, Problem.of(Unavailable("the database does not answer", hint="try again in a moment")))
