"""Ciphertext tensors in the runtime's wire form, and back.

Owns the Cap'n Proto schema; knows no circuits and no keys.
"""

from __future__ import annotations

from importlib import resources
from math import prod
from typing import Any

import capnp
import numpy as np

from epaas_shared.profile import Profile
from epaas_shared.zerokey import Torus

with resources.as_file(resources.files("epaas_server.engine") / "value.capnp") as schema_file:
    _schema: Any = capnp.load(str(schema_file))

_NO_LIMIT = 2**60
"""Words that the reader may visit: values come from the runtime in this process, never from a network."""


def to_wire(ciphertexts: Torus, message_bits: int, profile: Profile) -> bytes:
    """Full ciphertexts of shape (..., words) as the runtime's value of shape (...) of ``message_bits`` bits."""
    shape, words = ciphertexts.shape[:-1], ciphertexts.shape[-1]
    value = _schema.Value.new_message()
    value.payload.init("data", 1)[0] = np.ascontiguousarray(ciphertexts, dtype="<u8").tobytes()
    value.rawInfo.shape.dimensions = [*shape, words]
    value.rawInfo.integerPrecision = 64
    kind = value.typeInfo.init("lweCiphertext")
    kind.abstractShape.dimensions = list(shape)
    kind.concreteShape.dimensions = [*shape, words]
    kind.integerPrecision = 64
    kind.encryption.keyId = profile.encryption["keyId"]
    kind.encryption.variance = profile.encryption["variance"]
    kind.encryption.lweDimension = profile.lwe_dimension
    kind.encryption.modulus.modulus.init("native")
    kind.compression = "none"
    encoding = kind.encoding.init("integer")
    encoding.width = message_bits
    encoding.mode.init("native")
    wire: bytes = value.to_bytes()
    return wire


def from_wire(wire: bytes) -> Torus:
    """The full ciphertexts of a value, shape (..., words)."""
    with _schema.Value.from_bytes(wire, traversal_limit_in_words=_NO_LIMIT) as value:
        shape = tuple(value.rawInfo.shape.dimensions)
        payload = b"".join(value.payload.data)
    if len(payload) != 8 * prod(shape):
        raise ValueError(f"payload of {len(payload)} bytes does not fill the shape {shape}")
    return np.frombuffer(payload, dtype="<u8").astype(np.uint64).reshape(shape)
