"""What small changes of all pixels can do to a network of pictures: the evaluation of the threat ``linf-pixels``.

Every success is judged by the whole way of a record. Owns what belongs together in a report; the attacks are chosen in
:mod:`epaas_models.reliability.robustness.picture_attacks`, and themselves checked in
:mod:`epaas_models.reliability.robustness.gradient_checks`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from epaas_models.reliability.robustness.attacked_pictures import AttackedPictures
from epaas_models.reliability.robustness.attacks import Surrogate
from epaas_models.reliability.robustness.campaign import carry_out
from epaas_models.reliability.robustness.gradient_checks import Evidence, checks, zero_gradients
from epaas_models.reliability.robustness.outcomes import Gradient, Outcome, worst_points
from epaas_models.reliability.robustness.picture_attacks import Arena
from epaas_models.reliability.robustness.picture_settings import PictureSettings
from epaas_models.reliability.robustness.slopes import misled, most_misleading, slopes
from epaas_models.reliability.straight_through import PictureTwin, Twin
from epaas_models.reliability.subject import Columns, Subject
from epaas_shared.features import Bits
from epaas_shared.report.robustness import Check, Threat, ThreatEvaluation

__all__ = ["PictureSettings", "Surrogate", "evaluate_pictures"]

Told = Callable[[str, int, int], None]
"""What is being done now, how many parts are done, and of how many."""

_MORE_STEPS = 5
"""How many times as many steps are tried to see whether there were enough."""


def evaluate_pictures(
    subject: Subject,
    columns: Columns,
    labels: NDArray[Any],
    *,
    reference_bits: Bits,
    surrogate: nn.Module | None,
    settings: PictureSettings,
    seed: int,
    progress: Told = lambda _what, _done, _total: None,
) -> ThreatEvaluation:
    """Everything about the threat ``linf-pixels``. Deterministic given ``seed``, which also draws the rows.

    ``columns`` are test rows of a schema of one picture, ``labels`` (n,) their class indices; ``reference_bits`` are
    encoded training rows, (m, inputs), a few hundred. ``surrogate`` takes pictures (n, 1, height, width) in [0, 1] to
    logits and is another network of the same task; without it nothing is transferred.
    """
    random = np.random.default_rng(seed)
    rows = AttackedPictures.sample(subject, columns, labels, settings.rows, random)
    progress("slopes", 0, 1)
    budget = settings.budgets[len(settings.budgets) // 2]
    candidates = most_misleading(slopes(subject, reference_bits), rows.first(settings.thorough_rows), budget)
    naive = PictureTwin(subject, Twin(subject, reference_bits, naive=True, unit=candidates[0].model.twin.unit))
    arena = Arena(rows, candidates, naive, surrogate, settings, int(random.integers(2**31)))

    plans, minimal_plans = arena.plans(), arena.minimal_plans()
    total = len(plans) * len(settings.budgets) + len(minimal_plans) + 2
    parts = iter(range(total))

    def tick(what: str) -> None:
        progress(what, next(parts), total)

    outcomes, minimal = carry_out(plans, settings.budgets, tick), []
    for plan in minimal_plans:
        tick(plan.name)
        found = plan.find()
        minimal.append(
            found.section(f"{plan.name}, {plan.gradient} gradients" if plan.gradient != "none" else plan.name)
        )
        outcomes.append(
            found.outcome(
                plan.name,
                settings.budgets,
                knowledge=plan.knowledge,
                gradient=plan.gradient,
                settings=plan.settings,
            )
        )

    verdicts: list[Check] = []
    pairs: tuple[tuple[Gradient, PictureTwin], ...] = (("naive", naive), ("straight-through", arena.twin))
    for gradient, model in pairs:
        tick(f"checks of {gradient} gradients")
        verdicts += checks(_evidence(arena, outcomes, gradient, model))
    progress("done", total, total)
    thorough = arena.thorough
    return ThreatEvaluation(
        threat=Threat(
            norm="linf-pixels",
            description="every pixel by at most the budget, a share of the range from black to white, and within it",
            budgets=settings.budgets,
        ),
        rows=len(rows),
        attacks=tuple(outcome.section() for outcome in outcomes),
        worst=worst_points(outcomes, thorough.clean != thorough.labels),
        minimal=tuple(minimal),
        checks=tuple(verdicts),
    )


def _evidence(arena: Arena, outcomes: Sequence[Outcome], gradient: Gradient, model: PictureTwin) -> Evidence:
    """What the attacks with these gradients did, and two more runs of Iter-FGSM."""
    settings, rows = arena.settings, arena.thorough

    def one(name: str, *, of: Gradient = gradient, stops: bool = False) -> Outcome:
        return next(o for o in outcomes if (o.name, o.gradient, o.stops_at_success) == (name, of, stops))

    def wrong(budget: float, steps: int) -> NDArray[np.bool_]:
        return misled(model, rows, budget=budget, steps=steps, step=settings.relative_step * budget)

    more = _MORE_STEPS * settings.steps
    return Evidence(
        subject="naive gradients" if gradient == "naive" else "evaluation",
        zero_gradients=zero_gradients(model, rows.pictures, torch.from_numpy(rows.labels)),
        clean=rows.clean != rows.labels,
        one_step=one("FGSM"),
        iterative=one("Iter-FGSM", stops=True),
        # AutoAttack has a part without gradients, which would hide that they are weaker.
        white_box=[o for o in outcomes if o.gradient == gradient and o.name != "AutoAttack"],
        without_gradients=[o for o in outcomes if o.knowledge in ("transfer", "scores", "decisions")],
        noise=one("random noise", of="none", stops=True),
        far=(settings.large_budget, wrong(settings.large_budget, settings.steps)),
        more_steps=(
            (settings.steps, wrong(settings.steps_budget, settings.steps)),
            (more, wrong(settings.steps_budget, more)),
        ),
    )
