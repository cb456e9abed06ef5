"""The checks flag evaluations that were made up to be wrong, each for its own reason, and pass a sound one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from picture_making import SIDE, Smooth, quadrants
from torch import Tensor, nn

from epaas_models.reliability.robustness.gradient_checks import Evidence, checks, zero_gradients
from epaas_models.reliability.robustness.outcomes import Gradient, Knowledge, Outcome
from epaas_models.reliability.straight_through import pictures_of

ROWS = 200
BUDGETS = (0.1, 0.2, 0.3)


def wrong(*shares: float) -> NDArray[np.bool_]:
    """The first so many of the rows are wrong at each budget."""
    return np.array([np.arange(ROWS) < share * ROWS for share in shares])


def outcome(
    name: str, *shares: float, knowledge: Knowledge = "white box", gradient: Gradient = "straight-through"
) -> Outcome:
    table = wrong(*shares)
    return Outcome(name, "a test", knowledge, gradient, BUDGETS, table, table & ~wrong(0.05), stops_at_success=True)


ITERATIVE = outcome("Iter-FGSM", 0.3, 0.7, 0.95)
SOUND = Evidence(
    subject="evaluation",
    zero_gradients=0.0,
    clean=wrong(0.05)[0],
    one_step=outcome("FGSM", 0.2, 0.5, 0.7),
    iterative=ITERATIVE,
    white_box=[ITERATIVE],
    without_gradients=[
        outcome("FGSM", 0.1, 0.2, 0.4, knowledge="transfer", gradient="surrogate"),
        outcome("Square", 0.25, 0.6, 0.9, knowledge="scores", gradient="none"),
    ],
    noise=outcome("random noise", 0.05, 0.06, 0.1, knowledge="none", gradient="none"),
    far=(0.5, wrong(1.0)[0]),
    more_steps=((40, wrong(0.3)[0]), (200, wrong(0.32)[0])),
)


def failed(evidence: Evidence) -> list[str]:
    return [check.name for check in checks(evidence) if not check.passed]


def test_a_sound_evaluation_passes_all_checks() -> None:
    assert failed(SOUND) == []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"zero_gradients": 0.5}, "there are gradients"),
        ({"one_step": outcome("FGSM", 0.2, 0.5, 1.0)}, "many steps are at least as strong as one"),
        (
            {"without_gradients": [outcome("Square", 0.6, 0.7, 0.95, knowledge="scores", gradient="none")]},
            "gradients are at least as strong as Square (scores)",
        ),
        ({"noise": outcome("random noise", 0.05, 0.9, 0.9)}, "random noise is weaker"),
        ({"far": (0.5, wrong(0.8)[0])}, "a large budget leaves next to nothing right"),
        ({"more_steps": ((40, wrong(0.3)[0]), (200, wrong(0.5)[0]))}, "more steps do not help much"),
    ],
)
def test_each_check_flags_what_it_is_for(change: dict[str, object], name: str) -> None:
    assert failed(replace(SOUND, **change)) == [name]  # type: ignore[arg-type]


def test_accuracy_that_rises_with_the_budget_is_flagged() -> None:
    rising = outcome("Iter-FGSM", 0.3, 0.2, 0.95)
    weak = outcome("FGSM", 0.2, 0.15, 0.7)
    evidence = replace(SOUND, iterative=rising, one_step=weak, white_box=[rising], without_gradients=[])
    assert failed(evidence) == ["accuracy falls as the budget grows"]


def test_a_masked_model_fails_although_nothing_gets_worse() -> None:
    still = outcome("Iter-FGSM", 0.05, 0.05, 0.05)
    masked = replace(
        SOUND,
        zero_gradients=1.0,
        one_step=still,
        iterative=still,
        white_box=[still],
        far=(0.5, wrong(0.05)[0]),
        more_steps=((40, wrong(0.05)[0]), (200, wrong(0.05)[0])),
    )
    assert len(failed(masked)) == len(checks(masked)) - 1  # more steps help as little as few


def test_a_difference_of_one_row_is_chance() -> None:
    one_more = outcome("Square", 0.305, 0.705, 0.955, knowledge="scores", gradient="none")
    assert failed(replace(SOUND, without_gradients=[one_more])) == []


def test_attacks_on_fewer_rows_are_compared_on_those() -> None:
    """Of the first 20 rows, which are the easiest, both make all wrong."""
    few = replace(ITERATIVE, wrong=ITERATIVE.wrong[:, :20], changed=ITERATIVE.changed[:, :20])
    other = outcome("HopSkipJump", 1.0, 1.0, 1.0, knowledge="decisions", gradient="none")
    assert failed(replace(SOUND, white_box=[few], without_gradients=[other])) == []
    assert failed(replace(SOUND, without_gradients=[other])) != []


class _Halting(nn.Module):
    """Has no gradient for pictures that begin with white."""

    def __init__(self) -> None:
        super().__init__()
        self.smooth = Smooth()

    def forward(self, pictures: Tensor) -> Tensor:
        varied = pictures * (pictures[:, :, :1, :1] < 1)
        return self.smooth(varied)


def test_the_share_of_rows_without_a_gradient_is_counted() -> None:
    levels, labels = quadrants(10, seed=0)
    levels[:3, 0, 0] = 255.0
    pictures = pictures_of(levels)
    assert pictures.shape == (10, 1, SIDE, SIDE)
    assert zero_gradients(_Halting().eval(), pictures, torch.from_numpy(labels)) == 0.3
    assert not pictures.requires_grad
