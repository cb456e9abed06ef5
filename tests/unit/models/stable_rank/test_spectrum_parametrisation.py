"""Algorithm 5 as a parametrisation: by full singular value decompositions, finite differences and saved states."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matrices_making import normal, seeds, singular_values, stable_rank_by_svd, with_values
from torch import Tensor, nn
from torch.nn.utils import parametrize

from epaas_models.binary_network import WeightedSums
from epaas_models.stable_rank.parametrisation import normalise_spectra, register, settle
from epaas_models.stable_rank.stable_rank import normalise_stable_rank
from epaas_shared.bundle import ConvolutionSpec, DenseSpec


class Weight(nn.Module):
    """A module with nothing but a parameter."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)


def normalised(weight: Tensor, share: float | None, **how: object) -> Tensor:
    module = Weight(weight.clone())
    register(module, "weight", share, **how)  # type: ignore[arg-type]
    return module.weight.detach()


@settings(max_examples=20, deadline=None)
@given(seeds, st.tuples(st.integers(1, 7), st.integers(2, 7)), st.floats(0.05, 1.0))
def test_norm_one_and_a_stable_rank_within_the_share(seed: int, shape: tuple[int, int], share: float) -> None:
    weight = normal(seed, shape)
    values, target = singular_values(weight), max(1.0, share * min(shape))
    found = normalised(weight, share)
    assert singular_values(found)[0] == pytest.approx(1, abs=1e-6)
    if stable_rank_by_svd(weight) > target and share < 1:
        assert stable_rank_by_svd(found) == pytest.approx(target, abs=1e-5)
    else:
        assert found.numpy() == pytest.approx(weight.numpy() / values[0], abs=1e-6)


def test_it_is_the_nearest_matrix_that_keeps_the_first_value() -> None:
    """Algorithm 5 is division by the norm and then Theorem 1 with k = 1."""
    weight = with_values([4.0, 3.0, 2.0, 2.0], (4, 6))
    expected = normalise_stable_rank(weight / 4.0, 0.3 * 4, k=1).matrix
    assert normalised(weight, 0.3).numpy() == pytest.approx(expected.numpy(), abs=1e-9)


def test_without_a_share_only_the_norm_changes() -> None:
    weight = normal(2, (5, 8))
    expected = (weight / singular_values(weight)[0]).numpy()
    for share in (None, 1.0):
        assert normalised(weight, share).numpy() == pytest.approx(expected, abs=1e-9)
    assert normalised(weight, None, spectral_norm=2.5).numpy() == pytest.approx(2.5 * expected, abs=1e-9)


def test_stable_rank_alone_leaves_the_norm() -> None:
    weight = normal(4, (5, 8))
    found = normalised(weight, 0.3, spectral_norm=None)
    assert singular_values(found)[0] == pytest.approx(singular_values(weight)[0])
    assert stable_rank_by_svd(found) == pytest.approx(1.5)
    assert found.numpy() == pytest.approx(normalise_stable_rank(weight, 1.5).matrix.numpy(), abs=1e-9)


def test_a_share_of_less_than_one_direction_asks_for_one() -> None:
    """0.1 of two rows is a stable rank of 0.2, which there is not."""
    found = normalised(normal(1, (2, 9)), 0.1)
    assert singular_values(found) == pytest.approx([1, 0], abs=1e-9)
    assert torch.isfinite(found).all()


@pytest.mark.parametrize(
    ("layer", "rows"),
    [
        (nn.Conv2d(3, 8, 3), lambda w: w.reshape(8, 27)),
        (nn.Conv1d(4, 6, 5), lambda w: w.reshape(6, 20)),
        (nn.Conv2d(6, 8, 3, groups=2), lambda w: w.reshape(8, 27)),
        (nn.ConvTranspose2d(5, 7, 3), lambda w: w.permute(1, 0, 2, 3).reshape(7, 45)),
        (nn.Linear(9, 7), lambda w: w),
    ],
)
def test_kernels_are_flattened_to_outputs_by_the_rest(layer: nn.Module, rows: object) -> None:
    before = layer.weight.detach().clone()
    normalise_spectra(layer, 0.3)
    assert layer.weight.shape == before.shape
    matrix, original = rows(layer.weight.detach()), rows(before)  # type: ignore[operator]
    assert singular_values(matrix)[0] == pytest.approx(1, rel=1e-5)
    assert stable_rank_by_svd(matrix) == pytest.approx(max(1, 0.3 * len(matrix)), rel=1e-4)
    expected = normalise_stable_rank(original.double() / singular_values(original)[0], max(1, 0.3 * len(matrix)))
    assert matrix.numpy() == pytest.approx(expected.matrix.numpy(), abs=1e-4)


