"""Ranks, cushions, compression and hybrid models against numpy, scikit-learn and cases that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from torch import nn
from torch.nn import functional

from epaas_models.low_rank.compression import principal_subspace, subspace_of
from epaas_models.low_rank.effective_rank import cut, effective_rank, singular_values, stable_rank, variance_ratio
from epaas_models.low_rank.layer import LowRankLayer
from epaas_models.low_rank.max_margin import max_margin_model
from epaas_models.low_rank.stability import PIXEL_NOISE, layer_cushion, relative_change, with_pixel_noise


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_ranks_of_known_singular_values() -> None:
    values = singular_values(torch.diag(torch.tensor([1.0, 7.0, 1.0, 7.0])))
    assert values.tolist() == pytest.approx([7, 7, 1, 1])
    assert variance_ratio(values, 2) == pytest.approx(0.98)
    assert [effective_rank(values, share) for share in (0.4, 0.98 - 1e-9, 0.985, 1.0)] == [1, 2, 3, 4]
    assert stable_rank(values) == pytest.approx(100 / 49)


@settings(max_examples=30)
@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 100))
def test_ranks_are_ordered(rows: int, dimensions: int, seed: int) -> None:
    values = singular_values(normal(rows, dimensions, seed=seed))
    ratios = [variance_ratio(values, count) for count in range(1, len(values) + 1)]
    assert ratios == sorted(ratios)
    assert ratios[-1] == pytest.approx(1)
    assert 1 <= stable_rank(values) <= len(values) + 1e-9
    assert variance_ratio(values, effective_rank(values)) >= 0.99 - 1e-9


def test_representations_of_zeros_have_no_rank_and_leak_nothing() -> None:
    values = singular_values(torch.zeros(4, 3))
    assert (effective_rank(values), stable_rank(values), variance_ratio(values, 1)) == (0, 0.0, 1.0)


def test_rectifying_raises_the_rank_of_the_thesis_example() -> None:
    """6.5: a matrix of rank 1 becomes one of rank 2."""
    sums = torch.tensor([[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]])
    assert int(torch.linalg.matrix_rank(sums)) == 1
    assert int(torch.linalg.matrix_rank(cut(sums, 1).relu())) == 2


def test_a_cut_matrix_is_nearest_of_its_rank() -> None:
    matrix = normal(6, 5)
    found, values = cut(matrix, 2), singular_values(matrix)
    assert int(torch.linalg.matrix_rank(found)) == 2
    assert float((found - matrix).norm()) == pytest.approx(float(values[2:].norm()))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(6, 4), (6,)),
        (nn.Conv2d(2, 3, 3, stride=2, padding=1), (2, 5, 5)),
        (nn.Conv2d(2, 4, 2, groups=2, bias=False), (2, 4, 4)),
    ],
)
def test_the_cushion_is_that_of_the_whole_matrix(layer: nn.Linear | nn.Conv2d, shape: tuple[int, ...]) -> None:
    """The matrix column by column, from what the layer makes of unit vectors."""
    layer = layer.double()
    size = int(np.prod(shape))
    with torch.no_grad():
        zero = layer(torch.zeros(1, *shape, dtype=torch.float64))
        matrix = (layer(torch.eye(size, dtype=torch.float64).reshape(size, *shape)) - zero).flatten(1).T.numpy()
    rows = normal(5, *shape)
    flat = rows.flatten(1).numpy()
    expected = np.linalg.norm(flat @ matrix.T, axis=1) / (np.linalg.norm(matrix) * np.linalg.norm(flat, axis=1))
    np.testing.assert_allclose(layer_cushion(layer, rows).numpy(), expected, rtol=1e-9)
    assert len(layer_cushion(layer, torch.cat([rows, 0 * rows]))) == 5


def test_noise_is_on_the_share_of_pixels_and_of_the_size_that_it_says() -> None:
    pictures = torch.full((40, 3, 20, 20), 0.5)
    moved = with_pixel_noise(pictures, 0.4, torch.Generator().manual_seed(0)) - pictures
    touched = moved[:, 0] != 0
    assert float(touched.float().mean()) == pytest.approx(0.4, abs=0.02)
    assert torch.equal(touched, moved[:, 2] != 0)
    assert float(moved[:, 0][touched].std()) == pytest.approx(PIXEL_NOISE, rel=0.03)
    assert torch.equal(with_pixel_noise(pictures, 0.0, torch.Generator()), pictures)


def test_relative_change_by_hand() -> None:
    clean, moved = (
        torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, 2.0]]),
        torch.tensor([[3.0, 4.5], [1.0, 1.0], [1.0, 2.0]]),
    )
    assert relative_change(clean, moved).tolist() == pytest.approx([0.1, 0.5])


def test_the_principal_subspace_is_that_of_scikit_learn() -> None:
    rows = normal(30, 6) * torch.tensor([3.0, 2.0, 1.0, 0.5, 0.2, 0.1], dtype=torch.float64) + 4
    subspace, oracle = principal_subspace(rows, 2), PCA(2).fit(rows.numpy())
    expected = oracle.inverse_transform(oracle.transform(rows.numpy()))
    np.testing.assert_allclose(subspace.decode(subspace.encode(rows)).numpy(), expected, atol=1e-9)


@settings(max_examples=25)
@given(st.integers(1, 4), st.integers(4, 8), st.integers(1, 5), st.booleans(), st.integers(0, 100))
def test_compression_loses_nothing_of_what_has_the_rank(
    rank: int, dimensions: int, classes: int, bias: bool, seed: int
) -> None:
    rows = normal(20, rank, seed=seed) @ normal(rank, dimensions, seed=seed + 1) + normal(dimensions, seed=seed + 2)
    torch.manual_seed(seed)
    head = nn.Linear(dimensions, classes, bias=bias).double()
    subspace = principal_subspace(rows, rank)
    folded = subspace.folded_into(head)
    assert subspace.encode(rows).shape == (20, rank)
    assert torch.allclose(subspace.decode(subspace.encode(rows)), rows)
    assert torch.allclose(folded(rows), head(rows))
    parameters = sum(parameter.numel() for parameter in folded.parameters())
    assert parameters == rank * (dimensions + classes + 1) + classes


def test_folding_into_a_head_is_decoding_before_it_whatever_the_rows() -> None:
    rows, head = normal(10, 6), nn.Linear(6, 3).double()
    subspace = principal_subspace(rows, 2)
    expected = functional.linear(subspace.decode(subspace.encode(rows)), head.weight, head.bias)
    assert torch.allclose(subspace.folded_into(head)(rows), expected)


def test_the_subspace_of_a_layer_is_where_it_maps_activations_to_themselves() -> None:
    torch.manual_seed(0)
    layer = LowRankLayer(6, 2).double()
    rows = normal(9, 2) @ normal(2, 6, seed=1) + 3
    layer.begin_at(rows)
    subspace = subspace_of(layer)
    assert layer.reconstruction_loss(rows).item() == pytest.approx(0, abs=1e-20)
    assert torch.allclose(subspace.decode(subspace.encode(rows)), rows)


def test_a_hybrid_model_classifies_by_the_direction_that_tells_classes_apart() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 300)
    rows = random.normal(size=(300, 8)).astype(np.float32)
    rows[:, :3] += 6 * np.eye(3, dtype=np.float32)[labels]
    whole, projected = (max_margin_model(rows[:200], labels[:200], seed=0, dimensions=d) for d in (None, 2))
    assert whole.score(rows[200:], labels[200:]) > 0.95
    assert projected.score(rows[200:], labels[200:]) > 0.9
    assert projected[:-1].transform(rows).shape == (300, 2)
    again = max_margin_model(rows[:200], labels[:200], seed=0)
    np.testing.assert_array_equal(whole[-1].coef_, again[-1].coef_)
