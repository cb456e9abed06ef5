"""Parities and unions of intervals: by hand, against all masks, and against a dense search."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from epaas_models.label_noise.injection import flip
from epaas_models.label_noise.intervals import Parity, Union, bits_of, majorities, parity_intervals


def test_the_thesis_looks_at_the_first_and_third_bit() -> None:
    """Figure 5.6(a): S = {0, 2}."""
    parity = Parity(np.array([1, 0, 1]))
    assert parity.predict(np.array([0.2, 0.8, 2.1, 3.0, 4.0, 5.2, 5.8, 7.0])).tolist() == [0, 1, 0, 1, 1, 0, 1, 0]
    assert bits_of(np.array([6]), 4).tolist() == [[0, 1, 1, 0]]


@given(seed=st.integers(0, 2**32 - 1), bits=st.integers(1, 6), intervals=st.integers(1, 12))
def test_a_parity_is_found_from_true_labels(seed: int, bits: int, intervals: int) -> None:
    """One that agrees with them, whichever that is where there are several; and only if there is one of all masks."""
    random = np.random.default_rng(seed)
    support, mask = random.integers(1, 2**bits, intervals), random.integers(0, 2, bits)
    rows, labels = parity_intervals(50, support, mask, seed)
    assert (np.abs(rows - np.rint(rows)) <= 0.25).all()
    assert np.array_equal(Parity.fitted(rows, labels, bits).predict(rows), labels)
    integers = np.unique(np.rint(rows).astype(np.int64))
    wild = random.integers(0, 2, len(integers))
    masks = [np.array(chosen) for chosen in product((0, 1), repeat=bits)]
    if any(np.array_equal(Parity(chosen).predict(integers.astype(float)), wild) for chosen in masks):
        assert np.array_equal(Parity.fitted(integers.astype(float), wild, bits).predict(integers), wild)
    else:
        with pytest.raises(ValueError, match="no parity"):
            Parity.fitted(integers.astype(float), wild, bits)


def test_the_union_fits_noise_that_the_parity_does_not_and_is_attacked_where_it_does() -> None:
    support, mask = np.array([1, 3, 6]), np.array([1, 0, 1])
    rows, true = parity_intervals(300, support, mask, seed=0)
    noisy = flip(true, 0.1, 2, seed=0)
    union, parity = Union.fitted(rows, noisy.labels), Parity.fitted(rows, noisy.labels, 3)
    assert np.array_equal(union.predict(rows), noisy.labels)
    assert np.array_equal(parity.predict(rows), true)
    assert np.array_equal(np.sort(union.exceptions), np.sort(rows[noisy.wrong]))
    tests, labels = parity_intervals(200, support, mask, seed=1)
    assert np.array_equal(union.predict(tests), labels)
    near = [any(abs(row - wrong) <= 0.01 for wrong in rows[noisy.wrong]) for row in tests]
    assert np.array_equal(union.errors_within(tests, labels, 0.01), near)
    assert 0.1 < np.mean(near) < 1


def test_majorities_are_of_the_rows_near_an_integer() -> None:
    integers, classes = majorities(np.array([2.1, 0.9, 1.8, 2.2, 1.1]), np.array([1, 0, 0, 1, 0]))
    assert (integers.tolist(), classes.tolist()) == ([1, 2], [0, 1])
