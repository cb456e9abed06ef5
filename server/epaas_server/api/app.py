"""The application: routes, problem documents, and the OpenAPI document with stable operation ids."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from anyio import to_thread
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import SQLAlchemyError

from epaas_server.api import comparison, evaluation_keys, models, operations, predictions, releases, reports, tenants
from epaas_server.api.problems import add_database_handler
from epaas_server.api.rate_limit_headers import RateLimitHeaders
from epaas_server.api.watching import Watch
from epaas_server.observability.metrics import Metrics
from epaas_server.observability.requests import RequestSpans
from epaas_server.services import Services
from epaas_server.settings import Settings
from epaas_shared import __version__
from epaas_shared.errors import EpaasError
from epaas_web.pages.environment import STATIC_FOLDER
from epaas_web.problems import add_problem_handlers
from epaas_web.request_log import FRAMEWORK_TELEMETRY, add_request_log

_log = structlog.get_logger()
_SWEEP_SECONDS = 3600.0


def create_app(settings: Settings) -> FastAPI:
    """The application over its own connections, opened at start and closed at the end."""

    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        services = app.state.services = Services.open(settings)
        app.state.watch = Watch(services.database)
        metrics.attach(services)
        sweeping = asyncio.create_task(_sweep(services))
        yield
        sweeping.cancel()
        services.close()

    app = FastAPI(
        title="EPAAS",
        summary="Encrypted prediction as a service",
        version=__version__,
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
        docs_url=None,  # the documentation pages would load scripts from elsewhere
        redoc_url=None,
        telemetry=FRAMEWORK_TELEMETRY,
    )
    app.state.metrics = metrics
    for module in (models, releases, reports, comparison, evaluation_keys, predictions, tenants, operations):
        app.include_router(module.router)
    app.mount("/static", StaticFiles(directory=STATIC_FOLDER))
    app.add_middleware(RateLimitHeaders)
    add_problem_handlers(app)
    add_database_handler(app)
    add_request_log(app, metrics.observe, inside=RequestSpans)
    return app


async def _sweep(services: Services) -> None:
    """Erase once an hour what is over its time; what goes wrong is tried again the next time."""
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        try:
            erased = await to_thread.run_sync(services.retention.sweep)
            _log.info("swept", **erased.model_dump())
        except (SQLAlchemyError, EpaasError, OSError) as error:
            _log.error("the sweep failed", error=type(error).__name__)


def _operation_id(route: APIRoute) -> str:
    return route.name
