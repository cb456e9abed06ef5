"""Ciphertexts under one client's real keys, and the compiled circuits at work on them in this process.

A test may hold the secret key beside the circuits; no part of the product can.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from epaas_server.circuits.definitions import Circuit
from epaas_server.circuits.library import ensure_library
from epaas_server.engine.batches import Batched
from epaas_server.engine.levelled import add_clear, expand_seeded
from epaas_server.engine.runtime import Circuits, load_keyset
from epaas_server.settings import Settings
from epaas_server.strategies import Strategy
from epaas_shared.features import Bits
from epaas_shared.frame import EvaluationKeysHeader, decode_frame
from epaas_shared.layers import Integers, Layer
from epaas_shared.profile import default_profile
from epaas_shared.ranges import SumRange
from epaas_shared.zerokey import Torus
from tests.conftest import ClientKeys

PROFILE = default_profile()


@dataclass(frozen=True)
class Bench:
    """One client and the server's circuits."""

    keys: ClientKeys
    circuits: Circuits
    keyset: Any

    @classmethod
    def of(cls, keys: ClientKeys) -> Bench:
        header, payload = decode_frame(keys.frame, EvaluationKeysHeader)
        circuits = Circuits(ensure_library(Settings().cache_dir, PROFILE), PROFILE)
        return cls(keys, circuits, load_keyset(payload[: header.keyset_bytes]))

    def encrypt(self, messages: Integers | Bits, message_bits: int = PROFILE.message_bits) -> Torus:
        """Fresh ciphertexts, shape (*messages.shape, words): encrypted zeros, and the messages in the clear part."""
        payload = self.keys.secret.encrypt_bits(np.zeros(messages.size, dtype=np.uint8))
        ciphertexts = expand_seeded(payload, PROFILE).reshape(*messages.shape, -1)
        add_clear(ciphertexts, messages.astype(np.int64), 63 - message_bits)
        return ciphertexts

    def decrypt(self, ciphertexts: Torus) -> Integers:
        """Messages in the profile's encoding, as a client finds them."""
        payload = np.ascontiguousarray(ciphertexts, dtype="<u8").tobytes()
        return self.keys.secret.decrypt_messages(payload).reshape(ciphertexts.shape[:-1])

    def bootstrap(self, circuit: Circuit, sums: Torus) -> Torus:
        """Any number of sums through the compiled batches."""
        batched = Batched(lambda one, block: self.circuits.bootstrap(one, block, self.keyset), lambda _: None)
        return batched(circuit, sums)

    def evaluate(self, strategy: Strategy, layer: Layer, sums: SumRange, bits: Torus) -> Torus:
        """Output bits (records, outputs, words) of a layer's inputs (records, inputs, words)."""
        blocks = list(strategy.evaluate(layer, sums, bits, PROFILE, self.bootstrap))
        return np.concatenate(blocks).reshape(len(bits), layer.outputs, -1)


def reach(layer: Layer) -> SumRange:
    """How far a layer's sums of bootstrapped bits reach if every bit is free."""
    low, high = layer.sum_bounds(None)
    return SumRange(int(low.min()), int(high.max()), int(layer.squared_norms().max()), False, "worst-case")
