"""Sensitivity and complexity of float networks, by hand and by finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from matrices_making import normal, seeds, stable_rank_by_svd
from torch import nn

from epaas_models.experiments.stable_rank.measures import (
    jac_norm,
    jacobian_norms,
    layer_spectra,
    log_complexity,
    noise_sensitivity,
    pair_lipschitz,
)


def linear(seed: int, outputs: int = 3, inputs: int = 4) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, bias=False)
    layer.weight = nn.Parameter(normal(seed, (outputs, inputs)).float())
    return layer


def small_network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4)).eval()


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_noise_sensitivity_of_a_linear_map_is_known_and_at_least_its_stable_rank(seed: int) -> None:
    """||x||^2 ||W||_F^2 / ||W x||^2 (Arora et al. 2018, Proposition 3.1), as the mean over many rows that are one."""
    layer, row = linear(seed), normal(seed + 1, (4,)).float()
    weight = layer.weight.detach().double()
    expected = float((row.norm() * weight.norm() / (weight @ row.double()).norm()) ** 2)
    found = noise_sensitivity(layer, row.repeat(4000, 1), draws=2, seed=seed).mean()
    assert found == pytest.approx(expected, rel=0.1)
    assert expected >= stable_rank_by_svd(weight) * (1 - 1e-6)


def test_longer_inputs_get_longer_noise() -> None:
    layer, inputs = linear(1), normal(2, (3, 4)).float()
    assert noise_sensitivity(layer, 10 * inputs) == pytest.approx(noise_sensitivity(layer, inputs), rel=1e-4)


def test_noise_is_drawn_by_the_seed() -> None:
    layer, inputs = linear(0), torch.ones(2, 4)
    assert (noise_sensitivity(layer, inputs, seed=1) == noise_sensitivity(layer, inputs, seed=1)).all()
    assert (noise_sensitivity(layer, inputs, seed=1) != noise_sensitivity(layer, inputs, seed=2)).all()


def test_slopes_of_a_linear_map_are_its_norm_and_those_of_pairs_are_no_steeper() -> None:
    layer, inputs = linear(3), normal(4, (7, 4)).float()
    norm = np.linalg.norm(layer.weight.detach().numpy(), 2)
    assert jacobian_norms(layer, inputs) == pytest.approx(np.full(7, norm), rel=1e-5)
    pairs = pair_lipschitz(layer, inputs)
    first = (layer(inputs[0]) - layer(inputs[1])).norm() / (inputs[0] - inputs[1]).norm()
    assert len(pairs) == 21
    assert pairs[0] == pytest.approx(float(first.detach()), rel=1e-5)
    assert pairs.max() <= norm


def test_local_slopes_by_finite_differences() -> None:
    network, inputs = small_network().double(), normal(1, (3, 1, 3, 3))
    step = 1e-6
    moved = torch.eye(9, dtype=torch.float64).reshape(9, 1, 3, 3) * step
    for row, found in zip(inputs, jacobian_norms(network, inputs), strict=True):
        jacobian = ((network(row + moved) - network(row - moved)) / (2 * step)).detach().numpy().T
        assert found == pytest.approx(np.linalg.norm(jacobian, 2), rel=1e-6)


def test_jac_norm_by_finite_differences_at_every_layer() -> None:
    """Of two linear layers with a rectifier between them: by what each of them takes."""
    torch.manual_seed(5)
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).double()
    row = normal(2, (4,))
    label = int(network(row).argmax())

    def margin(hidden: torch.Tensor, layers: nn.Module) -> float:
        outputs = layers(hidden)
        others = outputs[[place for place in range(3) if place != label]]
        return float((outputs[label] - others.max()).detach())

    expected, step = 0.0, 1e-6
    for taken, rest in ((row, network), (network[:2](row).detach(), network[2])):
        moves = torch.eye(len(taken), dtype=torch.float64) * step
        slopes = [(margin(taken + m, rest) - margin(taken - m, rest)) / (2 * step) for m in moves]
        expected += float(taken.norm()) * float(np.linalg.norm(slopes))
    found = jac_norm(network, row[None], torch.tensor([label]))
    assert found == pytest.approx([expected / margin(row, network)], rel=1e-6)


def test_spectra_are_those_of_flattened_weights() -> None:
    network = small_network()
    convolution, dense = layer_spectra(network)
    assert convolution.spectral_norm == pytest.approx(
        np.linalg.norm(network[0].weight.detach().numpy().reshape(3, 4), 2), rel=1e-6
    )
    assert dense.stable_rank == pytest.approx(stable_rank_by_svd(network[4].weight.detach()), rel=1e-6)


def test_complexity_is_of_rows_classified_correctly() -> None:
    """By the formulas of 4.4.3, of one linear layer whose margins are known."""
    layer = nn.Linear(2, 2, bias=False)
    layer.weight = nn.Parameter(torch.tensor([[3.0, 0.0], [0.0, 1.0]]))
    inputs, labels = torch.tensor([[1.0, 1.0], [1.0, 1.0], [0.0, 2.0]]), torch.tensor([0, 1, 1])
    found = log_complexity(layer, inputs, labels, layer_spectra(layer))
    margin = np.array([2.0, 2.0])
    assert found.spec_fro == pytest.approx(np.log(9 * (10 / 9) / margin**2))
    assert found.spec_l1 == pytest.approx(np.log(9 * (4 / 3) ** 2 / margin**2))
    lengths, slopes = np.array([2**0.5, 2.0]), np.array([10**0.5, 10**0.5])
    assert found.jac_norm == pytest.approx(np.log(lengths * slopes / margin))
    with pytest.raises(ValueError, match="no row"):
        log_complexity(layer, inputs[1:2], labels[1:2], layer_spectra(layer))
