"""The losses of adversarial training and TRADES, by hand, and what they do to a network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch import nn
from torch.nn import functional

from epaas_models.experiments.learning import Objective
from epaas_models.label_noise.adversarial_training import (
    adversarial_training,
    divergence,
    evaluating,
    natural,
    trades,
)
from epaas_models.label_noise.pgd import Threat, adversarial_errors

FAR = Threat(budget=0.3, step=0.1, steps=10, low=None, high=None)


def problem() -> tuple[nn.Linear, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return nn.Linear(5, 2), torch.randn(16, 5), torch.randint(0, 2, (16,))


def test_divergence_is_that_of_kullback_and_leibler() -> None:
    random = np.random.default_rng(0)
    one, other = random.normal(size=(7, 4)), random.normal(size=(7, 4))
    by_hand = (softmax(one, axis=1) * (log_softmax(one, axis=1) - log_softmax(other, axis=1))).sum()
    assert float(divergence(torch.from_numpy(one), torch.from_numpy(other))) == pytest.approx(by_hand)


def test_adversarial_training_learns_from_the_worst_rows() -> None:
    """On a linear network they are known, and with them the loss."""
    network, inputs, labels = problem()
    worst = inputs + 0.3 * (network.weight[1 - labels] - network.weight[labels]).detach().sign()
    by_hand = functional.cross_entropy(network(worst), labels)
    loss = adversarial_training(FAR)(network, inputs, labels, 0)
    assert loss.item() == pytest.approx(by_hand.item(), abs=1e-5)
    assert loss.item() > natural(network, inputs, labels, 0).item()


def test_trades_is_the_loss_of_clean_rows_and_how_far_answers_move() -> None:
    """Two classes, linear: the divergence is greatest at one of the two far corners."""
    network, inputs, labels = problem()
    corner = (network.weight[0] - network.weight[1]).detach().sign()
    clean = network(inputs).detach().numpy()
    ends = [network(inputs + sign * 0.3 * corner).detach().numpy() for sign in (1, -1)]
    apart = [
        (softmax(clean, axis=1) * (log_softmax(clean, axis=1) - log_softmax(end, axis=1))).sum(axis=1) for end in ends
    ]
    entropy = -log_softmax(clean, axis=1)[np.arange(16), labels.numpy()].mean()
    loss = trades(FAR, tradeoff=0.25)(network, inputs, labels, 0).item()
    # Which corner a row is driven to is a matter of where it starts: between the least and the greatest of the two.
    assert (
        entropy + 4 * np.min(apart, axis=0).mean() - 1e-5 <= loss <= entropy + 4 * np.max(apart, axis=0).mean() + 1e-5
    )
    still = trades(FAR.model_copy(update={"budget": 0.0}))(network, inputs, labels, 0)
    assert still.item() == pytest.approx(entropy, abs=1e-5)


@pytest.mark.parametrize("objective", [adversarial_training(FAR), trades(FAR)])
def test_attacks_leave_running_statistics_and_modes_as_they_were(objective: object) -> None:
    """One batch moves the statistics once a forward pass of the loss, and not once a step of the attack."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).train()
    objective(network, torch.randn(16, 5), torch.randint(0, 2, (16,)), 0).backward()  # type: ignore[operator]
    assert int(network[1].num_batches_tracked) <= 2  # type: ignore[arg-type]
    assert all(module.training for module in network.modules())
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_modes_come_back_after_an_error() -> None:
    network = nn.Linear(2, 2).train()

    def attack() -> None:
        with evaluating(network):
            assert not network.training
            raise RuntimeError

    with pytest.raises(RuntimeError):
        attack()
    assert network.training


@pytest.mark.parametrize("objective", [adversarial_training, trades])
def test_it_learns_from_the_feature_that_the_threat_cannot_turn(objective: Callable[[Threat], Objective]) -> None:
    """Tsipras et al. 2019: one feature is right nine times in ten and great, twenty are always right and small."""
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 2, (400,), generator=random)
    signs = (2 * labels - 1).float()[:, None]
    great = signs * (1 - 2 * (torch.rand(400, 1, generator=random) < 0.1).float())
    inputs = torch.cat([great, 0.2 * signs.expand(400, 20)], dim=1)
    threat = Threat(budget=0.3, step=0.2, steps=4, low=None, high=None)

    def errors(aim: Objective) -> tuple[float, float]:
        torch.manual_seed(0)
        network = nn.Linear(21, 2)
        optimiser = torch.optim.SGD(network.parameters(), lr=0.3)
        for _ in range(60):
            optimiser.zero_grad()
            aim(network, inputs, labels, 0).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        wrong = adversarial_errors(network, inputs, labels, threat, seed=0)
        clean = network(inputs).argmax(dim=1) != labels
        return clean.float().mean().item(), wrong.float().mean().item()

    clean, attacked = errors(natural)
    assert (clean, attacked) == (0, 1)
    robust_clean, robust_attacked = errors(objective(threat))
    assert robust_attacked < 0.2
    assert robust_clean == pytest.approx(robust_attacked)
