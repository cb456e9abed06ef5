"""What every learnt schema shares: where thresholds of numbers are, and what is said of where a schema comes from.

Knows no task: which features there are and how fine is for those who learn a schema (``schema_learning`` those of this
release, ``tables`` those of a provider's own data).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epaas_models.datasets import Dataset, Split
from epaas_shared.features import Feature
from epaas_shared.schema import InputSchema


def quantiles(column: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """``count`` quantiles without the ends, or fewer where several are the same value or the least one.

    If all are the least value, then the next one after it: rare other values are what such a column can tell.
    """
    found: NDArray[np.float64] = np.unique(np.quantile(column, np.linspace(0, 1, count + 2)[1:-1]))
    above = found[found > column.min()]
    return above if len(above) else np.unique(column)[1:2]


def learnt_schema(
    dataset: Dataset, split: Split, features: Sequence[Feature], title: str, description: str, version: int = 1
) -> InputSchema:
    """The schema of these features, learnt from the training rows of a split, as its ``learnt_from`` says."""
    learnt_from: dict[str, Any] = {
        "data": dataset.source,
        "data_digest": dataset.digest,
        "split": split.describe(),
        "rows": len(split.training),
    }
    return InputSchema(
        task=dataset.name,
        version=version,
        title=title,
        description=description,
        target=dataset.target,
        classes=dataset.classes,
        features=tuple(features),
        learnt_from=learnt_from,
    )
