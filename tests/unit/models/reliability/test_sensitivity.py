"""Slopes against calculus by hand, noise against what it is said to be."""

from __future__ import annotations

import numpy as np
import pytest
from generalisation_making import columns_of, picture_subject, random_bits, random_dense, table_subject, whole
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from epaas_models.reliability.generalisation.sensitivity import (
    empirical_lipschitz,
    jacobians,
    local_lipschitz,
    noise_response,
    noisy,
)
from epaas_models.reliability.straight_through import Twin
from epaas_models.reliability.subject import Subject
from epaas_shared.layers import DenseLayer

REACH = 1.5
"""Of a ramp, in standard deviations of a neuron's sums."""


def two_layers(seed: int = 0, unit: float = 3.0) -> Subject:
    return table_subject([random_dense(7, 9, seed), random_dense(4, 7, seed + 1)], unit)


def smooth(subject: Subject, spread: NDArray[np.float64], inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The function whose slopes the twin claims to have: a hidden bit is the integral of its triangle."""
    first, last = subject.network.layers
    z = np.clip((inputs @ first.weights.T - first.thresholds + 0.5) / spread, -REACH, REACH)
    risen = z - z * np.abs(z) / (2 * REACH)
    logits: NDArray[np.float64] = (risen @ last.weights.T - last.thresholds) / subject.unit
    return logits


def test_the_jacobian_of_one_layer_is_its_weights() -> None:
    layer = random_dense(3, 8)
    subject = table_subject([layer], unit=4.0)
    bits = random_bits(5, 8)
    found = jacobians(Twin(subject, bits), bits).numpy()
    np.testing.assert_allclose(found, np.broadcast_to(layer.weights / 4.0, (5, 3, 8)), rtol=1e-6)


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_the_jacobian_of_two_layers_is_the_derivative_of_the_smooth_network(seed: int) -> None:
    subject, reference, bits = two_layers(seed), random_bits(50, 9, seed), random_bits(6, 9, seed + 1)
    first = subject.network.layers[0]
    spread = np.maximum(first.sums(reference).std(axis=0, ddof=1), 1)
    h = 1e-5
    expected = np.stack(
        [
            (smooth(subject, spread, bits + h * one) - smooth(subject, spread, bits - h * one)) / (2 * h)
            for one in np.eye(9)
        ],
        axis=2,
    )
    np.testing.assert_allclose(jacobians(Twin(subject, reference), bits).numpy(), expected, atol=1e-4)


def test_the_local_constant_of_one_layer_is_its_norm() -> None:
    several, one = random_dense(3, 8), DenseLayer(whole([[2, -1, 2, 0]]), whole([1]))
    bits = random_bits(5, 8)
    found = local_lipschitz(Twin(table_subject([several], 4.0), bits), bits)
    np.testing.assert_allclose(found, np.linalg.svd(several.weights.astype(float))[1][0] / 4.0, rtol=1e-5)
    bits = random_bits(5, 4)
    np.testing.assert_allclose(local_lipschitz(Twin(table_subject([one], 2.0), bits), bits), 1.5, rtol=1e-6)


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_no_direction_changes_more_than_the_local_constant(seed: int) -> None:
    subject, bits = two_layers(seed), random_bits(70, 9, seed)  # more rows than are taken at once
    twin = Twin(subject, bits)
    directions = np.random.default_rng(seed).normal(size=(200, 9))
    slopes = np.einsum("nci,di->ndc", jacobians(twin, bits).numpy(), directions)
    greatest = (np.linalg.norm(slopes, axis=2) / np.linalg.norm(directions, axis=1)).max(axis=1)
    found = local_lipschitz(twin, bits)
    assert (greatest <= found * (1 + 1e-5)).all()
    np.testing.assert_allclose(found, np.linalg.svd(jacobians(twin, bits).numpy())[1][:, 0], rtol=1e-4, atol=1e-6)


def test_the_empirical_constant_by_hand() -> None:
    inputs = np.array([[0, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 1]], dtype=np.uint8)
    logits = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0], [0.0, 1.0]])
    pairs = [5 / 2**0.5, 1 / 3**0.5, 5 / 2**0.5, 18**0.5, 1 / 3**0.5]  # (0,1) (0,3) (1,2) (1,3) (2,3); 0 equals 2
    np.testing.assert_allclose(np.sort(empirical_lipschitz(inputs, logits)), np.sort(pairs))
    assert empirical_lipschitz(inputs[[0, 2]], logits[[0, 2]]).size == 0


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_rows_of_one_layer_are_never_further_apart_than_its_norm_allows(seed: int) -> None:
    layer = random_dense(4, 8, seed)
    subject, bits = table_subject([layer], 5.0), random_bits(25, 8, seed)
    bound = np.linalg.norm(layer.weights, ord=2) / 5.0
    assert empirical_lipschitz(bits, subject.logits(bits)).max() <= bound * (1 + 1e-9)


def test_noise_on_a_picture_has_the_said_size_and_stays_within_the_range() -> None:
    schema = picture_subject().schema
    grey = {"image": np.full((100, 6, 8), 128, dtype=np.uint8)}
    little = noisy(grey, schema, 0.05, np.random.default_rng(0))["image"] - 128.0
    assert (little.mean(), little.std()) == (pytest.approx(0, abs=1), pytest.approx(0.05 * 255, rel=0.05))
    much = noisy(grey, schema, 2.0, np.random.default_rng(0))["image"]
    assert (much.min(), much.max()) == (0, 255)
    assert (grey["image"] == 128).all()


def test_noise_in_a_table_takes_the_said_share_of_values_from_other_rows() -> None:
    schema = table_subject([random_dense(3, 2)]).schema
    columns = {"f0": np.arange(4000.0), "f1": -np.arange(4000.0)}
    changed = noisy(columns, schema, 0.3, np.random.default_rng(0))
    moved = {name: changed[name] != columns[name] for name in columns}
    for name, column in columns.items():
        assert set(changed[name]) <= set(column)
        assert moved[name].mean() == pytest.approx(0.3, abs=0.03)
    assert (moved["f0"] & moved["f1"]).mean() == pytest.approx(0.09, abs=0.02)  # column by column, not row by row
    everything = noisy(columns, schema, 1.0, np.random.default_rng(0))
    assert all((everything[name] != column).all() for name, column in columns.items())


def test_a_table_of_one_row_has_no_other_to_take_from() -> None:
    schema = table_subject([random_dense(3, 1)]).schema
    assert noisy({"f0": np.array([0.7])}, schema, 1.0, np.random.default_rng(0))["f0"] == [0.7]


def test_the_response_by_hand() -> None:
    """Of two rows each becomes the other when all is replaced: sums 3 and -2, logits (0, 3.5 / 2) and (0, -1.5 / 2)."""
    subject = table_subject([DenseLayer(whole([[1, 4]]), whole([2]))], unit=2.0)
    columns = columns_of(np.array([[1, 1], [0, 0]], dtype=np.uint8))
    noise, flips = noise_response(subject, columns, 1.0, np.random.default_rng(0))
    assert (noise, flips) == (pytest.approx(2.5**2 / ((1.75**2 + 0.75**2) / 2)), 1.0)


def test_without_noise_nothing_moves() -> None:
    subject, random = picture_subject(), np.random.default_rng(0)
    pictures = {"image": random.integers(0, 256, (9, 6, 8))}
    assert noise_response(subject, pictures, 0.0, random) == (0.0, 0.0)
    some, much = (noise_response(subject, pictures, share, random) for share in (0.02, 1.0))
    assert 0 < some[0] < much[0]