def test_every_linear_and_convolution_layer_of_a_network_and_nothing_else() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), nn.Embedding(2, 5)
    )
    assert normalise_spectra(network, 0.5) is network
    assert [parametrize.is_parametrized(module) for module in network] == [True, False, False, False]
    assert parametrize.is_parametrized(network[2][1], "weight")
    assert not parametrize.is_parametrized(network[2][1], "bias")


@pytest.mark.parametrize("share", [None, 0.3, 0.9, 0.1])
@pytest.mark.parametrize("spectral_norm", [1.0, None])
def test_gradients_by_finite_differences(share: float | None, spectral_norm: float | None) -> None:
    """In evaluation mode vectors are constants. 0.3 cuts this matrix, 0.9 does not, and 0.1 leaves one direction."""
    if share is None and spectral_norm is None:
        return
    module = Weight(normal(6, (4, 5)))
    register(module, "weight", share, spectral_norm=spectral_norm)
    parametrisation = module.eval().parametrizations["weight"][0]
    free = normal(6, (4, 5)).requires_grad_()
    assert torch.autograd.gradcheck(parametrisation, (free,))


def test_the_gradient_of_a_spectral_norm_is_that_of_the_whole_function() -> None:
    """With exact vectors the norm's slope needs none of theirs: differences of a decomposition agree."""
    weight, towards = normal(8, (4, 6)), normal(9, (4, 6))
    module = Weight(weight.clone())
    register(module, "weight", None)
    module.eval()
    (module.weight * normal(10, (4, 6))).sum().backward()

    def value(at: Tensor) -> float:
        return float((at / singular_values(at)[0] * normal(10, (4, 6))).sum())

    step = 1e-6
    slope = (value(weight + step * towards) - value(weight - step * towards)) / (2 * step)
    gradient = module.parametrizations["weight"].original.grad
    assert float((gradient * towards).sum()) == pytest.approx(slope, rel=1e-6)


def test_vectors_follow_the_weights_in_training_and_rest_in_evaluation() -> None:
    module = Weight(with_values([3.0, 2.0, 1.0], (3, 4)))
    register(module, "weight", None, iterations=1)
    free = module.parametrizations["weight"].original
    with torch.no_grad():
        free.copy_(with_values([3.0, 2.0, 1.0], (3, 4), seed=1))
    module.eval()
    lagging = singular_values(module.weight)[0]
    assert singular_values(module.weight)[0] == lagging != pytest.approx(1, rel=1e-3)
    module.train()
    norms = [singular_values(module.weight)[0] for _ in range(60)]
    assert abs(norms[1] - 1) < abs(norms[0] - 1)
    assert norms[-1] == pytest.approx(1, abs=1e-9)


def test_more_iterations_a_pass_follow_faster() -> None:
    apart = []
    for iterations in (1, 5):
        module = Weight(with_values([3.0, 2.7, 1.0], (3, 4)))
        register(module, "weight", None, iterations=iterations)
        with torch.no_grad():
            module.parametrizations["weight"].original.copy_(with_values([3.0, 2.7, 1.0], (3, 4), seed=1))
        apart.append(abs(singular_values(module.weight)[0] - 1))
    assert apart[1] < apart[0]


