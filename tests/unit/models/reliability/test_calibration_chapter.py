"""The chapter on calibration: of the right probabilities, at the right temperature, with the right verdict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from classifiers_making import random_bits, scored, unscored
from numpy.typing import NDArray
from probabilities_making import Labels, drawn, drawn_from, softmax
from sklearn.metrics import accuracy_score, log_loss

from epaas_models.confidence import fit_temperature
from epaas_models.reliability.calibration.chapter import bins_for, measure_calibration, measure_scaled, verdict_of
from epaas_models.reliability.calibration.measures import expected_calibration_error
from epaas_models.reliability.calibration.temperature import temperature_by_ece
from epaas_models.reliability.subject import Subject
from epaas_models.reliability.subject import softmax as softmax_of
from epaas_shared.report.calibration import Calibration

EVERY = [scored(2.0, 3.0), scored(None, 3.0), unscored(2, 4.0), unscored(3, 4.0)]
NAMES = ["scores with a temperature", "scores without one", "a bit", "an argmax"]


def drawn_labels(subject: Subject, bits: NDArray[np.uint8], heat: float, seed: int) -> Labels:
    """Labels with which the subject is calibrated at a temperature."""
    probabilities = softmax(subject.confidence_logits(bits) / heat)
    return drawn_from(probabilities, np.random.default_rng(seed))


def measured(subject: Subject, heat: float, validation: int = 600, test: int = 600, **options: Any) -> Calibration:
    held_out, bits = random_bits(validation, 12, seed=1), random_bits(test, 12, seed=2)
    labels = drawn_labels(subject, held_out, heat, 3), drawn_labels(subject, bits, heat, 4)
    return measure_calibration(subject, held_out, labels[0], bits, labels[1], seed=0, resamples=50, **options)


@pytest.mark.parametrize("temperature", [0.5, 2.0, 40.0])
@pytest.mark.parametrize("unit", [0.7, 3.0])
def test_after_scaling_it_is_exactly_what_a_client_computes(temperature: float, unit: float) -> None:
    subject = scored(temperature, unit)
    scale = subject.network.scores
    assert scale is not None
    chapter = measured(subject, 1.0)
    assert chapter.temperature_by_nll * chapter.scale == pytest.approx(temperature, rel=1e-12)
    bits = random_bits(600, 12, seed=2)
    client = np.array([scale.probabilities(levels) for levels in subject.network.evaluate(bits).tolist()])
    ours = softmax_of(subject.confidence_logits(bits), chapter.temperature_by_nll)
    assert ours == pytest.approx(client, abs=1e-12)
    labels = drawn_labels(subject, bits, 1.0, 4)
    assert chapter.after.negative_log_likelihood.value == pytest.approx(log_loss(labels, client, labels=range(3)))
    assert chapter.after.expected_calibration_error.value == pytest.approx(expected_calibration_error(client, labels))
    assert chapter.seen_by_client


@pytest.mark.parametrize("subject", EVERY, ids=NAMES)
def test_what_is_most_probable_is_what_the_network_predicts(subject: Subject) -> None:
    bits = random_bits(500, 12)
    probabilities = softmax_of(subject.confidence_logits(bits), 0.7)
    assert probabilities.argmax(axis=1).tolist() == subject.predict(bits).tolist()
    assert subject.logits(bits).argmax(axis=1).tolist() == subject.predict(bits).tolist()
    ties = np.sort(probabilities, axis=1)
    assert (ties[:, -1] == ties[:, -2]).any() == (subject.network.layers[-1].outputs > 1)
    chapter = measured(subject, 1.0)
    truth = drawn_labels(subject, random_bits(600, 12, seed=2), 1.0, 4)
    accuracy = accuracy_score(truth, subject.predict(random_bits(600, 12, seed=2)))
    for found in (chapter.before, chapter.after, chapter.after_by_ece):
        assert sum(bar.rows * (bar.accuracy or 0) for bar in found.bins) / 600 == pytest.approx(accuracy)
        if subject.network.layers[-1].outputs > 2:
            assert found.top_k["1"] == pytest.approx(accuracy)


@pytest.mark.parametrize("subject", EVERY[1:], ids=NAMES[1:])
def test_temperatures_are_fitted_to_validation_rows(subject: Subject) -> None:
    held_out = random_bits(600, 12, seed=1)
    logits, labels = subject.confidence_logits(held_out), drawn_labels(subject, held_out, 0.6, 3)
    chapter = measured(subject, 0.6)
    assert chapter.temperature_by_nll == fit_temperature(logits, labels) == pytest.approx(0.6, rel=0.25)
    assert chapter.temperature_by_ece == temperature_by_ece(logits, labels)
    assert [chapter.before.temperature, chapter.after.temperature, chapter.after_by_ece.temperature] == [
        1,
        chapter.temperature_by_nll,
        chapter.temperature_by_ece,
    ]
    assert chapter.validation_rows == 600
    assert chapter.warnings == ()


def test_numbers_lie_in_their_intervals_and_are_made_again_by_the_seed() -> None:
    logits, labels = drawn(500, 4, 0)
    first = measure_scaled(logits, labels, 0.5, 15, seed=3, resamples=200)
    assert first == measure_scaled(logits, labels, 0.5, 15, seed=3, resamples=200)
    for name, found in first:
        if name.endswith(("error", "likelihood", "overconfidence")) and name != "maximum_calibration_error":
            low, high = found.interval
            assert low < found.value < high, name
    assert first.top_k.keys() == {"1", "2", "3"}


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_of_the_error_is_over_the_bins_of_the_error(seed: int) -> None:
    """Resampled by hand, the rows that the chapter drew."""
    logits, labels = drawn(80, 3, seed)
    found = measure_scaled(logits, labels, 0.4, 5, seed=seed, resamples=400)
    random, probabilities = np.random.default_rng(seed), softmax(logits / 0.4)
    draws = [random.integers(0, 80, 80) for _ in range(400)]
    errors = np.array([expected_calibration_error(probabilities[rows], labels[rows], 5) for rows in draws])
    expected = np.percentile(errors - errors.mean() + found.expected_calibration_error.value, [2.5, 97.5])
    assert found.expected_calibration_error.interval == pytest.approx(expected.clip(0), abs=0.02)


@pytest.mark.parametrize(
    ("heat", "verdict"),
    [(1.0, "consistent with perfect calibration"), (0.4, "over-confident"), (2.5, "under-confident")],
)
def test_the_verdict_says_which_way_it_is_off(heat: float, verdict: str) -> None:
    logits, labels = drawn(2000, 3, seed=0)
    assert verdict_of(measure_scaled(logits, labels, heat, 15, seed=0, resamples=200)) == verdict


def test_errors_both_ways_are_miscalibration() -> None:
    """Sure rows are wrong too often, unsure ones are right too often, as often as makes up for it."""
    confidence = np.repeat([0.95, 0.65], 500)
    logits = np.log(np.stack([confidence, 1 - confidence], axis=1))
    right = np.concatenate([np.arange(500) < 400, np.arange(500) < 400])
    found = measure_scaled(logits, (~right).astype(np.int64), 1.0, 15, seed=0, resamples=200)
    assert found.overconfidence.value == pytest.approx(0, abs=1e-9)
    assert verdict_of(found) == "miscalibrated"


def test_a_calibrated_model_is_found_so_at_most_sizes() -> None:
    verdicts = []
    for seed in range(60):
        logits, labels = drawn(300, 3, seed)
        verdicts.append(verdict_of(measure_scaled(logits, labels, 1.0, 10, seed=seed + 500, resamples=100)))
    assert verdicts.count("consistent with perfect calibration") >= 54


@pytest.mark.parametrize(("rows", "bins"), [(10_000, 15), (450, 15), (449, 14), (171, 5), (30, 1), (3, 1)])
def test_there_are_as_many_bins_as_rows_can_bear(rows: int, bins: int) -> None:
    assert bins_for(rows) == bins


def test_too_few_rows_are_said() -> None:
    chapter = measured(unscored(3, 4.0), 1.0, validation=100, test=171)
    assert chapter.bins == len(chapter.after.bins) == 5
    assert any("100 validation rows are too few for 15 bins" in warning for warning in chapter.warnings)
    assert any("171 test rows are too few for 15 bins" in warning for warning in chapter.warnings)


def test_without_validation_rows_nothing_is_fitted() -> None:
    chapter = measured(unscored(2, 4.0), 1.0, validation=0)
    assert (chapter.temperature_by_nll, chapter.temperature_by_ece, chapter.validation_rows) == (1, 1, 0)
    assert chapter.before == chapter.after == chapter.after_by_ece
    assert any("no validation rows" in warning for warning in chapter.warnings)
    scale = measured(scored(2.0, 4.0), 1.0, validation=0)
    assert (scale.temperature_by_nll, scale.temperature_by_ece) == (0.5, 1)


def test_a_temperature_at_the_end_of_the_search_is_said() -> None:
    subject = unscored(2, 4.0)
    bits = random_bits(500, 12)
    flawless = measure_calibration(
        subject, bits, subject.predict(bits), bits, subject.predict(bits), seed=0, resamples=5
    )
    assert any("temperature_by_nll is where the search ends" in warning for warning in flawless.warnings)
    assert any("temperature_by_ece is at an end of its grid" in warning for warning in flawless.warnings)


def test_a_maximum_of_few_rows_is_said() -> None:
    random = np.random.default_rng(0)
    logits = np.log(np.concatenate([np.tile([0.99, 0.01], (997, 1)), np.tile([0.7, 0.3], (3, 1))]))
    subject = unscored(2, 1.0)

    class Fixed(Subject):
        def confidence_logits(self, bits: NDArray[np.uint8]) -> NDArray[np.float64]:
            return logits

    fixed = Fixed(subject.network, subject.schema, 1.0)
    labels = (random.random(1000) > 0.99).astype(np.int64)
    labels[-3:] = 1
    chapter = measure_calibration(
        fixed, random_bits(0, 12), labels[:0], random_bits(1000, 12), labels, seed=0, resamples=5
    )
    assert "the maximum calibration error after scaling is that of a bin of 3 rows" in chapter.warnings
