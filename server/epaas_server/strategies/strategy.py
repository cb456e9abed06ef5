"""What a circuit strategy is: a way to evaluate the threshold neurons of a layer, and what it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from epaas_server.circuits.definitions import Circuit
from epaas_server.engine.batches import Bootstrapper, batches
from epaas_shared.layers import Layer
from epaas_shared.profile import Profile
from epaas_shared.ranges import SumRange
from epaas_shared.zerokey import Torus

Calls = Counter[tuple[Circuit, int]]
"""How often each compiled batch of each circuit is called."""


@dataclass(frozen=True)
class Work:
    """What evaluating something takes. Known from the layer and the strategy alone, before anything is evaluated."""

    bootstraps: int = 0
    """Idle places of batches not counted."""
    depth: int = 0
    """Longest chain of bootstraps, each of which needs the one before."""
    calls: Calls = field(default_factory=Counter)
    products: int = 0
    """Products of a weight and a ciphertext, zero weights of dense blocks included."""
    live_ciphertexts: int = 0
    """Most ciphertexts that are in memory at once beside the layer's inputs."""

    def then(self, after: Work) -> Work:
        """This work and then another."""
        return Work(
            self.bootstraps + after.bootstraps,
            self.depth + after.depth,
            self.calls + after.calls,
            self.products + after.products,
            max(self.live_ciphertexts, after.live_ciphertexts),
        )


def calls_of(circuit: Circuit, count: int) -> Calls:
    return Counter((circuit, size) for size in batches(circuit, count))


class Strategy(Protocol):
    """How the neurons of a layer are evaluated on ciphertexts. Stateless; all strategies run on the same keys."""

    @property
    def name(self) -> str: ...

    @property
    def exact(self) -> bool:
        """Whether every output bit equals the plain reference."""
        ...

    @property
    def hides_weights(self) -> bool:
        """Whether the work depends on the layer's shape and range alone, and tells nothing else of its weights (P2)."""
        ...

    def refusal(self, layer: Layer, sums: SumRange, profile: Profile) -> str | None:
        """Why this strategy cannot evaluate the layer, None if it can."""
        ...

    def work(self, layer: Layer, sums: SumRange, records: int, profile: Profile) -> Work: ...

    def evaluate(
        self, layer: Layer, sums: SumRange, bits: Torus, profile: Profile, bootstrap: Bootstrapper
    ) -> Iterator[Torus]:
        """From ``bits`` (records, inputs, words), output bits in blocks (n, words), ordered as (records, outputs)."""
        ...
