"""Carries out attacks over growing budgets and has every picture that they come up with judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from torch import Tensor

from epaas_models.reliability.robustness.attacked_pictures import AttackedPictures
from epaas_models.reliability.robustness.outcomes import Goal, Gradient, Knowledge, Outcome, Settings, steps_of
from epaas_shared.report.robustness import Step

Tick = Callable[[str], None]
"""Told what is being done, once a budget of an attack."""


@dataclass(frozen=True)
class Plan:
    """One attack on rows. ``pictures`` takes a budget and gives the pictures of all rows after each step of the attack,
    or of each of several tries."""

    name: str
    library: str
    knowledge: Knowledge
    gradient: Gradient
    rows: AttackedPictures
    pictures: Callable[[float], Iterable[Tensor]]
    counts: Literal["last", "any", "both"] = "last"
    """What succeeds: the last pictures, any of them (an attack that stops at success), or a report of either."""
    goal: Goal = "untargeted"
    settings: Settings = field(default_factory=dict)
    steps_budget: float | None = None
    """The budget whose steps are told one by one."""


def carry_out(plans: Sequence[Plan], budgets: tuple[float, ...], tick: Tick) -> list[Outcome]:
    """The outcomes of all attacks, in their order."""
    return [outcome for plan in plans for outcome in _carried_out(plan, budgets, tick)]


def _carried_out(plan: Plan, budgets: tuple[float, ...], tick: Tick) -> Iterator[Outcome]:
    rows = plan.rows
    steps: tuple[Step, ...] = ()
    last_wrong, last_changed, any_wrong, any_changed = [], [], [], []
    for budget in budgets:
        tick(f"{plan.name} within {budget:g}")
        predictions = np.array([rows.judged(pictures, budget) for pictures in plan.pictures(budget)])
        # What is wrong unattacked counts as wrong whatever an attack makes of it.
        wrong, changed = (predictions != rows.labels) | (rows.clean != rows.labels), predictions != rows.clean
        last_wrong.append(wrong[-1])
        last_changed.append(changed[-1])
        any_wrong.append(wrong.any(axis=0))
        any_changed.append(changed.any(axis=0))
        if budget == plan.steps_budget:
            steps = steps_of(changed)
    results = {"last": (last_wrong, last_changed), "any": (any_wrong, any_changed)}
    for counts in ("last", "any") if plan.counts == "both" else (plan.counts,):
        all_wrong, all_changed = results[counts]
        yield Outcome(
            name=plan.name,
            library=plan.library,
            knowledge=plan.knowledge,
            gradient=plan.gradient,
            budgets=budgets,
            wrong=np.array(all_wrong),
            changed=np.array(all_changed),
            stops_at_success=counts == "any",
            goal=plan.goal,
            settings=plan.settings,
            steps=steps if counts == "last" else (),
        )
