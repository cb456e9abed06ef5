"""The application: routes, problem documents, and the OpenAPI document with stable operation ids."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles

from epaas_server.api import comparison, evaluation_keys, models, operations, predictions, releases, reports
from epaas_server.api.problems import add_database_handler
from epaas_server.services import Services
from epaas_server.settings import Settings
from epaas_shared import __version__
from epaas_web.pages.environment import STATIC_FOLDER
from epaas_web.problems import add_problem_handlers


def create_app(settings: Settings) -> FastAPI:
    """The application over its own connections, opened at start and closed at the end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.services = Services.open(settings)
        yield
        app.state.services.close()

    app = FastAPI(
        title="EPAAS",
        summary="Encrypted prediction as a service",
        version=__version__,
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
        docs_url=None,  # the documentation pages would load scripts from elsewhere
        redoc_url=None,
    )
    for module in (models, releases, reports, comparison, evaluation_keys, predictions, operations):
        app.include_router(module.router)
    app.mount("/static", StaticFiles(directory=STATIC_FOLDER))
    add_problem_handlers(app)
    add_database_handler(app)
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name
