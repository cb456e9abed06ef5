"""Arithmetic on raw LWE ciphertexts that needs no bootstrap and no key: exact, modulo 2**64.

A full ciphertext is ``profile.ciphertext_words`` 64-bit words, the mask and then the body. A seeded one, as clients
send them, is three: a 128-bit seed that expands to the mask, and the body.
"""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from epaas_shared.frame import SEEDED_BYTES
from epaas_shared.layers import Integers
from epaas_shared.profile import Profile
from epaas_shared.zerokey import Torus

_LIMB_BITS = 16


def expand_seeded(payload: bytes, profile: Profile) -> Torus:
    """Full ciphertexts, shape (count, words), of the seeded ones in ``payload``.

    The generator is that of concrete-python 2.11 (tfhe-rs' concrete-csprng): AES-128 with the seed as key over a
    little-endian 128-bit counter from 0, the first byte of the stream dropped.
    """
    dimension = profile.lwe_dimension
    seeded = np.frombuffer(payload, dtype="<u8").reshape(-1, SEEDED_BYTES // 8)
    counters = np.zeros((dimension // 2 + 1, 2), dtype="<u8")
    counters[:, 0] = np.arange(len(counters))
    counter_bytes = counters.tobytes()
    full = np.empty((len(seeded), dimension + 1), dtype=np.uint64)
    for row, (*seed, body) in zip(full, seeded, strict=True):
        key = np.array(seed, dtype="<u8").tobytes()
        # ECB over distinct counters is counter mode; the library's own CTR counts big-endian.
        stream = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(counter_bytes)  # noqa: S305
        row[:-1] = np.frombuffer(stream, dtype="<u8", count=dimension, offset=1)
        row[-1] = body
    return full


def weighted_sums(weights: Integers, bits: Torus) -> Torus:
    """``weights @ bits`` modulo 2**64: from shapes (neurons, inputs) and (inputs, words) to (neurons, words).

    The work does not depend on the values of the weights (P2). 64-bit words are cut into limbs of 16 bits, whose
    products with small weights are exact in double precision, so that BLAS does it.
    """
    if np.abs(weights).max(initial=0) * weights.shape[1] * 2.0**_LIMB_BITS >= 2.0**53:
        raise ValueError("weights too large for exact sums of limbs")
    factors = weights.astype(np.float64)
    sums = np.zeros((len(weights), bits.shape[1]), dtype=np.uint64)
    for shift in range(0, 64, _LIMB_BITS):
        limb = ((bits >> np.uint64(shift)) & np.uint64((1 << _LIMB_BITS) - 1)).astype(np.float64)
        sums += (factors @ limb).astype(np.int64).astype(np.uint64) << np.uint64(shift)
    return sums


def add_clear(ciphertexts: Torus, messages: Integers | int, shift: int) -> None:
    """Add clear integers times ``2**shift`` to ciphertexts in place; ``messages`` has their shape without the words."""
    ciphertexts[..., -1] += np.asarray(messages, dtype=np.int64).astype(np.uint64) << np.uint64(shift)
