"""Heads: the layers that are evaluated say exactly what plain arithmetic on the sums says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from epaas_shared.heads import Head, LabelArgmax, LabelBit, Scores, label_digits, labels
from epaas_shared.layers import DenseLayer
from epaas_shared.scores import ScoreScale

SCALES = st.builds(ScoreScale, bits=st.integers(1, 6), minimum=st.integers(-60, 20), step=st.integers(1, 9))


def through_layers(head: Head, sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """The values by the head's layers, after a last layer that takes row r of one-hot bits to ``sums[r]``."""
    thresholds = np.arange(sums.shape[1]) * 7 - 5
    layers = head.layers(DenseLayer(sums.T + thresholds[:, None], thresholds))
    bits = np.eye(len(sums), dtype=np.uint8)
    for layer in layers:
        bits = (layer.sums(bits) >= 0).astype(np.uint8)
    return bits @ head.combination.T


def sums_of(classes: int, spread: int) -> st.SearchStrategy[NDArray[np.int64]]:
    row = st.lists(st.integers(-spread, spread), min_size=classes, max_size=classes)
    return st.lists(row, min_size=1, max_size=8).map(lambda rows: np.array(rows, dtype=np.int64))


@given(sums_of(1, 3))
def test_the_label_of_two_classes_is_the_bit(sums: NDArray[np.int64]) -> None:
    values = LabelBit().values(sums)
    assert values.tolist() == [[int(total >= 0)] for (total,) in sums.tolist()]
    assert through_layers(LabelBit(), sums).tolist() == values.tolist()
    assert LabelBit().indices(values) == values[:, 0].tolist()


@given(st.integers(2, 11).flatmap(lambda classes: sums_of(classes, 2) | sums_of(classes, 1000)))
def test_the_label_is_the_first_class_with_the_greatest_sum(sums: NDArray[np.int64]) -> None:
    head = LabelArgmax(sums.shape[1])
    values = head.values(sums)
    assert values.shape == (len(sums), label_digits(sums.shape[1])) == (len(sums), len(head.combination))
    assert head.indices(values) == sums.argmax(axis=1).tolist()
    assert through_layers(head, sums).tolist() == values.tolist()


def test_exactly_one_class_wins() -> None:
    every = np.array(np.meshgrid(*[[-1, 0, 1]] * 4)).reshape(4, -1).T
    pairs, winners = LabelArgmax(4).layers(DenseLayer(every.T, np.zeros(4, dtype=np.int64)))
    assert (pairs.outputs, winners.outputs) == (6, 4)
    assert set(np.unique(winners.weights)) <= {-1, 0, 1}
    won = winners.sums((pairs.sums(np.eye(len(every), dtype=np.uint8)) >= 0).astype(np.uint8)) >= 0
    assert (won.sum(axis=1) == 1).all()
    assert (won.argmax(axis=1) == every.argmax(axis=1)).all()


@given(st.integers(1, 5).flatmap(lambda classes: sums_of(classes, 100)), SCALES)
def test_scores_are_the_levels_of_their_sums(sums: NDArray[np.int64], scale: ScoreScale) -> None:
    head = Scores(sums.shape[1], scale)
    values = head.values(sums)
    levels = np.clip(np.floor((sums - scale.minimum) / scale.step), 0, 2**scale.bits - 1)
    assert values.tolist() == levels.tolist()
    assert through_layers(head, sums).tolist() == values.tolist()
    assert head.indices(values) == levels.argmax(axis=1).tolist()


@given(SCALES)
def test_a_score_is_the_least_sum_of_its_level(scale: ScoreScale) -> None:
    levels = np.arange(scale.greatest_level + 1)
    least = np.array([scale.score(level) for level in levels])
    head = Scores(1, scale)
    assert head.values(least[:, None])[:, 0].tolist() == levels.tolist()
    assert head.values(least[:, None] - 1)[:, 0].tolist() == np.maximum(levels - 1, 0).tolist()


@given(
    st.integers(1, 6).flatmap(lambda bits: st.tuples(st.just(bits), st.lists(st.integers(0, 2**bits - 1), min_size=1))),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(1, 2**31 - 1),
    st.floats(min_value=0, exclude_min=True, allow_infinity=False),
)
def test_probabilities_are_the_softmax_of_the_scores(
    drawn: tuple[int, list[int]], minimum: int, step: int, temperature: float
) -> None:
    bits, levels = drawn
    scale = ScoreScale(bits=bits, minimum=minimum, step=step, temperature=temperature)
    with np.errstate(over="ignore", under="ignore"):
        logits = (np.array([scale.score(level) for level in levels]) - scale.score(max(levels))) / temperature
        odds = np.exp(logits)
    probabilities = scale.probabilities(levels)
    assert probabilities is not None
    assert np.allclose(probabilities, odds / odds.sum())
    assert sum(probabilities) == pytest.approx(1)
    assert probabilities[levels.index(max(levels))] == max(probabilities)


def test_a_scale_without_a_temperature_keeps_its_bytes_and_gives_no_probabilities() -> None:
    scale = ScoreScale(bits=2, minimum=-3, step=2)
    assert scale.model_dump_json() == '{"bits":2,"minimum":-3,"step":2}'
    assert scale.model_dump(mode="json") == {"bits": 2, "minimum": -3, "step": 2}
    assert scale.probabilities([0, 3]) is None
    warm = scale.model_copy(update={"temperature": 1.7})
    assert warm.model_dump_json() == '{"bits":2,"minimum":-3,"step":2,"temperature":1.7}'
    assert ScoreScale.model_validate_json(warm.model_dump_json()) == warm


@pytest.mark.parametrize(("classes", "digits"), [(2, 1), (3, 2), (4, 2), (5, 3), (43, 6), (64, 6), (65, 7)])
def test_a_label_has_as_many_digits_as_it_needs(classes: int, digits: int) -> None:
    assert label_digits(classes) == digits
    every = np.arange(classes)
    assert labels(every[:, None] >> np.arange(digits) & 1) == every.tolist()


@pytest.mark.parametrize(
    "change",
    [
        {"bits": 0},
        {"bits": 7},
        {"bits": True},
        {"step": 0},
        {"step": 1.0},
        {"minimum": 2**31},
        {"extra": 1},
        {"temperature": 0.0},
        {"temperature": -1.0},
        {"temperature": math.inf},
        {"temperature": math.nan},
        {"temperature": "1"},
    ],
)
def test_a_scale_that_makes_no_sense_is_none(change: dict[str, object]) -> None:
    good = {"bits": 3, "minimum": -4, "step": 2}
    ScoreScale.model_validate(good)
    with pytest.raises(ValidationError):
        ScoreScale.model_validate({**good, **change})
