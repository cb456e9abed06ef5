"""The zero key: a compact public key for encryptions of zero under the client's secret key.

It is one RLWE sample (a, b = a*s + e) over Z[X]/(X^N + 1) modulo 2**64, N the LWE dimension, s the bits of the
client's LWE secret key read as a polynomial, a expanded from a seed. Adding an encryption of zero made from it to a
result gives the result a fresh mask (re-randomisation, P2). The scheme is that of Lyubashevsky, Peikert and Regev
(ePrint 2012/230), as in the compact public keys of TFHE-rs. This module has the format and the arithmetic; the client
makes the key (``epaas_client.crypto``), the server uses it (``epaas_server.engine.rerandomise``). All randomness
comes from the operating system.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from epaas_shared.errors import InvalidEvaluationKeys

Torus = NDArray[np.uint64]
"""Elements of the discretised torus: integers modulo 2**64; numpy's wrap-around is the arithmetic that is wanted."""

SEED_BYTES = 32


@dataclass(frozen=True)
class ZeroKey:
    """``seed`` expands to the polynomial a; ``body`` is b = a*s + e, shape (N,)."""

    seed: bytes
    body: Torus

    @property
    def mask(self) -> Torus:
        """The uniform polynomial a, shape (N,): SHAKE-256 of the seed."""
        stream = hashlib.shake_256(self.seed).digest(8 * len(self.body))
        return np.frombuffer(stream, dtype="<u8").astype(np.uint64)

    def to_bytes(self) -> bytes:
        return self.seed + self.body.astype("<u8").tobytes()

    @staticmethod
    def byte_length(lwe_dimension: int) -> int:
        return SEED_BYTES + 8 * lwe_dimension

    @classmethod
    def from_bytes(cls, data: bytes, lwe_dimension: int) -> ZeroKey:
        if len(data) != cls.byte_length(lwe_dimension):
            raise InvalidEvaluationKeys("the zero key has the wrong length", field="zero_key")
        return cls(data[:SEED_BYTES], np.frombuffer(data[SEED_BYTES:], dtype="<u8").astype(np.uint64))


def negacyclic_product(polynomial: Torus, bits: Torus) -> Torus:
    """``polynomial * bits`` modulo X^N + 1 and 2**64; both of shape (N,), ``bits`` of small values.

    Coefficient k is sum_i bits[i] * polynomial[k - i], with a sign change on wrapping around.
    """
    n = len(polynomial)
    extended = np.concatenate([np.uint64(0) - polynomial, polynomial])
    windows = np.lib.stride_tricks.sliding_window_view(extended, n)[1:]
    product: Torus = windows @ bits[::-1]
    return product


def constant_coefficient(polynomial: Torus) -> Torus:
    """The vector v with <v, bits> = the constant coefficient of ``polynomial * bits``, shape (N,)."""
    return np.concatenate([polynomial[:1], np.uint64(0) - polynomial[:0:-1]])


def uniform_bits(count: int) -> Torus:
    """``count`` uniform bits."""
    packed = np.frombuffer(secrets.token_bytes((count + 7) // 8), dtype=np.uint8)
    return np.unpackbits(packed)[:count].astype(np.uint64)


def gaussian(count: int, std: float) -> Torus:
    """``count`` rounded samples of a centred normal distribution of deviation ``std`` (torus units, < 2**59).

    Box-Muller on 53-bit uniform numbers; the first is never 0, so the logarithm is finite.
    """
    words = np.frombuffer(secrets.token_bytes(16 * count), dtype="<u8").reshape(2, count) >> np.uint64(11)
    radius = np.sqrt(-2.0 * np.log((words[0] + 1.0) * 2.0**-53))
    samples = std * radius * np.cos(2.0 * np.pi * words[1] * 2.0**-53)
    rounded: Torus = np.rint(samples).astype(np.int64).astype(np.uint64)
    return rounded
