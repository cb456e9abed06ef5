"""What an evaluation costs, known before it runs: seconds and bytes, from its work and this machine's rates.

The work is exact, since the strategies that do it also count it; the rates are measured once on a machine, with the
first client's evaluation keys (``engine.calibrate``), and then corrected by what evaluations take (``calibration``).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from pydantic import BaseModel, ConfigDict

from epaas_server.circuits.definitions import CIRCUITS, Circuit
from epaas_server.engine.batches import batches as filled_batches
from epaas_server.strategies import Work
from epaas_shared.frame import SEEDED_BYTES
from epaas_shared.profile import Profile

_CIRCUITS = {circuit.name: circuit for circuit in CIRCUITS}


class Rates(BaseModel):
    """How fast a machine is. All but ``call`` and the bootstraps are of work that ``threads`` do together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threads: int
    call: float
    """Seconds of a circuit call that do not depend on the batch: the runtime prepares all bootstrap keys."""
    precise_bootstrap: float
    """Seconds of one thread for a bootstrap whose output is a bit: the last look-up of a sum, a gate."""
    extraction: float
    """Seconds of one thread for a bootstrap that takes the lowest bit off a sum."""
    product: float
    """Seconds for a product of a weight and a ciphertext in a large block."""
    input: float
    """Seconds for expanding one input bit from its seed."""
    value: float
    """Seconds for re-randomising one value of a result."""
    base_bytes: int
    """Memory of an evaluation child with one client's keys."""

    def sum_seconds(self, circuit: Circuit) -> float:
        """One sum through a circuit, by one thread."""
        precise = circuit.bootstraps - circuit.extractions
        return circuit.extractions * self.extraction + precise * self.precise_bootstrap

    def call_seconds(self, circuit: Circuit, batch: int) -> float:
        """One call of a compiled batch; a thread takes every ``threads``-th sum."""
        return self.call + ceil(batch / self.threads) * self.sum_seconds(circuit)


class EvaluationCost(BaseModel):
    """The work of a whole evaluation of one record."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bootstraps: int
    depth: int
    calls: dict[str, dict[int, int]]
    """Calls by circuit and batch."""
    products: int
    peak_ciphertexts: int
    """Most ciphertexts in memory at once, the inputs and outputs of a layer included."""
    inputs: int
    values: int

    @classmethod
    def of(cls, layers: Sequence[Work], sizes: Sequence[tuple[int, int]], values: int) -> EvaluationCost:
        """Of the work of each layer and its numbers of inputs and outputs, for one record."""
        calls: dict[str, dict[int, int]] = {}
        for work in layers:
            for (circuit, batch), times in work.calls.items():
                batches = calls.setdefault(circuit.name, {})
                batches[batch] = batches.get(batch, 0) + times
        return cls(
            bootstraps=sum(work.bootstraps for work in layers),
            depth=sum(work.depth for work in layers),
            calls=calls,
            products=sum(work.products for work in layers),
            peak_ciphertexts=max(
                inputs + work.live_ciphertexts for work, (inputs, _) in zip(layers, sizes, strict=True)
            ),
            inputs=sizes[0][0],
            values=values,
        )

    def seconds(self, rates: Rates, records: int = 1) -> float:
        """Of so many records together, which fill the batches of a call that one record leaves empty."""
        total = 0.0
        for name, batches in self.calls.items():
            circuit = _CIRCUITS[name]
            for batch, times in batches.items():
                sizes = filled_batches(circuit, records * batch)
                total += times * sum(rates.call_seconds(circuit, size) for size in sizes)
        levelled = self.products * rates.product + self.inputs * rates.input + self.values * rates.value
        return total + records * levelled

    def memory_bytes(self, rates: Rates, profile: Profile, records: int = 1) -> int:
        """Peak memory of the evaluation child, at most: with several records blocks are fuller than with one."""
        return rates.base_bytes + records * self.peak_ciphertexts * 8 * profile.ciphertext_words

    def record_bytes(self) -> int:
        return self.inputs * SEEDED_BYTES

    def result_bytes(self, profile: Profile) -> int:
        return self.values * 8 * profile.ciphertext_words
