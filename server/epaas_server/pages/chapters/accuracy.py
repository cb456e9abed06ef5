"""How often the model is right: against baselines, by class, by subgroup."""

from __future__ import annotations

from math import sqrt

from epaas_shared.quantities import count, decimal, percent
from epaas_shared.report import Report
from epaas_shared.report.accuracy import Accuracy, Spread, Subgroup
from epaas_web.pages.diagrams.canvas import Diagram
from epaas_web.pages.diagrams.intervals import Estimate, intervals
from epaas_web.pages.elements import (
    Block,
    Cell,
    Chapter,
    Figures,
    Folded,
    Heading,
    Table,
    count_cell,
    facts,
    measure_cell,
    number_cell,
    rate_cell,
    share_cell,
    text_cell,
)

CONFUSION_CLASSES = 12
"""Up to so many classes the whole confusion matrix is shown; of more, the pairs that are confused most."""

_PAIRS = 15
_SHADES = 9


def accuracy_chapter(report: Report) -> Chapter:
    found = report.accuracy
    blocks: list[Block] = [Figures((_against_baselines(found),)), _measures(found)]
    if found.random_splits:
        blocks.append(_spread(found.random_splits))
    blocks += [
        Heading("Classes", "Which answers to trust more than others, and what is taken for what."),
        _by_class(found),
        _confusion(found, report.classes),
    ]
    if found.subgroups:
        blocks += [
            Heading(
                "Subgroups", "Whether it works as well for everybody: look for rows whose interval is off the rest."
            ),
            *_subgroups(found.subgroups),
        ]
    takeaway = (
        f"Right on {percent(found.accuracy.value)} of {count(found.accuracy.rows)} test rows that it had never seen; "
        "compare that with what a simple predictor reaches on the same rows."
    )
    return Chapter("accuracy", "Accuracy", takeaway, tuple(blocks))


def _against_baselines(found: Accuracy) -> Diagram:
    rates = [("this model", found.accuracy, "own"), *((base.name, base.accuracy, "") for base in found.baselines)]
    return intervals(
        "Accuracy and baselines",
        "Share of the test rows that each predictor gets right. Intervals that overlap are no certain difference.",
        [Estimate(name, rate.value, rate.interval, style=style) for name, rate, style in rates],
        from_zero=True,
    )


def _measures(found: Accuracy) -> Table:
    rows = [
        (
            text_cell("this model"),
            rate_cell(found.accuracy),
            measure_cell(found.balanced_accuracy, percent),
            measure_cell(found.auroc),
        )
    ]
    rows += [
        (
            text_cell(base.name),
            rate_cell(base.accuracy),
            share_cell(base.balanced_accuracy),
            number_cell(base.auroc),
        )
        for base in found.baselines
    ]
    return Table(
        "This model and its baselines (95 % intervals)", ("", "Accuracy", "Balanced accuracy", "AUROC"), tuple(rows)
    )


def _spread(found: Spread) -> Table:
    return facts(
        f"Accuracy over {found.splits} other random splits of the data",
        ("mean", share_cell(found.mean)),
        ("standard deviation", number_cell(found.standard_deviation)),
        ("least", share_cell(found.minimum)),
        ("most", share_cell(found.maximum)),
    )


def _by_class(found: Accuracy) -> Table:
    rows = tuple(
        (
            text_cell(shown.label),
            count_cell(sum(row)),
            rate_cell(shown.recall),
            rate_cell(shown.precision),
        )
        for shown, row in zip(found.classes, found.confusion, strict=True)
    )
    return Table("Each class (95 % intervals)", ("Class", "Test rows", "Recall", "Precision"), rows)


def _confusion(found: Accuracy, classes: tuple[str, ...]) -> Block:
    if len(classes) > CONFUSION_CLASSES:
        return _confused_pairs(found, classes)
    rows = tuple(
        (text_cell(name), *(_heat(number, sum(row), right=column == index) for column, number in enumerate(row)))
        for index, (name, row) in enumerate(zip(classes, found.confusion, strict=True))
    )
    caption = "Confusion: a row is the truth, a column what was predicted"
    return Folded("Which classes are confused", (Table(caption, ("Truth", *classes), rows, style="heat"),))


def _heat(number: int, of: int, *, right: bool) -> Cell:
    """Darker for a greater share of the true class; the square root shows what is rare."""
    shade = round(_SHADES * sqrt(number / of)) if of else 0
    return Cell(count(number), number, style=f"{'right' if right else 'wrong'} shade-{shade}")


def _confused_pairs(found: Accuracy, classes: tuple[str, ...]) -> Block:
    pairs = sorted(
        (
            (number, truth, prediction)
            for truth, row in enumerate(found.confusion)
            for prediction, number in enumerate(row)
            if truth != prediction and number
        ),
        reverse=True,
    )
    rows = tuple(
        (text_cell(classes[truth]), text_cell(classes[prediction]), count_cell(number))
        for number, truth, prediction in pairs[:_PAIRS]
    )
    return Folded(
        "Which classes are confused",
        (Table("The most frequent confusions", ("Truth", "Predicted", "Test rows"), rows),),
    )


def _subgroups(found: tuple[Subgroup, ...]) -> list[Block]:
    columns = dict.fromkeys(group.column for group in found)
    diagrams = tuple(
        intervals(
            f"Accuracy by {column}",
            "Share of the rows of each subgroup that are predicted right. A wide interval means few rows.",
            [
                Estimate(shown.value, shown.accuracy.value, shown.accuracy.interval)
                for shown in found
                if shown.column == column
            ],
        )
        for column in columns
    )
    rows = tuple(
        (
            text_cell(f"{shown.column}: {shown.value}"),
            count_cell(shown.accuracy.rows),
            rate_cell(shown.accuracy),
            share_cell(shown.balanced_accuracy),
            share_cell(shown.majority),
            measure_cell(shown.expected_calibration_error, decimal),
        )
        for shown in found
    )
    headers = ("Subgroup", "Test rows", "Accuracy", "Balanced accuracy", "Most frequent class", "ECE")
    table = Table(
        "Subgroups (95 % intervals); the most frequent class is what never looking would reach", headers, rows
    )
    return [Figures(diagrams), Folded("The numbers of each subgroup", (table,))]
