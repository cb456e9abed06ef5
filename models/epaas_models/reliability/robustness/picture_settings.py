"""How thoroughly pictures are attacked."""

from __future__ import annotations

from itertools import pairwise
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class PictureSettings(BaseModel):
    """Attacks, rows and steps; as it is, a few minutes for a small network on two cores."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    budgets: tuple[float, ...] = Field(default=(0.05, 0.1, 0.2, 0.3), min_length=1)
    """Growing shares of the range from black to white."""
    rows: int = Field(default=500, ge=1)
    """For the attacks of one step and of a few."""
    thorough_rows: int = Field(default=50, ge=1)
    """The first of those, for the costly attacks; the worst of all attacks is over these."""
    decision_rows: int = Field(default=30, ge=1)
    """The first of those, for the attack that sees decisions only."""
    steps: int = Field(default=40, ge=1)
    relative_step: float = Field(default=0.1, gt=0)
    """Length of a step as a share of the budget."""
    steps_budget: float = 0.1
    """The budget whose steps are told one by one; one of ``budgets``."""
    large_budget: float = 0.5
    """Within which next to nothing should be right."""
    noise_draws: int = Field(default=10, ge=1)
    square_queries: int = Field(default=2000, ge=1)
    deepfool_steps: int = Field(default=50, ge=1)
    decision_steps: int = Field(default=20, ge=1)
    decision_queries: int = Field(default=100, ge=1)
    """Of the first step; they grow with the square root of the step."""
    autoattack: bool = True

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if any(low >= high for low, high in pairwise((0.0, *self.budgets, 1.0))):
            raise ValueError("budgets must grow, and be over 0 and under 1")
        if self.steps_budget not in self.budgets:
            raise ValueError("steps_budget must be one of budgets")
        return self

    @classmethod
    def quick(cls) -> Self:
        """For a first look: seconds instead of minutes."""
        return cls(
            budgets=(0.1, 0.3),
            rows=50,
            thorough_rows=20,
            decision_rows=5,
            steps=8,
            relative_step=0.25,
            noise_draws=3,
            square_queries=200,
            deepfool_steps=10,
            decision_steps=4,
            decision_queries=20,
            autoattack=False,
        )
