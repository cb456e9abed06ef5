"""Learns a task's input schema from training rows, before it is frozen and published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from epaas_models.datasets import Dataset, Split
from epaas_models.learnt_features import learnt_schema, quantiles
from epaas_shared.errors import InvalidRequest
from epaas_shared.features import CategoryFeature, ImageFeature, NumberFeature, standardise
from epaas_shared.schema import InputSchema

_PLAUSIBLE_FACTOR = 2.0
"""A value up to this many times the largest one in training is a rare case; beyond it is a mistake."""
_DIABETES_BITS = 1704
"""What the thesis's encoding has (B.1)."""
_DIABETES_BINS = 10


def learn_schema(name: str, dataset: Dataset, split: Split) -> InputSchema:
    """A schema of this release, ``task/vN``, learnt from the training rows of a split as the shipped one was.

    Raises :class:`InvalidRequest` for a name that there is not.
    """
    if name not in _LEARNERS:
        raise InvalidRequest(f"there is no schema {name!r}", field="name", hint=f"schemas: {', '.join(_LEARNERS)}")
    return _LEARNERS[name](dataset, split)


def equal_width_schema(dataset: Dataset, split: Split, *, bins: int, title: str, version: int = 1) -> InputSchema:
    """``bins`` bins of equal width between a feature's least and greatest value in training (thesis B.1).

    Values beyond those fall in the outer bins. All measurements are taken to be non-negative.
    """
    features = []
    for name in dataset.features:
        column = dataset.columns[name][split.training]
        features.append(_number(name, column, np.linspace(column.min(), column.max(), bins + 1)[1:-1], "one-hot-bins"))
    return learnt_schema(dataset, split, features, title, f"{bins} equal-width bins a feature, one-hot", version)


def threshold_schema(
    dataset: Dataset,
    split: Split,
    *,
    thresholds: int,
    spacing: Literal["quantile", "equal"],
    title: str,
    version: int,
) -> InputSchema:
    """Up to ``thresholds`` thresholds a feature, at its quantiles in training or equally far from one another.

    Quantiles that are the same make one threshold. All measurements are taken to be non-negative.
    """
    features = []
    for name in dataset.features:
        column = dataset.columns[name][split.training]
        equal = np.linspace(column.min(), column.max(), thresholds + 2)[1:-1]
        edges = equal if spacing == "equal" else quantiles(column, thresholds)
        features.append(_number(name, column, edges, "thresholds"))
    where = "at quantiles" if spacing == "quantile" else "equally spaced"
    return learnt_schema(dataset, split, features, title, f"up to {thresholds} thresholds a feature, {where}", version)


def diabetes_schema(dataset: Dataset, split: Split) -> InputSchema:
    """Numbers in bins and categories one-hot (thesis B.1), with as many categories as give about 1,704 bits.

    The bins end at deciles, not at equal distances as in the thesis: most counts are 0 or 1 and a few are large. Of
    the categories, those are kept that are frequent enough in training; the others and missing values share a bit.
    """
    training = {name: column[split.training] for name, column in dataset.columns.items()}
    numbers = {
        name: _number(name, column, quantiles(column, _DIABETES_BINS - 1), "one-hot-bins")
        for name, column in training.items()
        if column.dtype != object
    }
    counts = {name: Counter(column.tolist()) for name, column in training.items() if column.dtype == object}
    for count in counts.values():
        del count[""]
    fixed = sum(feature.bits for feature in numbers.values()) + len(counts)
    minimum = _minimum_count([n for count in counts.values() for n in count.values()], _DIABETES_BITS - fixed)
    features = [numbers[name] if name in numbers else _category(name, counts[name], minimum) for name in training]
    description = (
        f"numbers in up to {_DIABETES_BINS} bins between quantiles, one-hot; "
        f"categories that {minimum} training rows have, one-hot, and a bit for any other"
    )
    return learnt_schema(
        dataset, split, features, "Readmission of a diabetic patient after a stay in hospital", description
    )


