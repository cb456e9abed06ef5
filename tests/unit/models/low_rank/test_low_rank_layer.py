"""The LR layer: its losses by hand, its gradients by differences, the rank of W by a whole decomposition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from epaas_models.low_rank.alternatives import Bottleneck, NuclearNorm
from epaas_models.low_rank.layer import LowRankLayer, norm_loss
from epaas_models.low_rank.penalised import Penalised, inputs_of


def layer_of(dimensions: int, rank: int, seed: int = 0, sampled: int | None = None, every: int = 10) -> LowRankLayer:
    torch.manual_seed(seed)
    return LowRankLayer(dimensions, rank, sampled=sampled, every=every)


def disturbed(layer: LowRankLayer, seed: int = 1) -> LowRankLayer:
    """With parameters as gradient steps leave them: neither symmetric nor of low rank."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in (layer.stored, layer.bias):
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return layer


def rank_of(layer: LowRankLayer) -> int:
    values = np.linalg.svd(layer.weight.detach().double().numpy(), compute_uv=False)
    return int((values > 1e-4 * values[0]).sum())


def test_the_penalty_is_the_equation_by_hand() -> None:
    layer = disturbed(layer_of(5, 2))
    layer.reconstruction, layer.norm = 0.3, 0.7
    activations = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    stored, bias = layer.stored.detach().numpy(), layer.bias.detach().numpy()
    weight = (stored + stored.T) / 2
    moved = [weight.T @ (row + bias) - (row + bias) for row in activations]
    reconstruction = np.mean([np.sum(row**2) for row in moved])
    norm = np.mean([abs(1 - np.sqrt(np.sum(row**2))) for row in activations])
    found = layer.penalty(torch.from_numpy(activations)).item()
    assert found == pytest.approx(0.3 * reconstruction + 0.7 * norm, rel=1e-5)


def test_its_gradients_are_those_of_differences() -> None:
    layer = disturbed(layer_of(4, 2)).double()
    activations = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()

    def penalty(activations: torch.Tensor, stored: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch.func.functional_call(
            Penalising(layer), {"layer.stored": stored, "layer.bias": bias}, (activations,)
        )
        return found

    assert torch.autograd.gradcheck(penalty, (activations, layer.stored, layer.bias))


class Penalising(nn.Module):
    def __init__(self, layer: LowRankLayer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, activations: torch.Tensor) -> torch.Tensor:
        return self.layer.penalty(activations)


def test_activations_of_zero_have_a_penalty_and_a_gradient() -> None:
    activations = torch.zeros(2, 3, requires_grad=True)
    loss = norm_loss(activations)
    loss.backward()
    assert loss.item() == 1
    assert activations.grad is not None
    assert torch.isfinite(activations.grad).all()


@settings(max_examples=25)
@given(st.integers(2, 10), st.integers(1, 10), st.integers(0, 100), st.booleans())
def test_a_cut_leaves_a_semidefinite_matrix_of_the_rank(size: int, rank: int, seed: int, exact: bool) -> None:
    rank = min(rank, size)
    layer = disturbed(layer_of(size, rank, seed, None if exact else 2 * rank), seed)
    layer.cut()
    stored = layer.stored.detach()
    values = torch.linalg.eigvalsh(stored.double())
    assert torch.allclose(stored, stored.T, atol=1e-5 * float(stored.norm()))
    assert rank_of(layer) <= rank
    assert values[0] >= -1e-4 * (1 + values[-1])


def test_an_exact_cut_is_the_truncated_decomposition() -> None:
    layer = layer_of(6, 2)
    with torch.no_grad():
        layer.stored.copy_(torch.diag(torch.tensor([0.5, 3.0, 0.1, 2.0, 0.2, 1.0])))
    layer.cut()
    assert torch.allclose(layer.weight, torch.diag(torch.tensor([0.0, 3.0, 0.0, 2.0, 0.0, 0.0])), atol=1e-6)


@pytest.mark.parametrize("sampled", [None, 6])
def test_the_rank_is_cut_every_so_many_steps(sampled: int | None) -> None:
    layer = layer_of(8, 3, sampled=sampled, every=3)
    for step in range(1, 7):
        disturbed(layer, seed=step)
        layer.after_step()
        assert (rank_of(layer) <= 3) == (step % 3 == 0)


def test_steps_are_counted_on_after_an_interruption() -> None:
    layer, other = layer_of(4, 1, every=2), layer_of(4, 1, seed=9, every=2)
    layer.after_step()
    other.load_state_dict(layer.state_dict())
    disturbed(other)
    other.after_step()
    assert rank_of(other) == 1


@pytest.mark.parametrize("rank", [0, 5])
def test_a_rank_beyond_the_dimensions_is_refused(rank: int) -> None:
    with pytest.raises(ValueError, match="a rank from 1 to 4"):
        LowRankLayer(4, rank)


@pytest.mark.parametrize("rows", [50, 4])
def test_it_begins_at_the_principal_subspace_where_the_loss_is_least(rows: int) -> None:
    generator = torch.Generator().manual_seed(3)
    activations = torch.randn(rows, 6, generator=generator) * torch.tensor([5.0, 3.0, 1.0, 0.5, 0.3, 0.1]) + 2
    layer = layer_of(6, 2)
    layer.begin_at(activations)
    values = np.linalg.svd((activations - activations.mean(dim=0)).numpy(), compute_uv=False)
    assert layer.reconstruction_loss(activations).item() == pytest.approx(
        float((values[2:] ** 2).sum() / rows), rel=1e-3
    )
    assert rank_of(layer) == 2


def test_minimising_the_penalty_makes_activations_low_rank_and_of_norm_one() -> None:
    """Of activations as free parameters, in mini-batches, so that the subspace is one of all of them."""
    torch.manual_seed(0)
    layer = LowRankLayer(10, 2, sampled=4, every=1)
    activations = nn.Parameter(torch.randn(60, 10))
    # W must take shorter steps: what it multiplies has squares far above 1 at first
    optimiser = torch.optim.SGD([{"params": [activations], "lr": 0.3}, {"params": layer.parameters()}], lr=0.02)
    for step in range(100):
        optimiser.zero_grad()
        # a mean over 6 rows has a tenth of the sum's gradient at each
        (6 * layer.penalty(activations[step % 10 :: 10])).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        layer.after_step()
    values = np.linalg.svd((activations + layer.bias).detach().numpy(), compute_uv=False)
    assert (values[:2] ** 2).sum() / (values**2).sum() > 0.99
    assert norm_loss(activations).item() < 0.3


def small() -> nn.Sequential:
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))


