"""The noise is what the circuits were compiled for (docs/adr/0005), and sums at the budget decide right.

Phases are computed with the secret bits, which only a test may do.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from epaas_client.crypto import _secret_bits
from epaas_server.circuits.definitions import DENSE, GATES, Circuit
from epaas_server.circuits.library import ensure_library
from epaas_server.engine.levelled import expand_seeded
from epaas_server.engine.runtime import Circuits, load_keyset
from epaas_server.settings import Settings
from epaas_shared.frame import EvaluationKeysHeader, decode_frame
from epaas_shared.profile import default_profile
from epaas_shared.zerokey import Torus
from tests.conftest import ClientKeys

PROFILE = default_profile()
BATCH = 64
Bootstrap = Callable[[Circuit, Torus], Torus]


@pytest.fixture(scope="module")
def bootstrap(keys: ClientKeys) -> Bootstrap:
    circuits = Circuits(ensure_library(Settings().cache_dir, PROFILE), PROFILE)
    header, payload = decode_frame(keys.frame, EvaluationKeysHeader)
    keyset = load_keyset(payload[: header.keyset_bytes])
    return lambda circuit, sums: circuits.bootstrap(circuit, sums, keyset)


def phases(ciphertexts: Torus, keys: ClientKeys) -> Torus:
    secret = _secret_bits(keys.secret._key, PROFILE)
    return ciphertexts[..., -1] - ciphertexts[..., :-1] @ secret


def messages_and_noise(ciphertexts: Torus, keys: ClientKeys) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Messages modulo 2**(message_bits + 1), and the distance of each phase from its message, in torus units."""
    step = np.uint64(1 << PROFILE.message_shift)
    found = phases(ciphertexts, keys)
    messages = (found + step // np.uint64(2)) // step
    return messages.astype(np.int64), (found - messages * step).astype(np.int64).astype(np.float64)


def encrypt(messages: NDArray[np.int64], keys: ClientKeys) -> Torus:
    """Fresh encryptions of small integers: of ones and zeros, added up in the clear part."""
    ciphertexts = expand_seeded(keys.secret.encrypt_bits(np.zeros(len(messages), dtype=np.uint8)), PROFILE)
    ciphertexts[:, -1] += messages.astype(np.uint64) << np.uint64(PROFILE.message_shift)
    return ciphertexts


def test_every_circuit_computes_its_table(bootstrap: Bootstrap, keys: ClientKeys) -> None:
    for circuit in GATES:
        assert circuit.table is not None
        sums = np.arange(BATCH) % 4
        output, _ = messages_and_noise(bootstrap(circuit, encrypt(sums, keys)), keys)
        np.testing.assert_array_equal(output, np.array(circuit.table)[sums])


def test_dense_is_a_threshold_over_its_whole_range(bootstrap: Bootstrap, keys: ClientKeys) -> None:
    """All 1,024 sums, the two on either side of the threshold and the outermost ones among them."""
    everything = np.arange(PROFILE.sum_maximum - PROFILE.sum_minimum + 1)
    for start in range(0, len(everything), BATCH):
        sums = everything[start : start + BATCH]
        output, _ = messages_and_noise(bootstrap(DENSE, encrypt(sums, keys)), keys)
        np.testing.assert_array_equal(output, sums + PROFILE.sum_minimum >= 0)


def test_sums_of_bootstrapped_bits_at_the_noise_budget_decide_right(bootstrap: Bootstrap, keys: ClientKeys) -> None:
    random = np.random.default_rng(6)
    bits = np.concatenate([bootstrap(DENSE, encrypt(random.integers(0, 1024, BATCH), keys)) for _ in range(4)])
    values, bit_noise = messages_and_noise(bits, keys)
    assert set(values) == {0, 1}
    assert 2**41 < bit_noise.std() < 2**42.2, "the noise of a bootstrapped bit, 2^41.6 by measurement"

    weights = random.integers(-11, 12, (BATCH, len(bits)))
    weights = np.array([shrink(row, PROFILE.squared_norm_budget) for row in weights])
    squared_norms = (weights**2).sum(axis=1)
    assert squared_norms.min() > 0.9 * PROFILE.squared_norm_budget
    totals = weights @ values
    thresholds = totals + random.integers(0, 2, BATCH)  # each sum is on its threshold or one below
    sums = weights.astype(np.uint64) @ bits
    offsets = (-thresholds - PROFILE.sum_minimum).astype(np.uint64)
    sums[:, -1] += offsets << np.uint64(PROFILE.message_shift)
    _, sum_noise = messages_and_noise(sums, keys)
    predicted = bit_noise.std() * np.sqrt(squared_norms.mean())
    assert 0.7 < sum_noise.std() / predicted < 1.4, "noise adds up as for independent bits"
    half_step = 2.0 ** (PROFILE.message_shift - 1)
    assert half_step / predicted > 13.1, "13.1 standard deviations are a failure probability of 2^-128"
    output, _ = messages_and_noise(bootstrap(DENSE, sums), keys)
    np.testing.assert_array_equal(output, totals >= thresholds)


def shrink(weights: NDArray[np.int64], squared_norm: int) -> NDArray[np.int64]:
    """The weights with some of the last set to zero, so that their squares add up to no more than ``squared_norm``."""
    return np.where(np.cumsum(weights**2) <= squared_norm, weights, 0)


def test_a_fresh_bit_has_the_profiles_noise(keys: ClientKeys) -> None:
    _, noise = messages_and_noise(encrypt(np.zeros(2000, dtype=np.int64), keys), keys)
    expected = np.sqrt(PROFILE.encryption["variance"]) * 2.0**64
    assert 0.9 < noise.std() / expected < 1.1
