"""What evaluates layers for the evaluation child: the machine it runs on, or a cluster of machines.

Whichever it is, blocks of neurons are evaluated by the same strategies under the same keys, and the messages are the
same; the noise is not, since each process chooses its Fourier transform by timing. Knows no jobs and no checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from epaas_server.cost import Rates
from epaas_server.engine.keys import StoredKeys
from epaas_server.plan import LayerPlan
from epaas_shared.layers import Layer
from epaas_shared.zerokey import Torus, ZeroKey


class EngineFailed(Exception):
    """What evaluates is gone, and its task should be begun again elsewhere or later; the worker hears of a death."""


class Engine(Protocol):
    """All methods but ``held_keys`` raise errors of the tree, and RuntimeError and MemoryError from the runtime."""

    @property
    def held_keys(self) -> tuple[StoredKeys, ...]:
        """What is in memory, least recently used first."""
        ...

    def check_keys(self, stored: StoredKeys, *, calibrate: bool) -> Rates | None:
        """Read these keys afresh and run every circuit once under them; measure how fast that is, if asked to."""
        ...

    def zero_key(self, stored: StoredKeys) -> ZeroKey:
        """Of these keys, which are then in memory."""
        ...

    def evaluate_layer(
        self, layer: Layer, plan: LayerPlan, bits: Torus, stored: StoredKeys, advance: Callable[[int], None]
    ) -> Iterator[Torus]:
        """Ciphertexts of the layer's output bits, in blocks (n, words) that follow one another as (records, outputs).

        ``bits`` has shape (records, inputs, words), and may be a file mapped into memory. ``advance`` is told numbers
        of bootstraps as they are done.
        """
        ...
