"""The engine ``ray``: blocks of a layer's neurons on the machines of a Ray cluster, results in order (docs/adr/0015).

Keys and a layer's input bits go into Ray's object store once; machines fetch them from there, and share neither a file
system nor a blob store with the worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
import structlog
from numpy.typing import NDArray
from ray.exceptions import RayError

from epaas_server.cost import Rates
from epaas_server.engine.cluster.assignment import Assignment, Block
from epaas_server.engine.cluster.fleet import Fleet
from epaas_server.engine.cluster.joining import first_line
from epaas_server.engine.cluster.sizes import ONE_BY_ONE, block_sizes
from epaas_server.engine.cluster.work import Checked, Evaluate, Made, PackedRows, PackedRun, Reference, SentKeys, Share
from epaas_server.engine.engine import EngineFailed
from epaas_server.engine.keys import StoredKeys, bytes_in_memory, take_apart
from epaas_server.engine.keyset_cache import KeysetCache
from epaas_server.engine.limits import MachineLimits
from epaas_server.plan import LayerPlan
from epaas_server.strategies.blocks import runs
from epaas_server.strategies.strategy import Method
from epaas_shared.layers import Layer
from epaas_shared.profile import default_profile
from epaas_shared.zerokey import Torus, ZeroKey

_log = structlog.get_logger()

INPUT_BYTES = 128_000_000
"""Of input bits that are in the object store at once, unless one record of a layer has more."""


@dataclass(frozen=True)
class KeysInStore:
    """A client's evaluation keys in the object store, and what this process needs of them."""

    frame: Reference
    zero_key: ZeroKey


class ClusterEngine:
    """On the machines of ``fleet``; ``read`` gives the frame of keys that are not in the object store."""

    def __init__(self, fleet: Fleet, limits: MachineLimits, read: Callable[[StoredKeys], bytes]) -> None:
        self._fleet = fleet
        self._threads = limits.threads
        self._read = read
        self._profile = default_profile()
        # of the same budget as the machines' own caches, and used in the same order: it knows what they hold
        self._keys = KeysetCache(limits.keyset_cache_bytes, self._put_keys)

    @property
    def held_keys(self) -> tuple[StoredKeys, ...]:
        return self._keys.held

    def check_keys(self, stored: StoredKeys, *, calibrate: bool) -> Rates | None:
        self._keys.discard(stored)
        sent = self._sent(stored)
        trial: Assignment[tuple[Checked]] = Assignment(1, ONE_BY_ONE)
        ((checked,),) = self._fleet.spread(trial, lambda actor, _: [actor.check_keys.remote(sent, calibrate)])
        _log.info("evaluation keys loaded", node=checked.node)
        return checked.rates

    def zero_key(self, stored: StoredKeys) -> ZeroKey:
        return self._keys.get(stored).zero_key

    def evaluate_layer(
        self, layer: Layer, plan: LayerPlan, bits: Torus, stored: StoredKeys, advance: Callable[[int], None]
    ) -> Iterator[Torus]:
        method = plan.strategy_used.method(layer, plan.sums, self._profile)
        step = max(1, INPUT_BYTES // bits[0].nbytes)
        for first in range(0, len(bits), step):
            inputs = [_put(record) for record in bits[first : first + step]]
            records = _LayerRecords(layer, method, self._sent(stored), inputs)
            total = len(inputs) * layer.outputs
            if method.shares:
                shares = self._spread("shared sums", Assignment(len(inputs), ONE_BY_ONE), records.share, advance)
                records.shared = [_put(ciphertexts) for ciphertexts in shares]
            sizes = block_sizes(layer, plan, total, len(self._fleet.ready), self._threads, self._profile)
            yield from self._spread("neurons", Assignment(total, sizes), records.evaluate, advance)

    def _spread(
        self,
        what: str,
        assignment: Assignment[tuple[Made, Torus]],
        begin: Callable[[Any, Block], Sequence[Any]],
        advance: Callable[[int], None],
    ) -> Iterator[Torus]:
        machines: dict[str, dict[str, float]] = {}
        for made, ciphertexts in self._fleet.spread(assignment, begin):
            machine = machines.setdefault(made.node, {"blocks": 0, "ciphertexts": 0, "seconds": 0.0})
            machine["blocks"] += 1
            machine["ciphertexts"] += len(ciphertexts)
            machine["seconds"] = round(machine["seconds"] + made.seconds, 3)
            if made.loaded_keys:
                _log.info("evaluation keys loaded", node=made.node)
            advance(made.bootstraps)
            yield ciphertexts
        _log.info(f"{what} spread", number=assignment.total, repeated=assignment.repeated, machines=machines)

    def _sent(self, stored: StoredKeys) -> SentKeys:
        return SentKeys(stored, self._keys.get(stored).frame)

    def _put_keys(self, stored: StoredKeys) -> tuple[KeysInStore, int]:
        frame = self._read(stored)
        zero_key = take_apart(frame, stored.digest, self._profile).zero_key
        return KeysInStore(_put(np.frombuffer(frame, dtype=np.uint8)), zero_key), bytes_in_memory(self._profile)


@dataclass
class _LayerRecords:
    """A layer and some records' inputs of it, in the object store: what blocks of neurons are cut from."""

    layer: Layer
    method: Method
    keys: SentKeys
    inputs: list[Reference]
    shared: list[Reference] | None = None

    def share(self, actor: Any, block: Block) -> Sequence[Any]:
        references: Sequence[Any] = actor.share.remote(Share(self.method, self.keys, self.inputs[block.start]))
        return references

    def evaluate(self, actor: Any, block: Block) -> Sequence[Any]:
        sent = [
            PackedRun(
                PackedRows.of(self.layer.rows(first, end)),
                self.inputs[record],
                None if self.shared is None else self.shared[record],
            )
            for record, first, end in runs(block.start, block.stop, self.layer.outputs)
        ]
        references: Sequence[Any] = actor.evaluate.remote(Evaluate(self.method, self.keys, sent))
        return references


def _put(array: NDArray[Any]) -> Reference:
    try:
        return Reference(ray.put(np.ascontiguousarray(array)))
    except RayError as error:
        raise EngineFailed(f"the object store takes nothing: {first_line(error)}") from None
