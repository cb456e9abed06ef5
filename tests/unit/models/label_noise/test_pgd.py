"""Projected gradient descent, against foolbox and against the exact optimum on linear networks."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pytest
import torch
from foolbox.attacks.projected_gradient_descent import (
    L2ProjectedGradientDescentAttack,
    LinfProjectedGradientDescentAttack,
)
from foolbox.criteria import Misclassification
from foolbox.models.pytorch import PyTorchModel
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from epaas_models.label_noise.pgd import Threat, adversarial_errors, pgd, project


def curved(inputs: int, classes: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(inputs, 16), nn.Tanh(), nn.Linear(16, classes)).eval()


def linear(seed: int) -> tuple[nn.Linear, Tensor, Tensor]:
    torch.manual_seed(seed)
    return nn.Linear(12, 2), torch.rand(30, 12), torch.randint(0, 2, (30,))


@pytest.mark.parametrize(
    ("norm", "attack"),
    [("linf", LinfProjectedGradientDescentAttack), ("l2", L2ProjectedGradientDescentAttack)],
)
def test_it_ends_where_foolbox_ends(norm: Literal["linf", "l2"], attack: Any) -> None:
    """From where rows are: the two draw their random starts differently."""
    network, inputs = curved(10, 3, seed=0), torch.rand(20, 10)
    labels = torch.randint(0, 3, (20,))
    threat = Threat(budget=0.3, step=0.07, steps=9, norm=norm, random_start=False)
    theirs = attack(steps=9, abs_stepsize=0.07, random_start=False).run(
        PyTorchModel(network, bounds=(0, 1), device="cpu"), inputs, Misclassification(labels), epsilon=0.3
    )
    assert torch.allclose(pgd(network, inputs, labels, threat), theirs, atol=1e-5)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31), budget=st.floats(0, 1), boxed=st.booleans())
def test_on_a_linear_network_it_finds_the_worst_row(seed: int, budget: float, boxed: bool) -> None:
    """Which is known: every input at the end of its interval that is against the label."""
    network, inputs, labels = linear(seed)
    low, high = (0.0, 1.0) if boxed else (None, None)
    threat = Threat(budget=budget, step=0.1, steps=25, low=low, high=high)
    attacked = pgd(network, inputs, labels, threat, torch.Generator().manual_seed(seed))
    against = (network.weight[1 - labels] - network.weight[labels]).detach().sign()
    worst = inputs + budget * against
    assert torch.allclose(attacked, worst.clamp(0, 1) if boxed else worst, atol=1e-5)


def test_on_a_linear_network_the_worst_of_an_l2_ball_lies_along_the_weights() -> None:
    network, inputs, labels = linear(3)
    threat = Threat(budget=0.5, step=0.2, steps=20, norm="l2", low=None, high=None)
    attacked = pgd(network, inputs, labels, threat, torch.Generator().manual_seed(0))
    against = (network.weight[1 - labels] - network.weight[labels]).detach()
    worst = inputs + 0.5 * against / against.norm(dim=1, keepdim=True)
    assert torch.allclose(attacked, worst, atol=1e-2)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**31), norm=st.sampled_from(["linf", "l2"]), budget=st.floats(0, 3))
def test_what_was_moved_is_in_the_ball_and_in_the_box(seed: int, norm: Literal["linf", "l2"], budget: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    inputs, moved = torch.rand(5, 2, 3, generator=generator), 3 * torch.randn(5, 2, 3, generator=generator)
    within = project(moved, inputs, Threat(budget=budget, step=1, steps=1, norm=norm))
    lengths = (within - inputs).flatten(1).norm(dim=1, p=torch.inf if norm == "linf" else 2)
    assert (lengths <= budget + 1e-5).all()
    assert (within >= 0).all()
    assert (within <= 1).all()
    inside = inputs + 1e-3 * budget * (0.5 - inputs)
    assert torch.allclose(project(inside, inputs, Threat(budget=budget, step=1, steps=1, norm=norm)), inside)


def test_the_error_under_attack_grows_with_the_budget_from_the_natural_error() -> None:
    network, inputs = curved(10, 3, seed=5), torch.rand(200, 10)
    labels = torch.randint(0, 3, (200,))
    errors = [
        adversarial_errors(network, inputs, labels, Threat(budget=budget, step=0.05, steps=10), seed=0, batch=64)
        for budget in (0, 0.05, 0.2, 0.8)
    ]
    assert torch.equal(errors[0], network(inputs).argmax(dim=1) != labels)
    shares = [float(wrong.float().mean()) for wrong in errors]
    assert all(less <= more for less, more in pairwise(shares))
    assert shares[0] < shares[-1]
    assert len(errors[0]) == 200


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_seed_decides_the_start_and_the_network_is_left_alone(norm: Literal["linf", "l2"]) -> None:
    network, inputs = curved(4, 2, seed=1), torch.rand(6, 4)
    labels, threat = (
        torch.zeros(6, dtype=torch.long),
        Threat(budget=0.2, step=1e-6, steps=1, norm=norm, low=None, high=None),
    )

    def attacked(seed: int) -> Tensor:
        return pgd(network, inputs, labels, threat, torch.Generator().manual_seed(seed))

    assert torch.equal(attacked(1), attacked(1))
    assert not torch.equal(attacked(1), attacked(2))
    moved = (attacked(1) - inputs).numpy()
    assert np.abs(moved).max() > 0.02
    assert all(parameter.grad is None for parameter in network.parameters())
