"""The application of the training service."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.staticfiles import StaticFiles

from epaas_models.jobs.queue import JobQueue
from epaas_models.jobs.slots import Slots
from epaas_models.service.settings import ServiceSettings
from epaas_models.tables.own_tasks import OwnTasks
from epaas_shared import __version__
from epaas_shared.errors import Unauthorised
from epaas_web.pages.environment import STATIC_FOLDER
from epaas_web.problems import add_problem_handlers
from epaas_web.request_log import FRAMEWORK_TELEMETRY, add_request_log

_bearer = HTTPBearer(auto_error=False, description="the token of EPAAS_TRAIN_TOKEN_FILE, where there is one")


@dataclass(frozen=True)
class Context:
    """What routes work with."""

    settings: ServiceSettings
    queue: JobQueue
    tasks: OwnTasks
    token: str | None


def context_of(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _authorise(request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> None:
    """Raises :class:`Unauthorised` without the token, where there is one."""
    token = context_of(request).token
    given = credentials.credentials if credentials else ""
    if token is not None and not hmac.compare_digest(given.encode(), token.encode()):
        raise Unauthorised("the request does not bear the service's token", hint="Authorization: Bearer TOKEN")


ContextDependency = Annotated[Context, Depends(context_of)]


def create_app(settings: ServiceSettings) -> FastAPI:
    """Raises :class:`ConfigurationError` for settings that cannot be served with."""
    from epaas_models.service import jobs, pages, tasks

    data = settings.data_dir.absolute()
    context = Context(settings, JobQueue(data / "jobs"), OwnTasks(data / "tasks"), settings.token())

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        slots = Slots(context.queue, settings.slots)
        slots.start()
        yield
        slots.stop()

    app = FastAPI(
        title="EPAAS training",
        summary="From data to a published, reported model",
        version=__version__,
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
        docs_url=None,
        redoc_url=None,
        telemetry=FRAMEWORK_TELEMETRY,
        dependencies=[Depends(_authorise)],
    )
    app.state.context = context
    app.mount("/static", StaticFiles(directory=STATIC_FOLDER))
    for module in (tasks, jobs, pages):
        app.include_router(module.router)
    add_problem_handlers(app)
    add_request_log(app)
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name
