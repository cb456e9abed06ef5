"""What small changes of a record can do, and how far the attacks are to be believed (thesis 3.2)."""

from __future__ import annotations

from typing import Literal

from epaas_shared.report.measures import Count, Finite, Rate, Section, Share

Norm = Literal["linf-pixels", "linf-numbers", "bits", "columns"]


class Threat(Section):
    """What an adversary may do to a record."""

    norm: Norm
    """``linf-pixels``: every pixel by at most the budget, a share of the range from black to white. ``linf-numbers``:
    every number by at most the budget, in standard deviations of the training rows. ``bits``: so many encoded bits, as
    the values of a column allow. ``columns``: so many columns take any value that they may have."""
    description: str
    budgets: tuple[Finite, ...]


class Point(Section):
    """One budget of an attack."""

    budget: Finite
    accuracy: Rate
    """Share of rows that are still right: at the last step, or at all of them where an attack stops at success."""
    changed: Share | None = None
    """Share of rows whose prediction differs from that of the clean row (1 - equation 3.16)."""


class Step(Section):
    """One step of an iterative attack at one budget (equations 3.15 and 3.16)."""

    step: Count
    instantaneous: Share
    cumulative: Share


class Attack(Section):
    """One attack on the same rows, over growing budgets."""

    name: str
    library: str
    """Which software made it, with its version."""
    knowledge: Literal["none", "decisions", "scores", "transfer", "white box"]
    gradient: Literal["none", "naive", "straight-through", "surrogate"]
    """``naive`` differentiates the network as it is, whose steps have no slope."""
    goal: Literal["untargeted", "targeted", "least likely class"] = "untargeted"
    stops_at_success: bool
    settings: dict[str, int | Finite | str | bool]
    rows: Count
    points: tuple[Point, ...]
    steps: tuple[Step, ...] = ()
    """At the budget ``settings["steps_budget"]``, for iterative attacks."""


class MinimalPerturbation(Section):
    """How far the nearest found misclassification is."""

    attack: str
    library: str
    rows: Count
    """Rows that were right before."""
    found: Share
    """Share of those for which one was found."""
    median: Finite | None
    """Of the distances of those found, in the norm of the threat."""
    rho: Finite | None
    """Mean of ||change||2 / ||record||2 over those found (thesis 6.4, rho)."""


class Certificate(Section):
    """A proof, not an attack: rows whose prediction no change within the budget can alter."""

    name: str
    argument: str
    """Why it holds, in words."""
    exact: bool
    """Whether rows without a proof can certainly be altered."""
    points: tuple[Point, ...]
    """``accuracy`` is the share of rows that are right and proven."""


class Check(Section):
    """A check of the attacks: whether a low success is the model's doing or the attack's (Carlini et al. 2019)."""

    name: str
    subject: Literal["naive gradients", "evaluation"]
    passed: bool
    detail: str


class ThreatEvaluation(Section):
    """Everything about one threat model, on the same rows."""

    threat: Threat
    rows: Count
    attacks: tuple[Attack, ...]
    worst: tuple[Point, ...]
    """A row counts as right only if no attack altered it at this budget or a smaller one."""
    minimal: tuple[MinimalPerturbation, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    checks: tuple[Check, ...] = ()

    @property
    def believable(self) -> bool:
        """Whether all checks of the evaluation as a whole passed."""
        return all(check.passed for check in self.checks if check.subject == "evaluation")


class Robustness(Section):
    """One evaluation a threat model."""

    evaluations: tuple[ThreatEvaluation, ...]
    verdict: str
    """In one sentence: what was found, and whether the checks say that it may be believed."""
    warnings: tuple[str, ...] = ()
