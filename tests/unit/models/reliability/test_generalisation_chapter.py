"""The chapter as a whole: of the right rows, by the seed, and complete for every kind of network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from generalisation_making import columns_of, picture_subject, random_bits, random_dense, table_subject, whole
from sklearn.decomposition import PCA

from epaas_models.confidence import class_sums
from epaas_models.reliability.generalisation.chapter import measure_generalisation
from epaas_models.reliability.generalisation.spectral import spectrum, weight_matrix
from epaas_models.reliability.subject import Subject
from epaas_shared.heads import Scores
from epaas_shared.layers import DenseLayer
from epaas_shared.network import Network
from epaas_shared.report.generalisation import Generalisation
from epaas_shared.scores import ScoreScale


def measured(subject: Subject, **how: Any) -> Generalisation:
    """On 60 training rows of which every third is mislabelled, and 40 test rows of which every fourth is."""
    train, test = random_bits(60, subject.network.inputs), random_bits(40, subject.network.inputs, seed=1)
    wrong = len(subject.classes) - 1
    labels = [
        (subject.predict(bits) + (np.arange(len(bits)) % every == 0) * wrong) % (wrong + 1)
        for bits, every in ((train, 3), (test, 4))
    ]
    return measure_generalisation(subject, train, labels[0], test, labels[1], **how)


def test_the_gap_by_hand() -> None:
    found = measured(table_subject([random_dense(5, 8), random_dense(3, 5, 1)]))
    assert (found.train_accuracy.value, found.test_accuracy.value) == (pytest.approx(2 / 3), pytest.approx(3 / 4))
    assert found.gap == pytest.approx(2 / 3 - 3 / 4)
    assert (found.train_accuracy.rows, found.test_accuracy.rows) == (60, 40)
    low, high = found.test_accuracy.interval
    assert (low, high) == (pytest.approx(0.598, abs=1e-3), pytest.approx(0.858, abs=1e-3))  # Wilson, 30 of 40


def test_margins_by_hand() -> None:
    subject = table_subject([DenseLayer(whole([[1, 1, 1, 1]]), whole([2]))], unit=2.0)
    bits = np.array([[1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 0, 0]], dtype=np.uint8)
    found = measure_generalisation(subject, bits, whole([1, 1, 1]), bits[:1], whole([0]))
    assert (found.train_margin.median, found.test_margin.median) == (pytest.approx(0.25), pytest.approx(-1.25))
    assert (found.train_accuracy.value, found.test_accuracy.value) == (pytest.approx(2 / 3), 0)


def test_layers_are_the_networks() -> None:
    subject = picture_subject()
    first, last = measured(subject).layers
    assert (first.layer, first.kind, first.shape) == (0, "convolution", (3, 2, 3, 2))
    assert (last.layer, last.kind, last.shape) == (1, "dense", subject.network.layers[1].weights.shape)
    for layer, found in zip(subject.network.layers, (first, last), strict=True):
        expected = spectrum(weight_matrix(layer))
        assert (found.spectral_norm, found.stable_rank, found.rank) == (
            expected.spectral_norm,
            expected.stable_rank,
            expected.rank,
        )
        assert found.zero_weights == pytest.approx(1 - np.count_nonzero(layer.weights) / layer.weights.size)
        assert found.cushion is not None
        assert found.cushion.rows == 60


def test_representations_are_bits_inside_and_sums_at_the_end() -> None:
    subject = picture_subject()
    bits = random_bits(60, subject.network.inputs)  # the training rows
    hidden = (subject.network.layers[0].sums(bits) >= 0).astype(float)
    for outputs, layer in zip((hidden, class_sums(subject.network, bits)), measured(subject).layers, strict=True):
        held = PCA(svd_solver="full").fit(outputs).explained_variance_ratio_.cumsum()
        assert layer.variance_ratio
        for components, share in layer.variance_ratio.items():
            assert share == pytest.approx(held[int(components) - 1])


def test_rows_are_capped_and_drawn_by_the_seed() -> None:
    subject = table_subject([random_dense(5, 8), random_dense(3, 5, 1)])
    one, same, other = (measured(subject, rows=10, seed=seed) for seed in (3, 3, 4))
    assert one == same
    assert one != other
    assert one.sensitivity.local_lipschitz.rows == 10
    assert one.sensitivity.empirical_lipschitz is not None
    assert one.sensitivity.empirical_lipschitz.rows <= 45
    assert one.train_margin == other.train_margin  # of all rows, which are fewer than 100 * 10
    few = measure_generalisation(subject, *[random_bits(300, 8), np.zeros(300, dtype=np.int64)] * 2, rows=2)
    assert few.train_accuracy.rows == few.test_accuracy.rows == 200


def test_noise_needs_the_records() -> None:
    subject = table_subject([random_dense(5, 8), random_dense(3, 5, 1)])
    assert measured(subject).sensitivity.noise == {}
    found = measured(subject, columns_test=columns_of(random_bits(40, 8, seed=1))).sensitivity
    assert list(found.noise) == list(found.flips) == ["0.05", "0.1", "0.2", "0.5"]
    assert 0 < found.flips["0.05"] < found.flips["0.5"] < 1


def test_rows_that_are_all_alike_have_no_empirical_constant() -> None:
    alike = np.ones((5, 4), dtype=np.uint8)
    subject = table_subject([DenseLayer(whole([[1, 1, 0, 0]]), whole([1]))])
    found = measure_generalisation(subject, alike, whole([1] * 5), alike, whole([1] * 5))
    assert found.sensitivity.empirical_lipschitz is None
    assert found.layers[0].variance_ratio == {}


@pytest.mark.parametrize(
    "subject",
    [
        table_subject([random_dense(1, 8)], unit=3.0),
        table_subject([], 2.0, Network((random_dense(4, 8),), Scores(4, ScoreScale(bits=2, minimum=-3, step=2)))),
        table_subject([DenseLayer(np.zeros((3, 8), dtype=np.int64), whole([0, 0, 0]))]),
        picture_subject(classes=2),
    ],
    ids=["neuron", "scores", "zeros", "pictures"],
)
def test_the_document_reads_as_it_was_written(subject: Subject) -> None:
    found = measured(subject)
    assert Generalisation.model_validate_json(found.model_dump_json()) == found


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    measured(table_subject([random_dense(5, 8), random_dense(3, 5, 1)]), progress=lambda *what: told.append(what))
    assert {what for what, _, _ in told} == {
        "margins", "spectra of layers", "representations", "complexity", "pairs of rows", "local Lipschitz",
    }  # fmt: skip
    assert all(0 <= done < total for _, done, total in told)
