"""The rows that a report is measured on: those that trained the network, those that chose, and those that test.

Knows data sets and schemas, and measures nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epaas_models.datasets import Dataset, Split
from epaas_models.datasets.split import Rows
from epaas_models.examples import TaskExamples
from epaas_models.reliability.subject import Columns
from epaas_shared.features import Bits, ImageFeature, NumberFeature
from epaas_shared.schema import InputSchema


@dataclass(frozen=True)
class Part:
    """Some rows: their columns as they are, encoded, and their true classes."""

    columns: Columns
    bits: Bits
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def sample(self, rows: int, seed: int) -> Part:
        """At most so many rows, drawn without replacement, in their order."""
        if rows >= len(self):
            return self
        chosen = np.sort(np.random.default_rng(seed).choice(len(self), rows, replace=False))
        columns = {name: column[chosen] for name, column in self.columns.items()}
        return Part(columns, self.bits[chosen], self.labels[chosen])


@dataclass(frozen=True)
class Evidence:
    """All rows of a data set, split as the model was trained."""

    dataset: Dataset
    schema: InputSchema
    split: Split
    fitting_rows: Rows
    validation_rows: Rows
    fitting: Part
    validation: Part
    test: Part

    @classmethod
    def of(cls, dataset: Dataset, schema: InputSchema, split: Split, validation_share: float) -> Evidence:
        fitting, validation = split.validation(dataset, validation_share)
        parts = [_part(dataset, schema, rows) for rows in (fitting, validation, split.test)]
        return cls(dataset, schema, split, fitting, validation, *parts)

    @property
    def picture(self) -> ImageFeature | None:
        """The only feature of a task of pictures."""
        feature = self.schema.features[0]
        return feature if len(self.schema.features) == 1 and isinstance(feature, ImageFeature) else None

    @property
    def deviations(self) -> Mapping[str, float]:
        """Standard deviation over the fitting rows of each column of numbers; 1 of one that never differs."""
        numbers = [feature.name for feature in self.schema.features if isinstance(feature, NumberFeature)]
        found = {name: float(np.std(self.fitting.columns[name].astype(np.float64))) for name in numbers}
        return {name: deviation or 1.0 for name, deviation in found.items()}


def _part(dataset: Dataset, schema: InputSchema, rows: Rows) -> Part:
    columns: dict[str, NDArray[Any]] = {
        feature.name: dataset.columns[feature.name][rows] for feature in schema.features
    }
    return Part(columns, TaskExamples(dataset, rows, schema).bits, dataset.labels[rows])