def test_a_penalised_network_says_what_the_network_says() -> None:
    network, inputs = small(), torch.randn(7, 3)
    expected = network(inputs)
    penalised = Penalised(network, {"2": layer_of(5, 2)})
    assert torch.equal(penalised(inputs), expected)
    assert torch.equal(penalised.eval()(inputs), expected)
    assert float(penalised.penalty) == 0


def test_a_penalty_is_of_what_the_module_takes_and_of_the_last_pass() -> None:
    network, layer, nuclear = small(), layer_of(5, 2), NuclearNorm(0.1)
    penalised = Penalised(network, {"2": layer, "0": nuclear})
    for _ in range(2):
        inputs = torch.randn(7, 3)
        penalised(inputs)
    found = penalised.penalty.item()
    taken = network[1](network[0](inputs))
    assert found == pytest.approx((layer.penalty(taken) + nuclear.penalty(inputs)).item(), rel=1e-5)
    assert torch.equal(inputs_of(network, "2", inputs, batch=3), taken)
    assert len(list(penalised.parameters())) == len(list(network.parameters())) + 2


def test_the_network_learns_from_the_penalty_and_the_layer_from_steps() -> None:
    network, layer = small(), layer_of(5, 2, every=1)
    penalised = Penalised(network, {"2": layer})
    optimiser = torch.optim.SGD(penalised.parameters(), lr=0.1)
    before = network[0].weight.clone()
    penalised(torch.randn(7, 3))
    penalised.penalty.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    assert rank_of(layer) > 2
    penalised.after_step()
    assert rank_of(layer) == 2
    assert not torch.equal(before, network[0].weight)


def test_an_unknown_module_is_an_error() -> None:
    with pytest.raises(AttributeError):
        Penalised(small(), {"nowhere": NuclearNorm(1.0)})


def test_a_bottleneck_multiplies_by_a_matrix_of_its_rank() -> None:
    torch.manual_seed(0)
    bottleneck = Bottleneck(6, 2)
    whole = bottleneck(torch.eye(6)).detach().numpy()
    assert np.linalg.matrix_rank(whole) == 2
    np.testing.assert_allclose(whole, whole.T, atol=1e-6)


def test_the_nuclear_norm_is_the_sum_of_singular_values_and_has_their_gradient() -> None:
    activations = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    nuclear = NuclearNorm(0.5)
    expected = 0.5 * np.linalg.norm(activations.detach().numpy(), ord="nuc")
    assert nuclear.penalty(activations).item() == pytest.approx(expected)
    assert torch.autograd.gradcheck(nuclear.penalty, (activations,))
