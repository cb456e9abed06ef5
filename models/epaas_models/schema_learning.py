"""Learns a task's input schema from training rows, before it is frozen and published."""

from __future__ import annotations

import numpy as np

from epaas_models.datasets import Dataset, Split
from epaas_shared.schema import Feature, InputSchema

_PLAUSIBLE_FACTOR = 2.0
"""A value up to this many times the largest one in training is a rare case; beyond it is a mistake."""


def equal_width_schema(dataset: Dataset, split: Split, *, bins: int, title: str, version: int = 1) -> InputSchema:
    """``bins`` bins of equal width between a feature's least and greatest value in training (thesis B.1).

    Values beyond those fall in the outer bins. All measurements are taken to be non-negative.
    """
    training = dataset.values[split.training]
    features = []
    for name, column in zip(dataset.features, training.T, strict=True):
        low, high = float(column.min()), float(column.max())
        edges = np.linspace(low, high, bins + 1)[1:-1]
        features.append(
            Feature(
                name=name,
                edges=tuple(float(edge) for edge in edges),
                minimum=0.0,
                maximum=_PLAUSIBLE_FACTOR * high,
                description=f"{low:g} to {high:g} in training",
            )
        )
    return InputSchema(
        task=dataset.name,
        version=version,
        title=title,
        description=f"{bins} equal-width bins a feature, one-hot",
        target="diagnosis",
        classes=dataset.classes,
        features=tuple(features),
        learnt_from={
            "data": dataset.source,
            "data_digest": dataset.digest,
            "split": split.describe(),
            "rows": len(split.training),
        },
    )
