"""Variance ratios against scikit-learn's components, cushions against the whole matrix of a layer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from generalisation_making import picture_subject, random_bits, random_convolution, random_dense, whole
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from epaas_models.confidence import class_sums
from epaas_models.reliability.generalisation.representations import layer_cushion, passages, variance_ratios
from epaas_shared.layers import ConvolutionLayer, DenseLayer, Layer
from epaas_shared.network import RECORDS_AT_ONCE


@pytest.mark.parametrize(("rows", "dimensions"), [(60, 12), (12, 60), (30, 30)])
def test_variance_ratios_are_those_of_principal_components(rows: int, dimensions: int) -> None:
    outputs = random_bits(rows, dimensions) & random_bits(rows, dimensions, seed=1)
    expected = PCA(svd_solver="full").fit(outputs.astype(float)).explained_variance_ratio_.cumsum()
    found = variance_ratios(outputs, (1, 3, 7, 12))
    assert list(found) == ["1", "3", "7", "12"]
    np.testing.assert_allclose(list(found.values()), expected[[0, 2, 6, 11]], atol=1e-9)


def test_variance_ratios_of_known_outputs() -> None:
    assert variance_ratios(whole([[0, 0], [4, 0], [2, 1], [2, -1]])) == pytest.approx({"1": 0.8, "2": 1})
    assert variance_ratios(whole([[1, 7, 3]] * 5)) == {}
    assert variance_ratios(whole([[1], [2]])) == {"1": 1}


def test_the_ratio_grows_to_1_and_takes_no_more_components_than_there_are() -> None:
    found = variance_ratios(random_bits(40, 10))
    assert list(found) == ["1", "2", "5", "10"]
    assert list(found.values()) == sorted(found.values())
    assert found["10"] == pytest.approx(1)


def test_the_cushion_by_hand() -> None:
    layer = DenseLayer(whole([[1, 1, 0], [0, 2, -1]]), whole([5, -9]))
    inputs = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=np.uint8)
    # W x is (2, 2) and (0, -1); ||W||_F is the root of 7; the third row is all zero and has no cushion
    expected = [math.sqrt(8) / (math.sqrt(7) * math.sqrt(2)), 1 / math.sqrt(7)]
    assert layer_cushion(layer, inputs, layer.sums(inputs)).tolist() == pytest.approx(expected)


def test_weights_that_are_all_zero_have_no_cushion() -> None:
    layer = DenseLayer(whole([[0, 0]]), whole([0]))
    inputs = np.ones((3, 2), dtype=np.uint8)
    assert layer_cushion(layer, inputs, layer.sums(inputs)).size == 0


@given(st.sampled_from([random_dense(5, 96), random_convolution(), random_convolution(padding=(0, 0))]), st.integers())
def test_the_cushion_is_that_of_the_whole_matrix(layer: DenseLayer | ConvolutionLayer, seed: int) -> None:
    inputs = random_bits(6, layer.inputs, seed % 1000)
    rows, matrix = layer.rows(0, layer.outputs), np.zeros((layer.outputs, layer.inputs))
    matrix[:, rows.inputs] = rows.weights
    images = np.linalg.norm(inputs @ matrix.T, axis=1)
    expected = images / (np.linalg.norm(matrix) * np.linalg.norm(inputs.astype(float), axis=1))
    found = layer_cushion(layer, inputs, layer.sums(inputs))
    np.testing.assert_allclose(found, expected)
    assert ((found >= 0) & (found <= 1)).all()


def test_rows_pass_as_the_network_has_them() -> None:
    network = picture_subject().network
    bits = random_bits(RECORDS_AT_ONCE + 5, network.inputs)
    seen: list[tuple[Layer, int]] = []
    for layer, inputs, sums in passages(network, bits):
        np.testing.assert_array_equal(layer.sums(inputs), sums)
        seen.append((layer, inputs.shape[1]))
    assert seen == [(layer, layer.inputs) for layer in network.layers]
    np.testing.assert_array_equal(sums, class_sums(network, bits))
