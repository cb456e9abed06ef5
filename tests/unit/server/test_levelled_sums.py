"""Sums of ciphertexts, against Python's integers: exact modulo 2**64, whatever is computed beside them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from epaas_server.engine.levelled import add_clear, weighted_sums
from epaas_shared.layers import Integers
from epaas_shared.profile import Profile
from epaas_shared.zerokey import Torus


def python_sums(weights: Integers, bits: Torus) -> list[list[int]]:
    columns = list(zip(*bits.tolist(), strict=True))
    return [
        [sum(w * x for w, x in zip(row, column, strict=True)) % 2**64 for column in columns] for row in weights.tolist()
    ]


WEIGHTS = st.sampled_from([0, 1, -1, 2, 63, -63, 32767, -32768]) | st.integers(-32768, 32767)


@st.composite
def weights_and_ciphertexts(draw: st.DrawFn) -> tuple[Integers, Torus]:
    inputs, outputs, words = (draw(st.integers(1, most)) for most in (8, 4, 6))
    weights = draw(st.lists(WEIGHTS, min_size=inputs * outputs, max_size=inputs * outputs))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    ciphertexts = random.integers(0, 2**64, (inputs, words), dtype=np.uint64)
    if draw(st.booleans()):
        ciphertexts[:] = np.uint64(2**64 - 1)
    return np.array(weights, dtype=np.int64).reshape(outputs, inputs), ciphertexts


@given(weights_and_ciphertexts())
def test_weighted_sums_are_exact_modulo_the_torus(drawn: tuple[Integers, Torus]) -> None:
    weights, ciphertexts = drawn
    before = ciphertexts.copy()
    sums = weighted_sums(weights, ciphertexts)
    assert sums.dtype == np.uint64
    assert sums.tolist() == python_sums(weights, ciphertexts)
    assert (ciphertexts == before).all()


def test_weighted_sums_of_many_full_ciphertexts_are_exact(profile: Profile) -> None:
    random = np.random.default_rng(1)
    weights = random.integers(-63, 64, (3, 400))
    ciphertexts = random.integers(0, 2**64, (400, profile.ciphertext_words), dtype=np.uint64)
    columns = [0, 1, 777, profile.ciphertext_words - 1]
    sums = weighted_sums(weights, ciphertexts)[:, columns]
    assert sums.tolist() == python_sums(weights, ciphertexts[:, columns])


@given(weights_and_ciphertexts())
def test_weighted_sums_do_not_depend_on_what_is_computed_beside_them(drawn: tuple[Integers, Torus]) -> None:
    weights, ciphertexts = drawn
    together = weighted_sums(weights, ciphertexts)
    for neuron in range(len(weights)):
        assert weighted_sums(weights[[neuron]], ciphertexts).tolist() == together[[neuron]].tolist()


def test_a_sum_of_nothing_is_zero() -> None:
    assert weighted_sums(np.empty((2, 0), dtype=np.int64), np.empty((0, 3), dtype=np.uint64)).tolist() == [[0] * 3] * 2


def test_weights_that_would_make_sums_inexact_are_refused() -> None:
    ciphertexts = np.full((4, 2), 2**64 - 1, dtype=np.uint64)
    exact = np.full((1, 4), 2**34)
    assert weighted_sums(exact, ciphertexts).tolist() == python_sums(exact, ciphertexts)
    with pytest.raises(ValueError, match="too large"):
        weighted_sums(np.full((1, 4), 2**35), ciphertexts)


@given(st.lists(st.integers(-(2**31), 2**31), min_size=1, max_size=5), st.integers(0, 63), st.integers(0, 2**32))
def test_clear_integers_are_added_to_the_bodies_alone(clear: list[int], shift: int, seed: int) -> None:
    before: NDArray[np.uint64] = np.random.default_rng(seed).integers(0, 2**64, (len(clear), 4), dtype=np.uint64)
    after = before.copy()
    add_clear(after, np.array(clear), shift)
    assert (after[:, :-1] == before[:, :-1]).all()
    expected = [(body + (value << shift)) % 2**64 for body, value in zip(before[:, -1].tolist(), clear, strict=True)]
    assert after[:, -1].tolist() == expected
    add_clear(after, -clear[0], shift)
    assert int(after[0, -1]) == int(before[0, -1])
