"""The scale on which a model gives its scores: a few levels instead of the exact sums (P2).

Of its own, without numpy, since headers and HTTP documents carry it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field


def _absent(value: object) -> bool:
    return value is None


class ScoreScale(BaseModel):
    """``2**bits`` levels of a sum: level q holds the sums from ``minimum + q * step`` up to the next level.

    Sums below the first level count as level 0, those beyond the last as the last. A score is in the units of the last
    layer's sums, whose zero is the neuron's threshold.

    ``temperature``, in the same units, was fitted on validation data: it makes probabilities of scores. A scale without
    it has scores that are not calibrated.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    bits: int = Field(ge=1, le=6, strict=True)
    minimum: int = Field(ge=-(2**31), lt=2**31, strict=True)
    step: int = Field(ge=1, lt=2**31, strict=True)
    # Left out where there is none, so that documents without it keep their bytes and digests.
    temperature: float | None = Field(None, gt=0, allow_inf_nan=False, strict=True, exclude_if=_absent)

    @property
    def greatest_level(self) -> int:
        return (1 << self.bits) - 1

    def score(self, level: int) -> int:
        """The least sum of a level in 0..``greatest_level``."""
        return self.minimum + level * self.step

    def probabilities(self, levels: Sequence[int]) -> tuple[float, ...] | None:
        """The probability of each class from its level, one or more in 0..``greatest_level``; None if not calibrated.

        The softmax of score / ``temperature`` (Guo et al. 2017, "On calibration of modern neural networks"). Where in
        its level a score is taken does not matter: the middle is the least sum and half a step more for every class,
        and softmax knows differences only. That the first and last level are open is for the temperature to learn,
        which is fitted on levels, not on the exact sums.
        """
        if self.temperature is None:
            return None
        best = max(levels)
        odds = [math.exp((level - best) * self.step / self.temperature) for level in levels]
        total = sum(odds)
        return tuple(share / total for share in odds)
