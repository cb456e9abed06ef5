"""What was claimed, how the report was made, and how it is read."""

from __future__ import annotations

from epaas_shared.protocol import ModelVersion
from epaas_shared.quantities import duration
from epaas_shared.report import Report
from epaas_shared.report.document import Claim
from epaas_shared.report.measures import Measure
from epaas_shared.report.words import GLOSSARY
from epaas_web.pages.elements import Cell, Chapter, Table, count_cell, facts, measure_cell, number_cell, text_cell


def claims_chapter(found: tuple[Claim, ...]) -> Chapter:
    rows = tuple(
        (
            text_cell(claim.claim),
            text_cell(claim.by),
            number_cell(claim.claimed),
            _measured(claim),
            Cell("holds", style="good") if claim.holds else Cell("FAILS", style="poor"),
        )
        for claim in found
    )
    broken = sum(not claim.holds for claim in found)
    takeaway = "Nothing was claimed of this model beforehand."
    if found:
        takeaway = f"{broken} of {len(found)} claims fail." if broken else "What was claimed beforehand holds."
    table = Table("Claimed beside measured", ("Claim", "By", "Claimed", "Measured", "Outcome"), rows)
    return Chapter("claims", "Claims", takeaway, (table,) if found else ())


def _measured(claim: Claim) -> Cell:
    return measure_cell(Measure(value=claim.measured, interval=claim.interval))


def provenance_chapter(report: Report, model: ModelVersion) -> Chapter:
    made, data = report.made, report.data
    blocks = (
        facts(
            "Data",
            ("source", text_cell(data.source)),
            ("split", text_cell(data.split)),
            ("training rows", count_cell(data.training_rows)),
            ("validation rows", count_cell(data.validation_rows)),
            ("test rows", count_cell(data.test_rows)),
            ("SHA-256 of the data", text_cell(data.digest, "digest")),
        ),
        facts(
            "This report",
            ("command that measures again", text_cell(made.command, "code")),
            ("seed", Cell(str(made.seed), made.seed)),
            ("thoroughness", text_cell(made.thoroughness)),
            ("made", text_cell(made.created)),
            ("on", text_cell(made.machine)),
            *((f"time of {chapter}", Cell(duration(value), value)) for chapter, value in made.seconds.items()),
            *((f"version of {name}", text_cell(version)) for name, version in made.versions.items()),
        ),
        facts(
            "Digests (SHA-256)",
            ("bundle", text_cell(model.digest, "digest")),
            ("weights", text_cell(report.weights, "digest")),
            ("input schema", text_cell(model.input_schema, "digest")),
            ("parameters", text_cell(model.profile, "digest")),
        ),
    )
    takeaway = "Enough to measure again: the digests say whether it is the same model and the same data."
    return Chapter("provenance", "Provenance", takeaway, blocks)


def reading_chapter() -> Chapter:
    rows = tuple((text_cell(term), text_cell(meaning)) for term, meaning in GLOSSARY)
    table = Table("Words", ("Word", "What it means"), rows, style="wordy")
    return Chapter("reading", "How to read this", "The words of this report, in a sentence each.", (table,))