def test_settling_makes_vectors_exact_without_touching_the_parameter() -> None:
    network = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4)).double()
    normalise_spectra(network, 0.3)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.5)
    for number in range(3):
        optimiser.zero_grad()
        network(normal(number, (8, 6))).square().sum().backward()
        optimiser.step()
    free = network[0].parametrizations["weight"].original.detach().clone()
    network.eval()
    assert singular_values(network[0].weight)[0] != pytest.approx(1, abs=1e-8)
    settle(network)
    for layer in (network[0], network[2]):
        assert singular_values(layer.weight)[0] == pytest.approx(1, abs=1e-8)
        assert stable_rank_by_svd(layer.weight) <= max(1, 0.3 * min(layer.weight.shape)) + 1e-6
    assert torch.equal(network[0].parametrizations["weight"].original, free)


def test_a_state_is_saved_and_loaded_with_its_vectors() -> None:
    def network() -> nn.Module:
        return normalise_spectra(nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.Linear(16, 3)), 0.3)

    torch.manual_seed(0)
    first, second = network(), network()
    inputs = torch.randn(5, 2, 4, 4)
    first(inputs).sum().backward()
    torch.optim.SGD(first.parameters(), lr=0.1).step()
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.eval()(inputs), second.eval()(inputs))
    assert torch.equal(first.train()(inputs), second.train()(inputs))
    assert torch.equal(copy.deepcopy(first).eval()(inputs), first.eval()(inputs))


def test_two_passes_before_one_backward() -> None:
    module = normalise_spectra(nn.Linear(4, 3), 0.5)
    (module(torch.ones(1, 4)) - module(torch.full((1, 4), 2.0))).sum().backward()
    assert torch.isfinite(module.parametrizations["weight"].original.grad).all()


def test_a_weight_that_is_set_is_normalised_anew() -> None:
    module = Weight(normal(0, (3, 5)))
    register(module, "weight", 0.4)
    module.weight = 7 * normal(1, (3, 5))
    assert module.weight.detach().numpy() == pytest.approx(normalised(normal(1, (3, 5)), 0.4).numpy(), abs=1e-9)


def test_what_is_registered_does_not_hang_on_the_global_generator() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    normalise_spectra(nn.Sequential(nn.Identity(), Weight(normal(0, (3, 5)))), 0.5)
    normalised(normal(0, (3, 5)), 0.5)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "spec",
    [
        DenseSpec(inputs=20, outputs=8),
        ConvolutionSpec(channels=2, height=5, width=5, filters=6, kernel=(3, 3)),
    ],
    ids=["dense", "convolution"],
)
def test_latent_weights_of_a_binary_network(spec: DenseSpec | ConvolutionSpec) -> None:
    """By name, with their own scale; what is exported is made of them."""
    torch.manual_seed(0)
    sums = WeightedSums(spec, "binary")
    before = sums.latent.detach().clone()
    register(sums, "latent", 0.3, spectral_norm=None)
    rows = before.flatten(1)
    assert stable_rank_by_svd(sums.latent.flatten(1)) == pytest.approx(0.3 * len(rows), rel=1e-4)
    assert singular_values(sums.latent.flatten(1))[0] == pytest.approx(singular_values(rows)[0], rel=1e-5)
    sums(torch.ones(2, spec.inputs)).square().sum().backward()
    gradient = sums.parametrizations["latent"].original.grad
    assert gradient is not None
    assert gradient.abs().sum() > 0
    sums.eval()
    assert torch.equal(sums.integers(), torch.where(sums.latent >= 0, 1.0, -1.0))
    assert not torch.equal(sums.integers(), torch.where(before >= 0, 1.0, -1.0))


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5])
def test_a_share_is_above_zero_and_at_most_one(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        register(nn.Linear(3, 3), "weight", share)


def test_what_cannot_be_normalised_is_refused() -> None:
    with pytest.raises(ValueError, match="neither"):
        register(nn.Linear(3, 3), "weight", 1.0, spectral_norm=None)
    with pytest.raises(ValueError, match="positive"):
        register(nn.Linear(3, 3), "weight", 0.5, spectral_norm=0.0)
    for weight in (torch.zeros(3, 3), torch.full((3, 3), np.nan)):
        with pytest.raises(ValueError, match="zero"):
            register(Weight(weight), "weight", 0.5)
