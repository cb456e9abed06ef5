"""A report as the chapters of its page, in the order in which they are read."""

from __future__ import annotations

from epaas_server.pages.chapters.accuracy import accuracy_chapter
from epaas_server.pages.chapters.agreement import agreement_chapter
from epaas_server.pages.chapters.calibration import calibration_chapter
from epaas_server.pages.chapters.generalisation import generalisation_chapter
from epaas_server.pages.chapters.provenance import claims_chapter, provenance_chapter, reading_chapter
from epaas_server.pages.chapters.robustness import robustness_chapter
from epaas_shared.protocol import ModelVersion
from epaas_shared.report import Report
from epaas_web.pages.elements import Chapter


def chapters(report: Report, model: ModelVersion) -> tuple[Chapter, ...]:
    """``model`` says what the report cannot know: what a record costs on this server."""
    return (
        accuracy_chapter(report),
        calibration_chapter(report.calibration),
        robustness_chapter(report.robustness),
        generalisation_chapter(report.generalisation),
        agreement_chapter(report.agreement, model),
        claims_chapter(report.claims),
        provenance_chapter(report, model),
        reading_chapter(),
    )
