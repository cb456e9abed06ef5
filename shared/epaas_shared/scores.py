"""The scale on which a model gives its scores: a few levels instead of the exact sums (P2).

Of its own, without numpy, since headers and HTTP documents carry it.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ScoreScale(BaseModel):
    """``2**bits`` levels of a sum: level q holds the sums from ``minimum + q * step`` up to the next level.

    Sums below the first level count as level 0, those beyond the last as the last. A score is in the units of the last
    layer's sums, whose zero is the neuron's threshold.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    bits: int = Field(ge=1, le=6, strict=True)
    minimum: int = Field(ge=-(2**31), lt=2**31, strict=True)
    step: int = Field(ge=1, lt=2**31, strict=True)

    @property
    def greatest_level(self) -> int:
        return (1 << self.bits) - 1

    def score(self, level: int) -> int:
        """The least sum of a level in 0..``greatest_level``."""
        return self.minimum + level * self.step
