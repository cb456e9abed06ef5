"""Reliability reports as JSON and as pages, and the page that lists the models."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from epaas_server.api.dependencies import ModelName, ServicesDependency, VersionPath
from epaas_server.pages import Listed, listing_page, older_report_page, report_page
from epaas_server.services import Services
from epaas_shared.errors import ModelNotFound
from epaas_shared.protocol import ModelVersion
from epaas_shared.report import Report
from epaas_web.negotiation import conditional, preferred
from epaas_web.pages.environment import PAGE_HEADERS
from epaas_web.problems import problem_responses

router = APIRouter(tags=["reports"])

JSON: Final = "application/json"
HTML: Final = "text/html"

_PATH = "/v1/models/{name}/versions/{version}/report"
_AS_JSON: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Report | dict[str, Any],
        "description": "The report; of a version that was published before reports of this format, what it came with",
    }
}
_AS_PAGE: dict[int | str, dict[str, Any]] = {
    200: {"description": "A page", "content": {HTML: {"schema": {"type": "string"}}}}
}
_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "As the client has it (If-None-Match)"}}

_PUBLISHED = {"Cache-Control": "max-age=86400, immutable"}
"""A published version never changes."""
_VARIES = {"Vary": "Accept"}
_NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}


@router.get("/", response_class=Response, responses={**_AS_PAGE, **_UNCHANGED, **problem_responses()})
def show_models_page(request: Request, services: ServicesDependency) -> Response:
    """A page of the stable version of every model, with what its report comes down to."""
    models = services.registry.versions()
    listed = [Listed(model, services.registry.reliability(model)) for model in models]
    return _page(request, listing_page(listed))


@router.get(
    _PATH,
    response_class=Response,
    responses={
        **{200: {**_AS_JSON[200], "content": _AS_PAGE[200]["content"]}},
        **_UNCHANGED,
        **problem_responses(ModelNotFound),
    },
)
def get_model_report(request: Request, name: ModelName, version: VersionPath, services: ServicesDependency) -> Response:
    """The reliability report that is part of the bundle: JSON, or a page for those who prefer ``text/html``."""
    model = services.registry.version(name, version)
    if preferred(request, (JSON, HTML)) == HTML:
        return _report_page(request, services, model, _VARIES)
    return _report_json(request, services, model, _VARIES)


@router.get(
    f"{_PATH}.json",
    response_class=Response,
    responses={**_AS_JSON, **_UNCHANGED, **problem_responses(ModelNotFound)},
)
def get_model_report_json(
    request: Request, name: ModelName, version: VersionPath, services: ServicesDependency
) -> Response:
    """The reliability report as JSON."""
    return _report_json(request, services, services.registry.version(name, version), {})


@router.get(
    f"{_PATH}.html",
    response_class=Response,
    responses={**_AS_PAGE, **_UNCHANGED, **problem_responses(ModelNotFound)},
)
def show_model_report_page(
    request: Request, name: ModelName, version: VersionPath, services: ServicesDependency
) -> Response:
    """The reliability report as a page."""
    return _report_page(request, services, services.registry.version(name, version), {})


def _report_json(request: Request, services: Services, model: ModelVersion, headers: dict[str, str]) -> Response:
    content = services.registry.report_file(model)
    return conditional(request, content, JSON, {**_PUBLISHED, **_NO_SNIFFING, **headers})


def _report_page(request: Request, services: Services, model: ModelVersion, headers: dict[str, str]) -> Response:
    report = services.registry.reliability(model)
    return _page(request, report_page(report, model) if report else older_report_page(model), headers)


def _page(request: Request, page: str, headers: dict[str, str] | None = None) -> Response:
    return conditional(request, page.encode(), HTML, {**PAGE_HEADERS, **(headers or {})})
