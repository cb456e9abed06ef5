"""What attacks came to, row by row, and how a report adds it up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from epaas_models.reliability.intervals import wilson_interval
from epaas_shared.report.measures import Rate
from epaas_shared.report.robustness import Attack, Point, Step

Knowledge = Literal["none", "decisions", "scores", "transfer", "white box"]
Gradient = Literal["none", "naive", "straight-through", "surrogate"]
Goal = Literal["untargeted", "targeted", "least likely class"]
Settings = dict[str, int | float | str | bool]


@dataclass(frozen=True)
class Outcome:
    """One attack on the first rows. ``wrong`` and ``changed`` are (budgets, rows): whether a row's prediction is then
    not its class, and not what it was."""

    name: str
    library: str
    knowledge: Knowledge
    gradient: Gradient
    budgets: tuple[float, ...]
    wrong: NDArray[np.bool_]
    changed: NDArray[np.bool_]
    stops_at_success: bool
    goal: Goal = "untargeted"
    settings: Settings = field(default_factory=dict)
    steps: tuple[Step, ...] = ()

    @property
    def rows(self) -> int:
        return int(self.wrong.shape[1])

    def section(self) -> Attack:
        return Attack(
            name=self.name,
            library=self.library,
            knowledge=self.knowledge,
            gradient=self.gradient,
            goal=self.goal,
            stops_at_success=self.stops_at_success,
            settings=self.settings,
            rows=self.rows,
            points=tuple(
                Point(budget=budget, accuracy=rate(~wrong), changed=float(np.mean(changed)))
                for budget, wrong, changed in zip(self.budgets, self.wrong, self.changed, strict=True)
            ),
            steps=self.steps,
        )


def rate(right: NDArray[np.bool_]) -> Rate:
    """Share of rows with its interval."""
    low, high = wilson_interval(int(right.sum()), len(right))
    return Rate(value=float(right.mean()), interval=(low, high), rows=len(right))


def steps_of(changed: NDArray[np.bool_]) -> tuple[Step, ...]:
    """Instantaneous and cumulative accuracy (equations 3.15 and 3.16) of ``changed``, (steps, rows): whether a row's
    prediction after a step is not what it was before the first."""
    ever = np.logical_or.accumulate(changed, axis=0)
    return tuple(
        Step(step=number, instantaneous=float(1 - now.mean()), cumulative=float(1 - so_far.mean()))
        for number, (now, so_far) in enumerate(zip(changed, ever, strict=True), start=1)
    )


def altered(outcomes: Sequence[Outcome], rows: int) -> NDArray[np.bool_]:
    """Whether any attack made a row wrong at a budget or a smaller one, (budgets, rows), over the first ``rows``.

    An attack that was run on fewer rows counts where it was.
    """
    found = np.zeros((len(outcomes[0].budgets), rows), dtype=np.bool_)
    for outcome in outcomes:
        shared = min(rows, outcome.rows)
        found[:, :shared] |= outcome.wrong[:, :shared]
    accumulated: NDArray[Any] = np.logical_or.accumulate(found, axis=0)
    return accumulated


def worst_points(outcomes: Sequence[Outcome], clean_wrong: NDArray[np.bool_]) -> tuple[Point, ...]:
    """The worst of all attacks for each of the rows of ``clean_wrong`` (rows,), over growing budgets."""
    wrong = altered(outcomes, len(clean_wrong)) | clean_wrong
    return tuple(
        Point(budget=budget, accuracy=rate(~now)) for budget, now in zip(outcomes[0].budgets, wrong, strict=True)
    )
