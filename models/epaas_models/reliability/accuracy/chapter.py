"""The chapter on accuracy: of the integer network on the test rows, as a whole and class by class.

Every number comes with its rows and its interval, and stands beside what it must beat.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from epaas_models.confidence import class_sums
from epaas_models.reliability.accuracy.baselines import majority_baseline
from epaas_models.reliability.accuracy.classification import (
    auroc,
    balanced_accuracy,
    confusion,
    resampled_auroc,
    resampled_balanced_accuracy,
)
from epaas_models.reliability.calibration.measures import Labels, Reals
from epaas_models.reliability.intervals import bootstrap, percentile_measure, rate
from epaas_models.reliability.subject import Subject
from epaas_shared.features import Bits
from epaas_shared.report.accuracy import Accuracy, Baseline, ClassAccuracy, Spread, Subgroup


def measure_accuracy(
    subject: Subject,
    test_bits: Bits,
    test_labels: Labels,
    training_labels: Labels,
    *,
    baselines: Sequence[Baseline] = (),
    subgroups: Sequence[Subgroup] = (),
    random_splits: Spread | None = None,
    seed: int,
    resamples: int = 1000,
) -> Accuracy:
    """Accuracy on test rows, bits (rows, inputs) and labels (rows,); the majority class is that of the training rows.

    ``baselines`` come after the majority class. The AUROC is of the exact sums, which a client does not see.
    """
    rows, classes = len(test_labels), len(subject.classes)
    predicted = subject.predict(test_bits)
    sums = class_sums(subject.network, test_bits)
    counted = confusion(test_labels, predicted, classes)
    area = auroc(sums, test_labels)

    def statistic(counts: Reals) -> Reals:
        balanced = resampled_balanced_accuracy(test_labels, predicted, counts)
        areas = [resampled_auroc(sums, test_labels, counts)] if area is not None else []
        return np.stack([balanced, *areas])

    balanced, *areas = bootstrap(statistic, rows, resamples=resamples, seed=seed)
    return Accuracy(
        accuracy=rate(int(np.trace(counted)), rows),
        balanced_accuracy=percentile_measure(balanced_accuracy(test_labels, predicted), balanced),
        auroc=None if area is None else percentile_measure(area, areas[0]),
        classes=tuple(
            ClassAccuracy(
                label=label,
                recall=rate(int(right), int(true)) if true else None,
                precision=rate(int(right), int(claimed)) if claimed else None,
            )
            for label, right, true, claimed in zip(
                subject.classes, np.diag(counted), counted.sum(axis=1), counted.sum(axis=0), strict=True
            )
        ),
        confusion=tuple(tuple(int(number) for number in row) for row in counted),
        baselines=(majority_baseline(training_labels, test_labels, subject.classes), *baselines),
        subgroups=tuple(subgroups),
        random_splits=random_splits,
    )


def spread(accuracies: Sequence[float]) -> Spread:
    """Mean and spread of the test accuracy over random splits, at least one."""
    values = np.array(accuracies)
    return Spread(
        splits=len(values),
        mean=float(values.mean()),
        standard_deviation=float(values.std(ddof=1)) if len(values) > 1 else None,
        minimum=float(values.min()),
        maximum=float(values.max()),
    )
