"""Versions of a model, or several models of a task, side by side."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from epaas_server.api.dependencies import ModelName, ServicesDependency
from epaas_server.pages import Column, comparison_page
from epaas_server.services import Services
from epaas_shared.errors import InvalidRequest, ModelNotFound
from epaas_shared.protocol import MAX_VERSION, ModelVersion
from epaas_web.negotiation import conditional
from epaas_web.pages.environment import PAGE_HEADERS
from epaas_web.problems import problem_responses

router = APIRouter(tags=["reports"])

HTML: Final = "text/html"
_MOST = 6
"""Columns that a page has room for."""
_AS_PAGE: dict[int | str, dict[str, Any]] = {
    200: {"description": "A page", "content": {HTML: {"schema": {"type": "string"}}}},
    304: {"description": "As the client has it (If-None-Match)"},
}


@router.get("/compare", response_class=Response, responses={**_AS_PAGE, **problem_responses(ModelNotFound)})
def show_comparison_page(
    request: Request,
    services: ServicesDependency,
    model: Annotated[list[str], Query(description="NAME or NAME@VERSION, two to six times")],
) -> Response:
    """Reports of models of one task side by side, as a page."""
    if not 2 <= len(model) <= _MOST:
        raise InvalidRequest(f"there are {len(model)} models", field="model", hint=f"name two to {_MOST}")
    columns = [_column(services, _version(services, asked)) for asked in model]
    if len({column.report.task for column in columns}) > 1:
        raise InvalidRequest("these are models of several tasks", field="model", hint="name models of one task")
    return _page(request, comparison_page("Models compared", columns, root=""))


@router.get(
    "/v1/models/{name}/versions.html",
    response_class=Response,
    responses={**_AS_PAGE, **problem_responses(ModelNotFound)},
)
def show_versions_page(request: Request, name: ModelName, services: ServicesDependency) -> Response:
    """The newest versions of a model side by side, as a page."""
    found = services.registry.versions_of(name)
    notes = {
        version: tuple(alias.value for alias, named in found.aliases.items() if named == version)
        for version in (model.version for model in found.versions)
    }
    columns = [
        Column(model, report, notes[model.version])
        for model in found.versions
        if (report := services.registry.reliability(model)) is not None
    ]
    return _page(request, comparison_page(f"Versions of {name}", columns[-_MOST:], root="../../../"))


def _version(services: Services, asked: str) -> ModelVersion:
    name, marked, version = asked.partition("@")
    if not marked:
        return services.registry.version(name)
    if not version.isdecimal() or not 0 < int(version[:20]) <= MAX_VERSION:
        raise InvalidRequest(f"{version[:80]!r} is no version", field="model", hint="NAME@VERSION, such as mnist@2")
    return services.registry.version(name, int(version))


def _column(services: Services, model: ModelVersion) -> Column:
    report = services.registry.reliability(model)
    if report is None:
        raise InvalidRequest(f"{model.name}@{model.version} has a report of an older format", field="model")
    return Column(model, report)


def _page(request: Request, page: str) -> Response:
    return conditional(request, page.encode(), HTML, dict(PAGE_HEADERS))
