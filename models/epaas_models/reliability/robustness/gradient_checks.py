"""Whether attacks that fail say something of the model or of themselves (Carlini et al. 2019, arXiv 1902.06705).

The same checks are run on an evaluation as a whole and on naive gradients alone, which they must flag on a network of
signs. Comparisons are between attacks on the same rows, and allow for two standard errors of the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from epaas_models.reliability.robustness.outcomes import Outcome, altered
from epaas_shared.report.robustness import Check

Judged = Literal["naive gradients", "evaluation"]

_FEW = 0.05
"""A share of rows that is next to none."""


@dataclass(frozen=True)
class Evidence:
    """What the checks look at. Arrays of rows say which are wrong then; rows are the first of the same everywhere."""

    subject: Judged
    zero_gradients: float
    """Share of rows with no gradient at all."""
    clean: NDArray[np.bool_]
    one_step: Outcome
    iterative: Outcome
    """From the picture itself, stopping at success."""
    white_box: Sequence[Outcome]
    """Every attack with these gradients."""
    without_gradients: Sequence[Outcome]
    """Transfer, scores, decisions."""
    noise: Outcome
    far: tuple[float, NDArray[np.bool_]]
    """A large budget, and the rows (n,) that are wrong within it."""
    more_steps: tuple[tuple[int, NDArray[np.bool_]], tuple[int, NDArray[np.bool_]]]
    """As many steps as were made and several times as many, each with the rows that are wrong after them."""


def zero_gradients(model: nn.Module, pictures: Tensor, labels: Tensor) -> float:
    """Share of pictures (n, 1, height, width) whose loss has no gradient in any pixel."""
    varied = pictures.clone().requires_grad_()
    loss = functional.cross_entropy(model(varied), labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, varied)
    return float((gradient.flatten(1) == 0).all(dim=1).double().mean())


def checks(evidence: Evidence) -> tuple[Check, ...]:
    """The verdicts, in the order in which a reader would ask."""
    return (
        _gradients_exist(evidence),
        _iterative_beats_one_step(evidence),
        *(_white_box_beats(evidence, other) for other in evidence.without_gradients),
        _noise_is_weakest(evidence),
        _falls_with_the_budget(evidence),
        _reaches_zero(evidence),
        _steps_suffice(evidence),
    )


def _check(evidence: Evidence, name: str, passed: bool | np.bool_, detail: str) -> Check:
    return Check(name=name, subject=evidence.subject, passed=bool(passed), detail=detail)


def _gradients_exist(evidence: Evidence) -> Check:
    share = evidence.zero_gradients
    detail = f"{share:.1%} of rows have no gradient at all" + (", so that an attack stands still" if share else "")
    return _check(evidence, "there are gradients", share <= _FEW, detail)


def _iterative_beats_one_step(evidence: Evidence) -> Check:
    many, one = _on_same_rows(evidence.iterative.wrong, evidence.one_step.wrong)
    works = evidence.one_step.changed.any() or evidence.iterative.changed.any()
    detail = f"{_shares(many)} right after many steps, {_shares(one)} after one"
    if not works:
        detail += "; neither changes any prediction"
    return _check(evidence, "many steps are at least as strong as one", works and not _any_behind(many, one), detail)


def _white_box_beats(evidence: Evidence, other: Outcome) -> Check:
    rows = min(other.rows, *(outcome.rows for outcome in evidence.white_box))
    mine, theirs = altered(evidence.white_box, rows), other.wrong[:, :rows]
    short = [_behind(strong, weak) for strong, weak in zip(mine, theirs, strict=True)]
    detail = (
        f"gradients leave {_shares(mine)} right, {other.name} ({other.knowledge}) {_shares(theirs)}, of {rows} rows"
    )
    name = f"gradients are at least as strong as {other.name} ({other.knowledge})"
    return _check(evidence, name, not any(short), detail)


def _noise_is_weakest(evidence: Evidence) -> Check:
    attacked, noise = _on_same_rows(evidence.iterative.wrong, evidence.noise.wrong)
    stronger = (attacked.sum(axis=1) > noise.sum(axis=1)).any()
    detail = f"random noise leaves {_shares(noise)} right, {evidence.iterative.name} {_shares(attacked)}"
    if not stronger:
        detail += "; nowhere is the attack stronger"
    return _check(evidence, "random noise is weaker", stronger and not _any_behind(attacked, noise), detail)


def _falls_with_the_budget(evidence: Evidence) -> Check:
    path = np.concatenate(_on_same_rows(evidence.clean[None], evidence.iterative.wrong))
    rises = [_behind(more, less) for less, more in pairwise(path)]
    falls = path[-1].sum() > path[0].sum()
    detail = f"{evidence.iterative.name}: {_share(path[0])} right unattacked, then {_shares(path[1:])}"
    return _check(evidence, "accuracy falls as the budget grows", falls and not any(rises), detail)


def _reaches_zero(evidence: Evidence) -> Check:
    budget, wrong = evidence.far
    detail = f"{_share(wrong)} right within {budget:g}, where next to none should be"
    return _check(evidence, "a large budget leaves next to nothing right", np.mean(~wrong) <= _FEW, detail)


def _steps_suffice(evidence: Evidence) -> Check:
    (few, wrong), (more, wrong_after_more) = evidence.more_steps
    gained, tolerance = _difference(wrong_after_more, wrong)
    detail = f"{_share(wrong)} right after {few} steps, {_share(wrong_after_more)} after {more}"
    return _check(evidence, "more steps do not help much", gained <= _FEW + tolerance, detail)


def _on_same_rows(some: NDArray[np.bool_], others: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Both (budgets, rows), cut to the rows that both have."""
    rows = min(some.shape[1], others.shape[1])
    return some[:, :rows], others[:, :rows]


def _any_behind(strong: NDArray[np.bool_], weak: NDArray[np.bool_]) -> bool:
    return any(_behind(*pair) for pair in zip(strong, weak, strict=True))


def _behind(strong: NDArray[np.bool_], weak: NDArray[np.bool_]) -> bool:
    """Whether the attack that should be stronger made fewer rows wrong, by more than chance."""
    ahead, tolerance = _difference(weak, strong)
    return ahead > tolerance


def _difference(some: NDArray[np.bool_], others: NDArray[np.bool_]) -> tuple[float, float]:
    """By which share of the same rows more are in ``some``, and two standard errors of that."""
    gaps = some.astype(np.float64) - others
    return float(gaps.mean()), float(2 * gaps.std() / np.sqrt(len(gaps)))


def _shares(wrong: NDArray[np.bool_]) -> str:
    return ", ".join(_share(row) for row in wrong)


def _share(wrong: NDArray[np.bool_]) -> str:
    return f"{np.mean(~wrong):.1%}"
