"""Fresh masks and covering noise: the message stays, nothing else does."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from server_making import phases, trivial
from tests.conftest import ClientKeys

from epaas_server.engine.rerandomise import encrypt_zero, rerandomise
from epaas_shared.frame import EvaluationKeysHeader, decode_frame
from epaas_shared.profile import Profile
from epaas_shared.zerokey import ZeroKey

SAMPLES = 300
FACTOR = 1.5
"""The standard deviation of 300 samples is within 4 % of the true one two times in three."""


@pytest.fixture(scope="module")
def zero_key(keys: ClientKeys, profile: Profile) -> ZeroKey:
    """As the server reads it from the uploaded frame."""
    header, payload = decode_frame(keys.frame, EvaluationKeysHeader)
    return ZeroKey.from_bytes(payload[header.keyset_bytes :], profile.lwe_dimension)


def decrypted(keys: ClientKeys, ciphertexts: NDArray[np.uint64]) -> list[int]:
    return keys.secret.decrypt_messages(ciphertexts.astype("<u8").tobytes()).tolist()


def test_rerandomised_ciphertexts_decrypt_to_the_same_bits(
    keys: ClientKeys, zero_key: ZeroKey, profile: Profile
) -> None:
    bits = np.random.default_rng(1).integers(0, 2, (3, 8))
    ciphertexts = trivial(bits, profile.ciphertext_words)
    before = ciphertexts.copy()
    fresh = rerandomise(ciphertexts, zero_key, profile)
    assert fresh.shape == ciphertexts.shape
    assert (ciphertexts == before).all()
    assert decrypted(keys, fresh) == bits.reshape(-1).tolist()


def test_no_two_calls_and_no_two_results_look_alike(zero_key: ZeroKey, profile: Profile) -> None:
    ciphertexts = trivial(np.array([1, 1]), profile.ciphertext_words)
    words = np.stack([*rerandomise(ciphertexts, zero_key, profile), *rerandomise(ciphertexts, zero_key, profile)])
    for one in range(4):
        for other in range(one):
            assert (words[one] != words[other]).mean() > 0.99
            assert words[one, -1] != words[other, -1]


@pytest.fixture(scope="module")
def zeros(zero_key: ZeroKey, profile: Profile) -> NDArray[np.uint64]:
    return np.stack([encrypt_zero(zero_key, profile) for _ in range(SAMPLES)])


def test_the_noise_of_an_encrypted_zero_is_that_of_the_theory(
    zeros: NDArray[np.uint64], zero_key: ZeroKey, secret_bits: NDArray[np.uint64], profile: Profile
) -> None:
    """With a key (a, b = a*s + e), random bits u and small e1, e2, the phase is (e*u)_0 + e2 - (e1*s)_0.

    For a given key its variance over u, e1 and e2 is sum(e_i**2)/4 + sigma**2 * (1 + sum(s_i)), since a random bit has
    variance 1/4; and its mean is half the negacyclic sum of e. Over keys as well that is about
    (N/2 + N/2 + 1) sigma**2.
    """
    sigma = profile.encryption["variance"] ** 0.5 * 2.0**64
    dimension = profile.lwe_dimension
    product = np.zeros(dimension, dtype=np.uint64)  # a*s by shifting and adding, not by the function under test
    shifted = zero_key.mask
    for bit in secret_bits:
        product += shifted * bit
        shifted = np.concatenate([np.uint64(0) - shifted[-1:], shifted[:-1]])
    error = (zero_key.body - product).view(np.int64).astype(np.float64)
    assert 0.85 < error.std() / sigma < 1.15  # of 2048 samples: 1.6 % either way two times in three
    mean = (error[0] - error[1:].sum()) / 2
    deviation = np.sqrt((error**2).sum() / 4 + sigma**2 * (1 + float(secret_bits.sum())))

    measured = phases(zeros, secret_bits).astype(np.float64)
    assert 1 / FACTOR < measured.std() / deviation < FACTOR
    assert abs(measured.mean() - mean) < 6 * deviation / np.sqrt(SAMPLES)
    assert 0.5 < np.sqrt((measured**2).mean()) / (sigma * np.sqrt(dimension + 1)) < 2


def test_masks_of_encrypted_zeros_are_uniform(zeros: NDArray[np.uint64]) -> None:
    mask = zeros[:, :-1]
    for shift in (0, 31, 63):
        share = ((mask >> np.uint64(shift)) & np.uint64(1)).mean()
        assert abs(share - 0.5) < 5 * 0.5 / np.sqrt(mask.size)
    assert len(np.unique(mask)) == mask.size


def test_results_carry_the_covering_noise(zero_key: ZeroKey, secret_bits: NDArray[np.uint64], profile: Profile) -> None:
    results = trivial(np.zeros(SAMPLES), profile.ciphertext_words)
    noise = phases(rerandomise(results, zero_key, profile), secret_bits).astype(np.float64)
    assert profile.result_flooding_log2_std == 48
    assert 1 / FACTOR < noise.std() / 2.0**48 < FACTOR
    assert abs(noise.mean()) < 6 * 2.0**48 / np.sqrt(SAMPLES)
    assert np.abs(noise).max() < 2.0**52  # half a message: it decrypts


def test_a_zero_under_another_key_would_be_noticed(keys: ClientKeys, zero_key: ZeroKey, profile: Profile) -> None:
    foreign = ZeroKey(zero_key.seed, zero_key.body[::-1].copy())
    ciphertexts = rerandomise(trivial(np.zeros(8), profile.ciphertext_words), foreign, profile)
    assert decrypted(keys, ciphertexts) != [0] * 8
