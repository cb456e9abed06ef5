"""The pages of the training service: its jobs, and one job with its curves. A running job's page asks again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, Response

from epaas_models.jobs.folder import ENDED, JobFolder
from epaas_models.service.app import ContextDependency
from epaas_models.service.documents import TrainingJob
from epaas_models.service.jobs import JobId
from epaas_shared.bundle import REPORT_FILE
from epaas_shared.errors import TrainingJobNotFound
from epaas_shared.quantities import duration
from epaas_shared.report import Report, read_report
from epaas_shared.report.words import MARKS, verdicts
from epaas_web.pages.diagrams.curves import Curve, curves
from epaas_web.pages.elements import Figures
from epaas_web.pages.environment import PAGE_HEADERS, environment
from epaas_web.problems import problem_responses

router = APIRouter(tags=["pages"])

HTML: Final = "text/html"
_AS_PAGE: dict[int | str, dict[str, Any]] = {
    200: {"description": "A page", "content": {HTML: {"schema": {"type": "string"}}}}
}

_TEMPLATES = environment("epaas_models.service")
_TEMPLATES.globals |= {"marks": MARKS}
_TEMPLATES.filters |= {"duration": duration}


@router.get("/", response_class=Response, responses={**_AS_PAGE, **problem_responses()})
def show_jobs_page(context: ContextDependency) -> Response:
    """All jobs, the newest first, and the own tasks."""
    jobs = [TrainingJob.of(job) for job in context.queue.jobs()]
    return _page("jobs.html", root="", jobs=jobs, tasks=context.tasks.tasks(), running=_any_running(jobs))


@router.get("/jobs/{id}", response_class=Response, responses={**_AS_PAGE, **problem_responses(TrainingJobNotFound)})
def show_job_page(id: JobId, context: ContextDependency) -> Response:
    """A job: how far it is, how it learnt, and what its report comes down to."""
    folder = context.queue.job(id)
    job, report = TrainingJob.of(folder), _report(folder)
    return _page(
        "job.html",
        root="../",
        job=job,
        running=job.state not in ENDED,
        figure=_figure(folder.events()),
        verdicts=() if report is None else verdicts(report),
        configuration=folder.request.configuration.model_dump(mode="json", exclude_none=True, exclude_defaults=True),
    )


def _report(folder: JobFolder) -> Report | None:
    path = folder.bundle / REPORT_FILE
    return read_report(path.read_bytes()) if folder.status.state == "succeeded" and path.exists() else None


def _any_running(jobs: Sequence[TrainingJob]) -> bool:
    return any(job.state not in ENDED for job in jobs)


def _figure(events: Sequence[dict[str, Any]]) -> Figures | None:
    """Right on validation rows by epoch; None before the second epoch, or where there are no such rows."""
    points = tuple(
        (float(event["epoch"]), float(event["validation_accuracy"]))
        for event in events
        if event["event"] == "epoch" and "validation_accuracy" in event
    )
    if len(points) < 2:
        return None
    drawn = curves(
        "Right on validation rows",
        "Share of rows, kept from training, that the network gets right after each epoch.",
        [Curve("validation rows", "worst", points)],
        x_title="epoch",
        y_title="right",
    )
    return Figures((drawn,))


def _page(template: str, **names: Any) -> Response:
    return Response(_TEMPLATES.get_template(template).render(names), media_type=HTML, headers=PAGE_HEADERS)
