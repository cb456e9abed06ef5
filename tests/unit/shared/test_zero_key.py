"""The zero key's format and arithmetic, and the distributions of its randomness."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from epaas_shared.errors import InvalidEvaluationKeys
from epaas_shared.zerokey import SEED_BYTES, ZeroKey, gaussian, negacyclic_product, uniform_bits

WORDS = st.integers(0, 2**64 - 1)
SAMPLES = 200_000
SIGMAS = 5.0
"""A bound of five standard deviations fails by chance once in two million times."""


def slow_product(polynomial: list[int], other: list[int]) -> list[int]:
    """The product as it is taught: multiply, then replace X^N by -1."""
    n = len(polynomial)
    product = [0] * (2 * n)
    for i, left in enumerate(polynomial):
        for j, right in enumerate(other):
            product[i + j] += left * right
    return [(product[k] - product[k + n]) % 2**64 for k in range(n)]


@given(st.lists(st.tuples(WORDS, st.integers(0, 1)), min_size=1, max_size=17))
def test_the_negacyclic_product_is_that_of_polynomials(terms: list[tuple[int, int]]) -> None:
    polynomial, bits = [term[0] for term in terms], [term[1] for term in terms]
    result = negacyclic_product(np.array(polynomial, dtype=np.uint64), np.array(bits, dtype=np.uint64))
    assert result.dtype == np.uint64
    assert result.tolist() == slow_product(polynomial, bits)


@given(st.lists(WORDS, min_size=1, max_size=9))
def test_multiplying_by_x_turns_the_coefficients_and_changes_one_sign(polynomial: list[int]) -> None:
    if len(polynomial) > 1:
        x = np.eye(len(polynomial), dtype=np.uint64)[1]
        turned = negacyclic_product(np.array(polynomial, dtype=np.uint64), x)
        assert turned.tolist() == [-polynomial[-1] % 2**64, *polynomial[:-1]]


@given(st.binary(min_size=SEED_BYTES, max_size=SEED_BYTES), st.lists(WORDS, min_size=1, max_size=9))
def test_a_zero_key_survives_writing_and_reading(seed: bytes, body: list[int]) -> None:
    key = ZeroKey(seed, np.array(body, dtype=np.uint64))
    data = key.to_bytes()
    assert len(data) == ZeroKey.byte_length(len(body))
    again = ZeroKey.from_bytes(data, len(body))
    assert again.seed == seed
    assert again.body.tolist() == body
    assert again.mask.tolist() == key.mask.tolist()


@pytest.mark.parametrize("length", [0, SEED_BYTES, SEED_BYTES + 8 * 3 - 1, SEED_BYTES + 8 * 3 + 1, SEED_BYTES + 8 * 4])
def test_a_zero_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(InvalidEvaluationKeys) as caught:
        ZeroKey.from_bytes(b"\0" * length, 3)
    assert caught.value.field == "zero_key"


def test_the_mask_is_shake_256_of_the_seed() -> None:
    stream = hashlib.shake_256(b"s" * SEED_BYTES).digest(24)
    expected = [int.from_bytes(stream[start : start + 8], "little") for start in (0, 8, 16)]
    assert ZeroKey(b"s" * SEED_BYTES, np.zeros(3, dtype=np.uint64)).mask.tolist() == expected
    assert ZeroKey(b"t" * SEED_BYTES, np.zeros(3, dtype=np.uint64)).mask.tolist() != expected


@pytest.mark.parametrize("std", [16_948.0, 2.0**48])
def test_gaussian_samples_are_centred_normal_and_independent(std: float) -> None:
    samples = gaussian(SAMPLES, std).view(np.int64).astype(np.float64) / std
    error = SIGMAS / math.sqrt(SAMPLES)
    assert abs(samples.mean()) < error
    assert abs(samples.std() - 1) < error / math.sqrt(2)
    assert abs((samples**3).mean()) < error * math.sqrt(15)
    assert abs((samples**4).mean() - 3) < error * math.sqrt(96)
    for bound in (0.5, 1.0, 2.0, 3.0):
        share = math.erf(bound / math.sqrt(2))
        assert abs((np.abs(samples) < bound).mean() - share) < error * math.sqrt(share * (1 - share))
    assert abs((samples[1:] * samples[:-1]).mean()) < error
    assert 4 < np.abs(samples).max() < 7


def test_gaussian_samples_are_rounded_and_not_cut() -> None:
    samples = gaussian(SAMPLES, 0.5).view(np.int64)
    share = math.erf(1 / math.sqrt(2))  # of a sample within half a unit, one standard deviation, of 0
    assert abs((samples == 0).mean() - share) < SIGMAS * math.sqrt(share * (1 - share) / SAMPLES)


def test_no_two_calls_give_the_same() -> None:
    assert (gaussian(64, 1e9) != gaussian(64, 1e9)).any()
    assert (uniform_bits(256) != uniform_bits(256)).any()


@given(st.integers(0, 70))
def test_uniform_bits_are_as_many_bits_as_asked_for(count: int) -> None:
    bits = uniform_bits(count)
    assert bits.shape == (count,)
    assert bits.dtype == np.uint64
    assert set(bits.tolist()) <= {0, 1}


def test_uniform_bits_are_fair_at_every_place_of_a_byte() -> None:
    bits = uniform_bits(SAMPLES).reshape(-1, 8).astype(np.float64)
    error = SIGMAS * 0.5 / math.sqrt(len(bits))
    assert (np.abs(bits.mean(axis=0) - 0.5) < error).all()
    flat = bits.reshape(-1)
    assert abs((flat[1:] == flat[:-1]).mean() - 0.5) < SIGMAS * 0.5 / math.sqrt(SAMPLES)
