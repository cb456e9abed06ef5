"""The input schema that is proposed for a table: how its columns become bits, learnt from training rows alone.

Each column gets at most as many bits as makes all of them fit in the budget; one that needs fewer leaves them to the
others. A schema is public, so that nothing in it is of a few rows only: thresholds are between values, and categories
that few rows have are not named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epaas_models.datasets import Dataset, Split
from epaas_models.learnt_features import learnt_schema, quantiles
from epaas_models.tables.description import ColumnDescription, TableDescription
from epaas_shared.errors import InvalidTable
from epaas_shared.features import CategoryFeature, Feature, NumberFeature
from epaas_shared.schema import InputSchema

_FEWEST_ROWS = 5
"""Training rows of a category that is named."""
_ROWS_A_BIN = 20
"""Training rows of a one-hot bin, whose weight is learnt from them alone; those of a threshold, from all above it."""
_FEWEST_BITS = 2
"""Of a column that has any to spare: a category and the bit for others."""


def propose_schema(dataset: Dataset, description: TableDescription, split: Split) -> InputSchema:
    """Version 1 of the task: numbers by quantiles, categories one-hot with a bit for any other value or none.

    Raises :class:`InvalidTable` if the budget has no bits for every column, or a column has no value in training.
    """
    training = {name: column[split.training] for name, column in dataset.columns.items()}
    finest = {name: _feature(name, column, description, description.bits) for name, column in training.items()}
    cap = _cap([feature.bits for feature in finest.values()], description.bits)
    features = [
        finest[name] if finest[name].bits <= cap else _feature(name, column, description, cap)
        for name, column in training.items()
    ]
    numbers = "thresholds" if description.encoding == "thresholds" else "one-hot bins"
    said = (
        f"numbers by {numbers} between quantiles; categories that {_FEWEST_ROWS} training rows have, one-hot, and a bit"
        f" for any other or none; at most {min(cap, max(feature.bits for feature in features))} bits a column"
    )
    return learnt_schema(dataset, split, features, description.title or dataset.name, said)


def _cap(wanted: Sequence[int], budget: int) -> int:
    """The most bits that a column may have, at least 2, so that all are within the budget."""
    for cap in range(max(*wanted, _FEWEST_BITS), _FEWEST_BITS - 1, -1):
        needed = sum(min(cap, bits) for bits in wanted)
        if needed <= budget:
            return cap
    raise InvalidTable(
        f"{budget} bits are too few for {len(wanted)} columns, which need {needed}",
        field="bits",
        hint=f"allow at least {needed} bits, or ignore some columns",
    )


def _feature(name: str, column: NDArray[Any], description: TableDescription, most: int) -> Feature:
    """The feature of a column in the training rows, of at most so many bits."""
    described = description.column(name)
    if column.dtype == object:
        return _category(name, column, described, most)
    if description.encoding == "one-hot-bins":
        edges = min(most, description.bins, max(_FEWEST_BITS, len(column) // _ROWS_A_BIN)) - 1
    else:
        edges = min(most, description.bins - 1)
    low, high = _plausible(column, described)
    return NumberFeature(
        name=name,
        kind=description.encoding,
        edges=_edges(column, edges, low, high),
        minimum=low,
        maximum=high,
        description=described.units,
    )


def _plausible(column: NDArray[np.float64], described: ColumnDescription) -> tuple[float, float]:
    """The range as described, or as far beyond that of training as that is wide, but not below 0 if nothing is."""
    low, high = float(column.min()), float(column.max())
    reach = (high - low) or max(1.0, abs(high))
    least, most = (0.0 if low >= 0 else low - reach), high + reach
    if described.maximum is not None:  # it may be 0 where all are 0
        least = min(least, described.maximum - reach)
    return (
        least if described.minimum is None else described.minimum,
        most if described.maximum is None else described.maximum,
    )


def _edges(column: NDArray[np.float64], count: int, low: float, high: float) -> tuple[float, ...]:
    """At most ``count`` thresholds at quantiles, each in the middle between two neighbouring values of training.

    A column that is constant in training has one in the middle of its range: what is not known cannot be told apart.
    """
    values = np.unique(column)
    reached = np.unique(np.searchsorted(values, quantiles(column, count)))
    below, above = values[reached - 1], values[reached]
    middles = below + (above - below) / 2
    inside = middles[(low < middles) & (middles < high)]
    return tuple(inside.tolist()) or (low + (high - low) / 2,)


def _category(name: str, column: NDArray[Any], described: ColumnDescription, most: int) -> CategoryFeature:
    """The commonest values, or as many of those that were described."""
    counts = Counter(dict.fromkeys(described.categories, 0))
    counts.update(text for text in column.tolist() if text)
    if not counts:
        raise InvalidTable(
            "no training row has a value",
            field=name,
            hint=f'say type = "ignore" in columns.{name}, or give rows with a value',
        )
    commonest = sorted(counts, key=lambda text: (-counts[text], text))[: most - 1]
    named = described.categories or (commonest[0], *(text for text in commonest if counts[text] >= _FEWEST_ROWS))
    kept = sorted({*named}.intersection(commonest))
    return CategoryFeature(name=name, values=tuple(kept), other=True, description=described.units)
