"""Expanding seeded ciphertexts, against the runtime that made them."""

from __future__ import annotations

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray
from server_making import SHIFT, phases
from tests.conftest import ClientKeys

from epaas_server.engine.levelled import add_clear, expand_seeded, weighted_sums
from epaas_shared.layers import DenseLayer
from epaas_shared.profile import Profile

COUNT = 96


@pytest.fixture(scope="module")
def bits() -> NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 2, COUNT, dtype=np.uint8)


@pytest.fixture(scope="module")
def payload(keys: ClientKeys, bits: NDArray[np.uint8]) -> bytes:
    return keys.secret.encrypt_bits(bits)


@pytest.fixture(scope="module")
def expanded(payload: bytes, profile: Profile) -> NDArray[np.uint64]:
    return expand_seeded(payload, profile)


def decrypted(keys: ClientKeys, ciphertexts: NDArray[np.uint64]) -> list[int]:
    return keys.secret.decrypt_messages(ciphertexts.astype("<u8").tobytes()).tolist()


def noise(
    ciphertexts: NDArray[np.uint64], bits: NDArray[np.uint8], secret_bits: NDArray[np.uint64]
) -> NDArray[np.float64]:
    messages = bits.astype(np.int64) << SHIFT
    return (phases(ciphertexts, secret_bits) - messages).astype(np.float64)


def test_expanded_ciphertexts_decrypt_to_what_was_encrypted(
    keys: ClientKeys, expanded: NDArray[np.uint64], bits: NDArray[np.uint8], profile: Profile
) -> None:
    assert expanded.shape == (COUNT, profile.ciphertext_words)
    assert expanded.dtype == np.uint64
    assert decrypted(keys, expanded) == bits.tolist()


def test_expanded_ciphertexts_have_the_noise_of_the_profile_and_no_more(
    expanded: NDArray[np.uint64], bits: NDArray[np.uint8], secret_bits: NDArray[np.uint64], profile: Profile
) -> None:
    std = profile.encryption["variance"] ** 0.5 * 2.0**64
    measured = noise(expanded, bits, secret_bits)
    assert 0.6 < np.sqrt((measured**2).mean()) / std < 1.5
    assert np.abs(measured).max() < 7 * std


@pytest.mark.parametrize("offset", [0, 2])
def test_another_offset_in_the_stream_would_be_noticed(
    keys: ClientKeys,
    payload: bytes,
    bits: NDArray[np.uint8],
    secret_bits: NDArray[np.uint64],
    expanded: NDArray[np.uint64],
    offset: int,
) -> None:
    counters = np.zeros((1026, 2), dtype="<u8")
    counters[:, 0] = np.arange(1026)
    for start in range(COUNT):
        seed = payload[24 * start : 24 * start + 16]
        stream = Cipher(algorithms.AES(seed), modes.ECB()).encryptor().update(counters.tobytes())
        assert np.frombuffer(stream, "<u8", 2048, 1).tolist() == expanded[start, :-1].tolist()
        expanded = expanded.copy() if start == 0 else expanded
        expanded[start, :-1] = np.frombuffer(stream, "<u8", 2048, offset)
    assert decrypted(keys, expanded) != bits.tolist()
    assert np.abs(noise(expanded, bits, secret_bits)).max() > 2.0**60


def test_masks_of_different_ciphertexts_differ(expanded: NDArray[np.uint64]) -> None:
    assert len(np.unique(expanded[:, 0])) == COUNT
    assert len(np.unique(expanded[0, :-1])) == expanded.shape[1] - 1


def test_no_ciphertexts_expand_to_none(profile: Profile) -> None:
    assert expand_seeded(b"", profile).shape == (0, profile.ciphertext_words)


def test_weighted_sums_of_real_ciphertexts_decrypt_to_weighted_sums(
    keys: ClientKeys, expanded: NDArray[np.uint64], bits: NDArray[np.uint8], profile: Profile
) -> None:
    random = np.random.default_rng(6)
    weights = random.integers(-3, 4, (8, COUNT))
    thresholds = weights @ bits.astype(np.int64) + np.array([-511, -100, -1, 0, 1, 2, 100, 512])
    sums = weighted_sums(weights, expanded)
    add_clear(sums, 512 - thresholds, profile.message_shift)
    assert decrypted(keys, sums) == (DenseLayer(weights, thresholds).sums(bits[None])[0] + 512).tolist()
    assert decrypted(keys, sums) == [1023, 612, 513, 512, 511, 510, 412, 0]
