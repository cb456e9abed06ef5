"""Complexity measures against the formulas of the thesis, worked out another way."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from generalisation_making import picture_subject, random_bits, random_dense, table_subject, whole
from hypothesis import given, settings
from hypothesis import strategies as st

from epaas_models.reliability.generalisation.complexity import jac_norm, log_spec_fro, log_spec_l1, measure_complexity
from epaas_models.reliability.generalisation.margins import margins
from epaas_models.reliability.generalisation.spectral import spectrum, weight_matrix
from epaas_models.reliability.straight_through import Twin
from epaas_models.reliability.subject import Subject
from epaas_shared.features import Bits
from epaas_shared.heads import Scores
from epaas_shared.layers import DenseLayer
from epaas_shared.network import Network
from epaas_shared.report.generalisation import Complexity
from epaas_shared.scores import ScoreScale


def measured(subject: Subject, bits: Bits, labels: list[int]) -> Complexity:
    spectra = [spectrum(weight_matrix(layer)) for layer in subject.network.layers]
    return measure_complexity(subject, Twin(subject, np.repeat(bits, 2, axis=0)), spectra, bits, whole(labels))


@given(st.integers(0, 1000), st.floats(0.01, 100))
def test_spectral_measures_are_the_squared_spectral_complexities_over_the_squared_margin(
    seed: int, margin: float
) -> None:
    matrices = [torch.from_numpy(random_dense(5, 6, seed + i).weights).double() for i in range(3)]
    spectra = [spectrum(matrix.numpy()) for matrix in matrices]
    norms = [float(torch.linalg.matrix_norm(matrix, ord=2)) for matrix in matrices]
    product = math.prod(norms)
    # Equation (3.10)
    stable = sum(float((matrix**2).sum()) / norm**2 for matrix, norm in zip(matrices, norms, strict=True))
    assert log_spec_fro(spectra, np.array([margin])) == pytest.approx(math.log(product**2 * stable / margin**2))
    # Equation (3.6)
    terms = [
        float(matrix.norm(dim=1).sum()) ** (2 / 3) / norm ** (2 / 3)
        for matrix, norm in zip(matrices, norms, strict=True)
    ]
    complexity = product * sum(terms) ** (3 / 2)
    assert log_spec_l1(spectra, np.array([margin])) == pytest.approx(math.log(complexity**2 / margin**2))


def test_a_single_neuron_by_hand() -> None:
    subject = table_subject([DenseLayer(whole([[2, -1, 2, 0]]), whole([1]))], unit=10.0)
    bits = np.array([[1, 0, 1, 1]], dtype=np.uint8)  # a sum of 3 over the threshold, and half a unit
    found = measured(subject, bits, [1])
    assert found.spec_fro is not None
    assert found.spec_l1 is not None
    assert found.jac_norm is not None
    assert found.spec_fro.median == pytest.approx(math.log(9 / 3.5**2))
    assert found.spec_l1.median == pytest.approx(math.log(9 / 3.5**2))
    assert found.jac_norm.median == pytest.approx(math.log(math.sqrt(3) * 3 / 3.5))


def test_the_jacobian_norm_of_several_classes_by_hand() -> None:
    layer = DenseLayer(whole([[3, 0], [1, 1], [0, 1]]), whole([0, 0, 0]))
    bits = np.array([[1, 1]], dtype=np.uint8)  # sums 3, 2, 1: the margin is over class 1, whose weights are (1, 1)
    found = jac_norm(Twin(table_subject([layer]), bits.repeat(2, axis=0)), bits, whole([0]))
    assert found == pytest.approx(math.sqrt(2) * math.hypot(2, -1) / 1, rel=2e-3)


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_the_jacobian_norm_of_two_layers_by_hand(seed: int) -> None:
    first, last = random_dense(7, 9, seed), random_dense(3, 7, seed + 1)
    subject, bits = table_subject([first, last], unit=2.0), random_bits(70, 9, seed)
    logits = subject.logits(bits)
    order = np.argsort(logits, axis=1)
    best, second = order[:, -1], order[:, -2]
    sums = first.sums(bits)
    spread = np.maximum(sums.std(axis=0, ddof=1), 1)
    slopes = np.maximum(1 - np.abs((sums + 0.5) / spread) / 1.5, 0) / spread
    towards = (last.weights[best] - last.weights[second]) / 2.0
    hidden = np.linalg.norm((sums >= 0).astype(float), axis=1) * np.linalg.norm(towards, axis=1)
    record = np.linalg.norm(bits.astype(float), axis=1) * np.linalg.norm((towards * slopes) @ first.weights, axis=1)
    clear = margins(logits, best) > 0.4  # float32 says nothing of margins that the order of classes alone makes
    expected = (hidden + record) / margins(logits, best)
    found = jac_norm(Twin(subject, bits), bits[clear], best[clear])
    np.testing.assert_allclose(found, expected[clear], rtol=1e-3)


def test_the_unit_of_the_logits_makes_no_difference() -> None:
    layers, bits = [random_dense(7, 9), random_dense(4, 7, 1)], random_bits(40, 9)
    labels = table_subject(layers).predict(bits).tolist()
    one, ten = (measured(table_subject(layers, unit), bits, labels).model_dump() for unit in (1.0, 10.0))
    for name, found in one.items():
        assert found == pytest.approx(ten[name], rel=1e-4), name


def test_only_rows_that_are_right_and_not_tied_count() -> None:
    layer = DenseLayer(whole([[1, 0, 1], [0, 1, 1]]), whole([0, 0]))
    subject = table_subject(
        [layer], network=Network((layer, DenseLayer(np.eye(3, 2, dtype=np.int64), whole([0, 0, 0]))))
    )
    bits = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0]], dtype=np.uint8)
    # every hidden bit is 1, since no sum is below 0: classes 0 and 1 are tied in all rows
    tied = measured(subject, bits, [0, 0, 0])
    assert tied == Complexity(spec_fro=None, spec_l1=None, jac_norm=None)
    wrong = table_subject([DenseLayer(whole([[1, 0, 1], [0, 1, 0], [0, 0, 0]]), whole([0, 0, 0]))])
    found = measured(wrong, bits, [0, 1, 2])
    assert found.spec_fro is not None
    assert found.spec_fro.rows == 1


def test_a_layer_of_zeros_has_no_spectral_measure() -> None:
    subject = table_subject([DenseLayer(whole([[0, 0], [0, 0], [0, 0]]), whole([-1, 0, 0]))])
    assert measured(subject, random_bits(5, 2), [0] * 5) == Complexity(spec_fro=None, spec_l1=None, jac_norm=None)


def test_scores_are_measured_as_clients_see_them() -> None:
    layers = (random_dense(7, 9), random_dense(4, 7, 1))
    network = Network(layers, Scores(4, ScoreScale(bits=2, minimum=-4, step=3)))
    subject, bits = table_subject([], 2.0, network), random_bits(40, 9)
    found = measured(subject, bits, subject.predict(bits).tolist())
    levels = np.sort(network.evaluate(bits), axis=1)
    assert found.spec_fro is not None
    assert found.spec_fro.rows == (levels[:, -1] > levels[:, -2]).sum()


def test_a_convolution_is_measured() -> None:
    subject, bits = picture_subject(), random_bits(20, 96)
    found = measured(subject, bits, subject.predict(bits).tolist())
    assert found.spec_fro is not None
    assert found.spec_l1 is not None
    assert found.spec_l1.median >= found.spec_fro.median  # since every ||W^T||_{2,1} is at least ||W||_F
