"""Which codes a record can take when its numbers or grey levels move by at most so much.

The ball is that of double precision: a value v may become any number from v - distance to v + distance, as they are
rounded, and stays within what its feature allows. Knows no networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epaas_models.reliability.subject import Columns
from epaas_shared.features import WHITE, Feature, ImageFeature, NumberFeature, standardise
from epaas_shared.layers import Integers
from epaas_shared.schema import InputSchema

_ROUNDING = 1e-6
"""Grey levels by which a standardised pixel is held to be nearer to its threshold than it is: far more than what
double precision can err over a picture."""


@dataclass(frozen=True)
class Reach:
    """The least and the greatest code of each group that records can take, each (n, groups)."""

    low: Integers
    high: Integers

    @property
    def fixed(self) -> NDArray[np.bool_]:
        """Whether no bit of a record can change, (n,)."""
        alone: NDArray[np.bool_] = (self.low == self.high).all(axis=1)
        return alone


def reachable(schema: InputSchema, columns: Columns, distances: Mapping[str, float]) -> Reach:
    """What checked values can become when feature ``name`` moves by at most ``distances[name]``, in its own units.

    Features that ``distances`` leaves out stay as they are; categories cannot move. Exact, except for standardised
    pictures: of those no code that can be reached is missing, but some cannot.
    """
    parts = [_codes(feature, columns[feature.name], distances.get(feature.name, 0.0)) for feature in schema.features]
    return Reach(*(np.concatenate(ends, axis=1) for ends in zip(*parts, strict=True)))


def _codes(feature: Feature, values: NDArray[Any], distance: float) -> tuple[Integers, Integers]:
    if isinstance(feature, ImageFeature):
        levels = values.reshape(len(values), feature.pixels).astype(np.float64)
        low, high = np.maximum(levels - distance, 0), np.minimum(levels + distance, WHITE)
        if feature.standardised and distance > 0:
            return _standardised(levels, low, high, np.array(feature.thresholds))
        if feature.standardised:
            low = high = standardise(levels)
        return _reached(feature.thresholds, low), _reached(feature.thresholds, high)
    if isinstance(feature, NumberFeature):
        numbers = values[:, None].astype(np.float64)
        low, high = np.maximum(numbers - distance, feature.minimum), np.minimum(numbers + distance, feature.maximum)
        return _reached(feature.edges, low), _reached(feature.edges, high)
    if distance > 0:
        raise ValueError(f"feature {feature.name}: a category cannot move by a distance")
    fixed = feature.encode(values).argmax(axis=1).astype(np.int64)[:, None]
    return fixed, fixed


def _reached(edges: tuple[float, ...], values: NDArray[np.float64]) -> Integers:
    """How many edges are at or below each value."""
    return np.searchsorted(np.array(edges), values, side="right").astype(np.int64)


def _standardised(
    levels: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64], thresholds: NDArray[np.float64]
) -> tuple[Integers, Integers]:
    """Least and greatest codes of standardised pictures (n, pixels) whose pixels move between ``low`` and ``high``.

    Mean m and deviation s move with the picture x. Bit t of pixel i is set if f(x) = x_i - m(x) - t s(x) >= 0. For a
    change d of the picture, m(x + d) = m(x) + m(d), and since s is a seminorm, |s(x + d) - s(x)| <= s(d). Thus

        |f(x + d) - f(x) - d_i| <= |m(d)| + |t| s(d) <= sqrt(1 + t^2) sqrt(m(d)^2 + s(d)^2) = sqrt(1 + t^2) rms(d)

    by Cauchy and Schwarz, and rms(d) is at most that of the farthest move of every pixel. A picture of one colour is
    standardised to zeros instead; its f is 0, so that where one is within reach, no bit is taken to be certain.
    """
    farthest = np.maximum(high - levels, levels - low)
    margin = np.sqrt((farthest**2).mean(axis=1)) + _ROUNDING
    centred, deviation = levels - levels.mean(axis=1, keepdims=True), levels.std(axis=1, keepdims=True)
    least, greatest = np.zeros(levels.shape, np.int64), np.full(levels.shape, len(thresholds))
    for place, threshold in enumerate(thresholds):
        now = centred - threshold * deviation
        most = np.hypot(1, threshold) * margin[:, None]
        least[now + (low - levels) - most >= 0] = place + 1
        # A value below one threshold is below all later ones, so the first threshold that is out of reach counts.
        beyond = now + (high - levels) + most < 0
        greatest[beyond] = np.minimum(greatest[beyond], place)
    return least, greatest
