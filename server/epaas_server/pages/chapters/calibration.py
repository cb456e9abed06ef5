"""How far the model's confidence is to be believed, before and after scaling."""

from __future__ import annotations

from epaas_shared.quantities import count, decimal, span
from epaas_shared.report.calibration import Calibration, CalibrationMeasures
from epaas_web.pages.diagrams.canvas import Diagram
from epaas_web.pages.diagrams.intervals import Estimate, intervals
from epaas_web.pages.diagrams.reliability import reliability
from epaas_web.pages.elements import (
    Block,
    Cell,
    Chapter,
    Figures,
    Folded,
    Heading,
    Table,
    Text,
    Warnings,
    measure_cell,
    number_cell,
    share_cell,
    text_cell,
)


def calibration_chapter(found: Calibration) -> Chapter:
    seen = (
        "Clients get scores to make these probabilities of, with the temperature that the model carries."
        if found.seen_by_client
        else "Clients get labels without a confidence: only the provider can measure this."
    )
    blocks: list[Block] = [
        Text(f"The logits are {found.source}. {seen}"),
        *([Warnings(found.warnings)] if found.warnings else []),
        Figures(
            (
                reliability(f"Before scaling (temperature {decimal(found.before.temperature)})", found.before.bins),
                reliability(f"After scaling (temperature {decimal(found.after.temperature)})", found.after.bins),
            )
        ),
        Heading(
            "Expected calibration error",
            "An error inside the shaded band is what chance alone would show of a perfectly calibrated model.",
        ),
        Figures((_errors(found), _temperatures(found))),
        Folded("All measures of calibration", (_measures(found), _bins(found.after))),
    ]
    takeaway = {
        "consistent with perfect calibration": "After scaling, confidence can be taken at its word on such rows.",
        "over-confident": "Even after scaling, the model is surer than it should be: confidence is an upper limit.",
        "under-confident": "After scaling, the model is right more often than it says.",
        "miscalibrated": "After scaling, confidence is still not what comes true: rank by it, do not bet by it.",
    }[found.verdict]
    return Chapter("calibration", "Calibration", takeaway, tuple(blocks))


def _sets(found: Calibration) -> tuple[tuple[str, CalibrationMeasures], ...]:
    return (
        ("before scaling", found.before),
        ("after scaling, by likelihood", found.after),
        ("after scaling, by ECE", found.after_by_ece),
    )


def _errors(found: Calibration) -> Diagram:
    return intervals(
        "Expected calibration error",
        "Mean distance of confidence from accuracy over bins; less is better.",
        [
            Estimate(
                name,
                measures.expected_calibration_error.value,
                measures.expected_calibration_error.interval,
                band=measures.null_band,
            )
            for name, measures in _sets(found)
        ],
        say=decimal,
        shares=False,
        from_zero=True,
        band_name="perfectly calibrated, by chance",
    )


def _temperatures(found: Calibration) -> Diagram:
    return intervals(
        "Temperature",
        f"What logits are divided by, from {count(found.validation_rows)} validation rows; above 1 lowers confidence.",
        [
            Estimate("as the model is", 1.0),
            Estimate("least negative log-likelihood", found.temperature_by_nll, style="own"),
            Estimate("least ECE (grid of the thesis)", found.temperature_by_ece),
        ],
        say=decimal,
        shares=False,
        from_zero=True,
    )


def _measures(found: Calibration) -> Table:
    columns = [measures for _, measures in _sets(found)]
    rows: list[tuple[Cell, ...]] = [
        (text_cell("temperature"), *(number_cell(each.temperature) for each in columns)),
        (text_cell("expected (ECE)"), *(measure_cell(each.expected_calibration_error) for each in columns)),
        (
            text_cell("null band"),
            *(Cell(span(each.null_band, decimal)) for each in columns),
        ),
        (text_cell("maximum (MCE)"), *(number_cell(each.maximum_calibration_error) for each in columns)),
        (text_cell("bins of equal rows"), *(measure_cell(each.adaptive_calibration_error) for each in columns)),
        (text_cell("classwise"), *(measure_cell(each.classwise_calibration_error) for each in columns)),
        (text_cell("negative log-likelihood"), *(measure_cell(each.negative_log_likelihood) for each in columns)),
        (text_cell("Brier score"), *(number_cell(each.brier.value) for each in columns)),
        (text_cell("Brier: reliability"), *(number_cell(each.brier.reliability) for each in columns)),
        (text_cell("Brier: resolution"), *(number_cell(each.brier.resolution) for each in columns)),
        (text_cell("Brier: uncertainty"), *(number_cell(each.brier.uncertainty) for each in columns)),
        (text_cell("Brier: within bins"), *(number_cell(each.brier.within_bins) for each in columns)),
        (text_cell("confidence less accuracy"), *(measure_cell(each.overconfidence) for each in columns)),
        (text_cell("rows with confidence over 0.99"), *(share_cell(each.above_99) for each in columns)),
    ]
    rows += [
        (text_cell(f"true class among the {k} most probable"), *(share_cell(each.top_k.get(k)) for each in columns))
        for k in found.before.top_k
    ]
    caption = f"Measures of calibration over {found.bins} bins (95 % intervals)"
    return Table(caption, ("", *(name for name, _ in _sets(found))), tuple(rows))


def _bins(measures: CalibrationMeasures) -> Table:
    rows = tuple(
        (
            Cell(f"{decimal(each.low)} to {decimal(each.high)}"),
            Cell(count(each.rows), each.rows),
            share_cell(each.confidence),
            share_cell(each.accuracy),
        )
        for each in measures.adaptive_bins
    )
    return Table(
        "Bins of equal numbers of rows, after scaling", ("Confidence", "Rows", "Mean confidence", "Accuracy"), rows
    )
