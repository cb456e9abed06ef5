"""What a circuit strategy is: a way to evaluate the threshold neurons of a layer, and what it costs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from epaas_server.circuits.definitions import Circuit
from epaas_server.engine.batches import Bootstrapper, batches
from epaas_server.strategies.blocks import blocks
from epaas_shared.layers import Layer, Rows
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


@dataclass(frozen=True)
class Run:
    """Some neurons of a layer, for one record."""

    rows: Rows
    bits: Torus
    """The record's inputs of the layer, (inputs, words)."""
    shared: Torus
    """What :meth:`Method.share` made of them, (n, words)."""


class Method(Protocol):
    """How a strategy evaluates the neurons of one layer: what of the whole layer each of them needs to know.

    Small and without state, so that it can be sent to where some of the neurons are evaluated.
    """

    @property
    def shares(self) -> bool:
        """Whether :meth:`share` makes anything."""
        ...

    def share(self, bits: Torus, bootstrap: Bootstrapper) -> Torus:
        """What all neurons need of each record beside its bits: (records, inputs, words) to (records, n, words)."""
        ...

    def evaluate(self, block: Sequence[Run], bootstrap: Bootstrapper) -> Torus:
        """Output bits (n, words), in the order of the runs and of their rows."""
        ...


@dataclass(frozen=True)
class NothingShared:
    """A :class:`Method` whose neurons need nothing but their inputs."""

    shares = False

    def share(self, bits: Torus, bootstrap: Bootstrapper) -> Torus:  # noqa: ARG002
        return np.empty((len(bits), 0, bits.shape[2]), dtype=np.uint64)


class Strategy(ABC):
    """How the neurons of a layer are evaluated on ciphertexts. Stateless; all strategies run on the same keys."""

    name: str
    exact: bool
    """Whether every output bit equals the plain reference."""
    hides_weights: bool
    """Whether the work depends on the layer's shape and range alone, and tells nothing else of its weights (P2)."""

    @abstractmethod
    def refusal(self, layer: Layer, sums: SumRange, profile: Profile) -> str | None:
        """Why this strategy cannot evaluate the layer, None if it can."""

    @abstractmethod
    def work(self, layer: Layer, sums: SumRange, records: int, profile: Profile) -> Work:
        """The work of :meth:`evaluate`."""

    @abstractmethod
    def method(self, layer: Layer, sums: SumRange, profile: Profile) -> Method: ...

    def evaluate(
        self, layer: Layer, sums: SumRange, bits: Torus, profile: Profile, bootstrap: Bootstrapper
    ) -> Iterator[Torus]:
        """From ``bits`` (records, inputs, words), output bits in blocks (n, words), ordered as (records, outputs)."""
        method = self.method(layer, sums, profile)
        shared = method.share(bits, bootstrap)
        for block in blocks(len(bits), layer.outputs):
            runs = [Run(layer.rows(first, end), bits[record], shared[record]) for record, first, end in block]
            yield method.evaluate(runs, bootstrap)