def image_schema(
    dataset: Dataset,
    split: Split,
    *,
    thresholds: Sequence[float],
    standardised: bool,
    framing: Literal["digit", "whole"],
    title: str,
    version: int,
) -> InputSchema:
    """Thresholds a pixel of the data set's only column, which are pictures."""
    (name,) = dataset.features
    _, height, width = dataset.columns[name].shape
    feature = ImageFeature(
        name=name,
        height=height,
        width=width,
        thresholds=tuple(thresholds),
        standardised=standardised,
        framing=framing,
    )
    units = "standard deviations from a picture's mean" if standardised else "grey levels"
    description = f"a bit a pixel and threshold, at {', '.join(f'{at:g}' for at in thresholds)} {units}"
    return learnt_schema(dataset, split, [feature], title, description, version)


_CANCER_TITLE = "Breast tumour, from 30 measurements of its cells"


def _thesis_cancer(dataset: Dataset, split: Split) -> InputSchema:
    """The thesis's encoding: 30 features in 3 equal-width bins, 90 bits."""
    return equal_width_schema(dataset, split, bins=3, title=_CANCER_TITLE)


def _cancer(dataset: Dataset, split: Split) -> InputSchema:
    """A finer one, in which a ternary neuron can follow each feature: 31 quantiles, up to 930 bits."""
    return threshold_schema(dataset, split, thresholds=31, spacing="quantile", title=_CANCER_TITLE, version=2)


def _mnist(dataset: Dataset, split: Split) -> InputSchema:
    """Thresholds that quarter the grey levels."""
    return image_schema(
        dataset,
        split,
        thresholds=(64.0, 128.0, 192.0),
        standardised=False,
        framing="digit",
        title="Handwritten digit",
        version=1,
    )


def _faces(dataset: Dataset, split: Split) -> InputSchema:
    """Thresholds at the quartiles of the pixels of the standardised training pictures."""
    pictures = dataset.columns["image"][split.training]
    quartiles = np.quantile(standardise(pictures.reshape(len(pictures), -1)), (0.25, 0.5, 0.75))
    return image_schema(
        dataset,
        split,
        thresholds=[round(float(quartile), 3) for quartile in quartiles],
        standardised=True,
        framing="whole",
        title="Gender of a person, from a picture of the face",
        version=1,
    )


_LEARNERS: dict[str, Callable[[Dataset, Split], InputSchema]] = {
    "breast-cancer/v1": _thesis_cancer,
    "breast-cancer/v2": _cancer,
    "diabetes/v1": diabetes_schema,
    "faces/v1": _faces,
    "mnist/v1": _mnist,
}


def _number(
    name: str, column: NDArray[np.float64], edges: NDArray[np.float64], kind: Literal["one-hot-bins", "thresholds"]
) -> NumberFeature:
    low, high = float(column.min()), float(column.max())
    return NumberFeature(
        name=name,
        kind=kind,
        edges=tuple(float(edge) for edge in edges),
        minimum=0.0,
        maximum=_PLAUSIBLE_FACTOR * high,
        description=f"{low:g} to {high:g} in training",
    )


def _minimum_count(counts: list[int], wanted: int) -> int:
    """The count from which on values are kept so that their number is nearest to ``wanted``."""
    ordered = np.sort(counts)
    levels = np.unique(ordered)
    kept = len(ordered) - np.searchsorted(ordered, levels)
    return int(levels[np.abs(kept - wanted).argmin()])


def _category(name: str, counts: Counter[str], minimum: int) -> CategoryFeature:
    """The values with at least this count, or the commonest of all."""
    ((commonest, _),) = counts.most_common(1)
    kept = sorted(text for text, count in counts.items() if count >= minimum or text == commonest)
    return CategoryFeature(name=name, values=tuple(kept), other=True, description=f"{len(counts)} values in training")
