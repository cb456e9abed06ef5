"""Accuracy with its interval, the baselines it must beat, each class, and subgroups."""

from __future__ import annotations

from epaas_shared.report.measures import Count, Finite, Measure, Rate, Section, Share


class ClassAccuracy(Section):
    """One class."""

    label: str
    recall: Rate | None
    """Share of its rows that are predicted so; null without rows."""
    precision: Rate | None
    """Share of the rows predicted so that are of it; null where it is never predicted."""


class Baseline(Section):
    """What a far simpler predictor reaches on the same test rows."""

    name: str
    accuracy: Rate
    balanced_accuracy: Share
    auroc: Share | None


class Subgroup(Section):
    """The test rows with one value of a column."""

    column: str
    value: str
    accuracy: Rate
    balanced_accuracy: Share
    majority: Share
    """Share of the most frequent true class among these rows: what never looking at a record would reach."""
    expected_calibration_error: Measure | None
    """Over the bins of the calibration chapter, after scaling; null where rows are too few."""


class Spread(Section):
    """Test accuracy over other random splits, each with an encoding and a network of its own."""

    splits: Count
    mean: Share
    standard_deviation: Finite | None
    minimum: Share
    maximum: Share


class Accuracy(Section):
    """Of the integer network on the test rows."""

    accuracy: Rate
    balanced_accuracy: Measure
    """Mean recall of the classes that have rows."""
    auroc: Measure | None
    """Area under the ROC curve of the exact sums, one class against the rest, averaged; null where a class is empty."""
    classes: tuple[ClassAccuracy, ...]
    confusion: tuple[tuple[Count, ...], ...]
    """Rows are the truth, columns the prediction."""
    baselines: tuple[Baseline, ...]
    subgroups: tuple[Subgroup, ...] = ()
    random_splits: Spread | None = None
