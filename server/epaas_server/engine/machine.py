"""One process's circuits and keysets: what evaluates on this machine, by itself or for a cluster.

The engine ``local`` is this, in the evaluation child. Loads the runtime when it is made, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from epaas_server.circuits.definitions import CIRCUITS, Circuit
from epaas_server.cost import Rates
from epaas_server.engine.batches import Batched, Bootstrapper
from epaas_server.engine.calibrate import measure_rates
from epaas_server.engine.evaluate import evaluate_layer
from epaas_server.engine.keys import StoredKeys, bytes_in_memory, take_apart
from epaas_server.engine.keyset_cache import KeysetCache
from epaas_server.engine.limits import MachineLimits
from epaas_server.plan import LayerPlan
from epaas_shared.layers import Layer
from epaas_shared.profile import default_profile
from epaas_shared.zerokey import Torus, ZeroKey


@dataclass(frozen=True)
class ClientKeys:
    """One client's evaluation keys, in memory."""

    keyset: Any
    zero_key: ZeroKey


class Machine:
    """``circuits`` is the folder of the library, ``read`` gives the frame of keys that are not in memory.

    ``OMP_NUM_THREADS`` must say ``limits.threads`` already.
    """

    def __init__(self, circuits: Path, limits: MachineLimits, read: Callable[[StoredKeys], bytes]) -> None:
        from epaas_server.engine.runtime import Circuits, load_keyset  # reads OMP_NUM_THREADS when it is loaded

        self._load_keyset = load_keyset
        self._profile = default_profile()
        self._circuits = Circuits(circuits, self._profile)
        self._threads = limits.threads
        self._read = read
        self._keys = KeysetCache(limits.keyset_cache_bytes, self._load)

    @property
    def held_keys(self) -> tuple[StoredKeys, ...]:
        return self._keys.held

    def check_keys(self, stored: StoredKeys, *, calibrate: bool) -> Rates | None:
        """Also unpacks the keys for the first record."""
        self._keys.discard(stored)
        keys, call = self._keys.get(stored), self._under(stored)
        random = np.random.default_rng()
        for circuit in CIRCUITS:
            call(circuit, random.integers(0, 2**64, (1, self._profile.ciphertext_words), dtype=np.uint64))
        return measure_rates(call, keys.zero_key, self._profile, self._threads) if calibrate else None

    def zero_key(self, stored: StoredKeys) -> ZeroKey:
        return self._keys.get(stored).zero_key

    def evaluate_layer(
        self, layer: Layer, plan: LayerPlan, bits: Torus, stored: StoredKeys, advance: Callable[[int], None]
    ) -> Iterator[Torus]:
        return evaluate_layer(layer, plan, bits, self._profile, self.bootstrapper(stored, advance))

    def bootstrapper(self, stored: StoredKeys, advance: Callable[[int], None]) -> Bootstrapper:
        """For any number of sums, under keys that are loaded now if they are not in memory."""
        return Batched(self._under(stored), advance)

    def _under(self, stored: StoredKeys) -> Bootstrapper:
        keyset = self._keys.get(stored).keyset

        def call(circuit: Circuit, sums: Torus) -> Torus:
            return self._circuits.bootstrap(circuit, sums, keyset)

        return call

    def _load(self, stored: StoredKeys) -> tuple[ClientKeys, int]:
        serialised = take_apart(self._read(stored), stored.digest, self._profile)
        keys = ClientKeys(self._load_keyset(serialised.keyset), serialised.zero_key)
        return keys, bytes_in_memory(self._profile)
