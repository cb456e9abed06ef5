"""What an operator's tools ask: is it alive, is it ready, how is it doing.

Health and metrics are answered whatever the rest of the service waits for.
"""

from __future__ import annotations

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from epaas_server.api.dependencies import ServicesDependency
from epaas_server.circuits.library import is_built
from epaas_server.database import reading
from epaas_server.observability.metrics import Metrics
from epaas_shared.errors import EpaasError
from epaas_shared.profile import default_profile
from epaas_shared.protocol import Health

router = APIRouter(tags=["operations"])

_SCRAPES = CapacityLimiter(4)
"""Threads of their own: those of requests may all be waiting for the database."""


@router.get("/healthz")
async def health() -> Health:
    """The process answers."""
    return Health(status="ok")


@router.get("/readyz", responses={503: {"model": Health}})
def readiness(response: Response, services: ServicesDependency) -> Health:
    """The database answers, blobs can be kept and, where this server evaluates, the circuits are built."""
    checks = {"database": "ok", "blobs": "ok"}
    try:
        with reading(services.database) as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        checks["database"] = type(error).__name__
    try:
        services.blobs.check()
    except EpaasError as error:
        checks["blobs"] = error.detail
    if services.settings.workers:
        built = is_built(services.settings.cache_dir, default_profile())
        checks["circuits"] = "ok" if built else "not built yet"
    ready = all(state == "ok" for state in checks.values())
    response.status_code = 200 if ready else 503
    return Health(status="ok" if ready else "unavailable", checks=checks)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Prometheus metrics."""
    own: Metrics = request.app.state.metrics
    return Response(await to_thread.run_sync(own.render, limiter=_SCRAPES), media_type=CONTENT_TYPE_LATEST)
