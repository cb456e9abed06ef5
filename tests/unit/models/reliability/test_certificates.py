"""Certificates of moved numbers and pictures, against everything that they can become."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from enumerated_making import (
    HeadKind,
    depths,
    heads,
    picture_schema,
    random_network,
    seeds,
)
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from epaas_models.reliability.robustness.certificates import picture_certificates, picture_proofs
from epaas_models.reliability.subject import Subject
from epaas_shared.heads import LabelBit
from epaas_shared.layers import DenseLayer
from epaas_shared.network import Network

BUDGETS = (0.02, 0.1, 0.4)


def grid(picture: NDArray[np.float64], distance: float, steps: int) -> NDArray[np.float64]:
    """Pictures within a distance, from black to white: all that have each pixel at one of a few moves."""
    ends = np.clip(np.linspace(picture.ravel() - distance, picture.ravel() + distance, steps), 0, 255)
    return np.array(list(product(*ends.T))).reshape(-1, *picture.shape)


def on_each_side(picture: NDArray[np.float64], distance: float, thresholds: tuple[float, ...]) -> NDArray[np.float64]:
    """Pictures within a distance, of which there is one for all bits that there can be."""
    choices = []
    for value in picture.ravel():
        low, high = max(value - distance, 0), min(value + distance, 255)
        choices.append([low, high, *(level for level in thresholds if low < level <= high)])
    return np.array(list(product(*choices))).reshape(-1, *picture.shape)


@given(
    heads,
    depths,
    st.booleans(),
    st.lists(st.integers(0, 255), min_size=4, max_size=4),
    seeds,
)
def test_no_picture_nearby_is_predicted_otherwise_where_it_is_proven(
    head: HeadKind, hidden: int, standardised: bool, pixels: list[int], seed: int
) -> None:
    thresholds = (-0.4, 0.6) if standardised else (60.0, 130.0)
    schema = picture_schema(thresholds=thresholds, standardised=standardised)
    subject = Subject(random_network(schema, head, hidden, seed), schema, 1.0)
    picture = np.array(pixels, dtype=np.float64).reshape(1, 2, 2)
    clean = subject.predict_columns({"image": picture})[0]
    nearby = [subject.predict_columns({"image": grid(picture[0], budget * 255, 5)}) for budget in BUDGETS]
    for proof in picture_proofs(subject, {"image": picture}, BUDGETS):
        for budget, (proven,), near in zip(BUDGETS, proof.proven, nearby, strict=True):
            if proven:
                assert (near == clean).all()
            elif proof.exact:
                every = on_each_side(picture[0], budget * 255, (60.0, 130.0))
                assert (subject.predict_columns({"image": every}) != clean).any()


@given(st.lists(st.integers(0, 255), min_size=9, max_size=9), seeds)
def test_standardised_pictures_of_three_by_three_in_their_corners(pixels: list[int], seed: int) -> None:
    schema = picture_schema(3, 3, (0.3,), standardised=True)
    subject = Subject(random_network(schema, "argmax", 1, seed), schema, 1.0)
    picture = np.array(pixels, dtype=np.float64).reshape(1, 3, 3)
    clean = subject.predict_columns({"image": picture})[0]
    for proof in picture_proofs(subject, {"image": picture}, (0.01, 0.05)):
        for budget, (proven,) in zip(proof.budgets, proof.proven, strict=True):
            if proven:
                assert (subject.predict_columns({"image": grid(picture[0], budget * 255, 2)}) == clean).all()


def test_sections_count_rows_that_are_right_and_proven() -> None:
    schema = picture_schema(1, 2, (100.0,))
    subject = Subject(Network((DenseLayer(np.array([[1, 1]]), np.array([1])),), LabelBit()), schema, 1.0)
    pictures = np.array([[[200.0, 0.0]], [[110.0, 0.0]], [[110.0, 120.0]], [[0.0, 0.0]]])
    labels = np.array([1, 1, 1, 1])  # the last is wrong
    unchanged, worst = picture_certificates(subject, {"image": pictures}, labels, (0.05, 0.1))
    assert (unchanged.exact, worst.exact) == (False, True)
    assert [point.accuracy.value for point in unchanged.points] == pytest.approx([0.25, 0.25])
    # At 25.5 both pixels of the third can go; at 12.75 only its first, and the other keeps it.
    assert [point.accuracy.value for point in worst.points] == pytest.approx([0.5, 0.25])
    assert [point.budget for point in worst.points] == [0.05, 0.1]
