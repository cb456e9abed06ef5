"""Fresh masks and covering noise for results, so that what leaves the server says nothing of how it was made (P2).

Each result ciphertext gets its own encryption of zero from the client's zero key, with fresh randomness, and Gaussian
noise that is larger than its own by the ``result_flooding_log2_std`` of the profile. What this is and is not:
docs/limitations.md.
"""

from __future__ import annotations

import numpy as np

from epaas_shared.profile import Profile
from epaas_shared.zerokey import Torus, ZeroKey, constant_coefficient, gaussian, negacyclic_product, uniform_bits


def encrypt_zero(zero_key: ZeroKey, profile: Profile) -> Torus:
    """A fresh LWE encryption of zero under the client's secret key, shape (words,).

    With a random bit polynomial u and small e1, e2 it is the constant coefficient of (a*u + e1, b*u + e2).
    """
    dimension = profile.lwe_dimension
    std = float(np.sqrt(profile.encryption["variance"]) * 2.0**64)
    u = uniform_bits(dimension)
    mask_polynomial = negacyclic_product(zero_key.mask, u) + gaussian(dimension, std)
    zero = np.empty(dimension + 1, dtype=np.uint64)
    zero[:-1] = constant_coefficient(mask_polynomial)
    zero[-1:] = constant_coefficient(zero_key.body) @ u + gaussian(1, std)
    return zero


def rerandomise(results: Torus, zero_key: ZeroKey, profile: Profile) -> Torus:
    """Ciphertexts of the same messages with fresh masks, shape (..., words). No two calls give the same."""
    fresh = results.copy()
    flooding = 2.0**profile.result_flooding_log2_std
    for ciphertext in fresh.reshape(-1, fresh.shape[-1]):
        ciphertext += encrypt_zero(zero_key, profile)
        ciphertext[-1:] += gaussian(1, flooding)
    return fresh
