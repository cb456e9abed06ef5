"""Label noise: how many labels it changes, which, and to what."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from epaas_models.label_noise.injection import flip, randomise


@given(
    rows=st.integers(0, 60),
    classes=st.integers(2, 5),
    rate=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_flip_gives_exactly_so_many_rows_another_class(rows: int, classes: int, rate: float, seed: int) -> None:
    labels = np.random.default_rng(seed + 1).integers(0, classes, rows)
    noisy = flip(labels, rate, classes, seed)
    assert noisy.drawn.sum() == round(rate * rows)
    assert np.array_equal(noisy.wrong, noisy.drawn)
    assert np.array_equal(noisy.labels != labels, noisy.wrong)
    assert set(noisy.labels) <= set(range(classes))


@given(rows=st.integers(0, 60), classes=st.integers(2, 5), rate=st.floats(0, 1), seed=st.integers(0, 2**32 - 1))
def test_random_labels_are_put_on_exactly_so_many_rows(rows: int, classes: int, rate: float, seed: int) -> None:
    labels = np.random.default_rng(seed + 1).integers(0, classes, rows)
    noisy = randomise(labels, rate, classes, seed)
    assert noisy.drawn.sum() == round(rate * rows)
    assert not (noisy.wrong & ~noisy.drawn).any()
    assert np.array_equal(noisy.labels != labels, noisy.wrong)
    assert set(noisy.labels) <= set(range(classes))


def test_other_classes_are_as_likely_as_one_another() -> None:
    """Of 30,000 draws, within five standard deviations of each."""
    labels = np.full(30_000, 2)
    flipped = np.bincount(flip(labels, 1, 4, seed=0).labels, minlength=4)
    assert flipped[2] == 0
    assert flipped[[0, 1, 3]] == pytest.approx(10_000, abs=5 * np.sqrt(30_000 * 2 / 9))
    assert np.bincount(randomise(labels, 1, 4, seed=0).labels) == pytest.approx(7500, abs=5 * np.sqrt(30_000 * 3 / 16))


def test_the_seed_decides_and_labels_are_left_as_they_were() -> None:
    labels = np.arange(100) % 10
    before = labels.copy()
    one, again, other = flip(labels, 0.3, 10, 1), flip(labels, 0.3, 10, 1), flip(labels, 0.3, 10, 2)
    assert np.array_equal(one.labels, again.labels)
    assert not np.array_equal(one.drawn, other.drawn)
    assert np.array_equal(labels, before)


@pytest.mark.parametrize(("rate", "classes"), [(-0.1, 2), (1.1, 2), (0.5, 1)])
def test_there_is_no_such_noise(rate: float, classes: int) -> None:
    for noise in (flip, randomise):
        with pytest.raises(ValueError, match="no noise"):
            noise(np.zeros(3, dtype=np.int64), rate, classes, 0)
