"""Pages as HTML. Every text is escaped by the templates; links are relative, so that any path may lead to a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from epaas_server.pages.chapters import chapters
from epaas_server.pages.comparison import Column, comparison_tables
from epaas_shared.protocol import Cost, ModelVersion
from epaas_shared.quantities import count, duration, size
from epaas_shared.report import Report
from epaas_shared.report.words import MARKS, Verdict, verdicts
from epaas_web.pages.environment import environment

_FROM_REPORT: Final = "../" * 5
"""The way from ``/v1/models/{name}/versions/{version}/report`` to the root."""


@dataclass(frozen=True)
class Listed:
    """A model on the list; ``report`` is None where its report is of an older format."""

    model: ModelVersion
    report: Report | None

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return verdicts(self.report) if self.report else ()


def listing_page(listed: Sequence[Listed]) -> str:
    """What the server offers."""
    return _render("listing.html", root="", listed=listed)


def report_page(report: Report, model: ModelVersion) -> str:
    """The report of a version; ``model`` adds what a record costs on this server."""
    return _render(
        "report.html",
        root=_FROM_REPORT,
        report=report,
        model=model,
        verdicts=(*verdicts(report), _cost_here(model.cost)),
        chapters=chapters(report, model),
    )


def older_report_page(model: ModelVersion) -> str:
    """Instead of the report of a version that was published before reports of this format."""
    return _render("older.html", root=_FROM_REPORT, model=model)


def comparison_page(title: str, columns: Sequence[Column], *, root: str) -> str:
    """Versions side by side; ``root`` is the way from the page to the server's root."""
    return _render("comparison.html", root=root, title=title, columns=columns, tables=comparison_tables(columns))


def cost_in_words(cost: Cost) -> str:
    """``about 35 s``, or bootstraps where this server has not been calibrated."""
    return f"about {duration(cost.seconds)}" if cost.seconds is not None else f"{count(cost.bootstraps)} bootstraps"


def _cost_here(cost: Cost) -> Verdict:
    sizes = "" if cost.record_bytes is None else f" The encrypted record has {size(cost.record_bytes)}."
    text = f"{count(cost.bootstraps)} bootstraps a record on this server.{sizes}"
    return Verdict("Cost", "neutral", cost_in_words(cost).capitalize(), text)


_PAGES = environment("epaas_server.pages")
_PAGES.filters |= {"cost": cost_in_words}
_PAGES.globals |= {"marks": MARKS}


def _render(template: str, **names: Any) -> str:
    return _PAGES.get_template(template).render(names)
