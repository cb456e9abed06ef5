"""Names, shapes and meaning of the circuits of a profile. Knows neither the compiler nor the runtime.

Every circuit takes a batch of ``n`` levelled sums and bootstraps each of them. The sums themselves are made outside
(``epaas_server.engine.levelled``), exactly and modulo 2**64, from any number of ciphertexts and any clear weights, so
that a model is never compiled. What a circuit must know about a sum is its range and its noise.

The range is that of the encoding: ``message_bits`` bits below the padding bit. A bit always leaves a circuit as 0 or 1
in the profile's encoding of 10 bits; a sum of few values may enter a circuit of fewer bits, which takes fewer
bootstraps, if it is made of bits times 2**(10 - message_bits).

The noise is declared by the clear run-time weights ``w``: the circuit computes ``x @ w`` with ``x`` of shape
(n, COLUMNS), and the compiler provides for the noise of any weights up to their largest value. The engine passes the
sum in the first column with weight 1 and nothing in the others, and so may use up the whole budget in the sum that it
brings.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PROFILE_BITS = 10
"""Message bits in which every bit leaves every circuit."""

KEPT_BITS = 2
"""Bits of a sum that are left for the last look-up, after one bootstrap for each of the others (docs/adr/0002)."""

COLUMNS = 2


class Kind(StrEnum):
    """What a circuit computes of a sum."""

    THRESHOLD = "threshold"
    """Whether it has reached the middle of the range, exactly."""
    DIGIT = "digit"
    """Its two top bits, once as a number 0 to 3 and once in their place, so that the caller can take them off."""
    GATE = "gate"
    """Any function of a sum 0 to 3, by a table."""
    STEP = "step"
    """Whether it has reached the middle, by one bootstrap, with an error of some units (``circuits.noise``)."""


@dataclass(frozen=True)
class Circuit:
    name: str
    kind: Kind
    message_bits: int
    budget_weight: int
    """Its square, times COLUMNS, is the squared norm of the weights that the noise allows a sum, in its own units."""
    table: tuple[int, ...] = ()
    """For a gate: its output bit for the sums 0 to 3."""

    def function(self, batch: int) -> str:
        """Name of the compiled function for a batch of this size."""
        return f"{self.name}_{batch}"

    @property
    def extractions(self) -> int:
        """Bits of one sum that are cut off, each by a cheaper bootstrap."""
        return self.message_bits - KEPT_BITS if self.kind in (Kind.THRESHOLD, Kind.DIGIT) else 0

    @property
    def bootstraps(self) -> int:
        """Bootstraps of one sum."""
        return self.extractions + self.outputs

    @property
    def outputs(self) -> int:
        """Ciphertexts that come out for one sum."""
        return 2 if self.kind is Kind.DIGIT else 1

    @property
    def scale(self) -> int:
        """log2 of the factor by which the bits of an exact sum are multiplied before they enter."""
        return 0 if self.kind is Kind.STEP else PROFILE_BITS - self.message_bits

    @property
    def half_range(self) -> int:
        """A threshold decides sums from -half_range to half_range - 1 around it."""
        return 1 << (self.message_bits - 1)

    @property
    def squared_norm_budget(self) -> int:
        """Largest squared norm of the weights of bootstrapped bits, before they are multiplied."""
        return COLUMNS * self.budget_weight**2 >> (2 * self.scale)

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """Batches that are compiled, largest first; a call has a fixed cost, so that a layer goes in few large ones.

        The fixed cost is that of about nine bootstraps, so that cheap circuits want larger batches.
        """
        largest = 256 if self.bootstraps == 1 else 64
        return tuple(1 << power for power in range(largest.bit_length() - 1, -1, -1))

    @property
    def worth_padding(self) -> int:
        """Idle places in a batch that are cheaper than another call."""
        return 8 if self.bootstraps == 1 else 2


def _threshold(message_bits: int, budget_weight: int) -> Circuit:
    return Circuit(f"threshold{message_bits}", Kind.THRESHOLD, message_bits, budget_weight)


def _gate(name: str, *table: int) -> Circuit:
    return Circuit(name, Kind.GATE, PROFILE_BITS, 7, table)


THRESHOLDS = (_threshold(6, 63), _threshold(7, 126), _threshold(8, 126), _threshold(9, 63), _threshold(10, 63))
"""Cheapest first. Larger budgets would make the compiler take the dearer bootstrap key for every bit."""

DIGIT = Circuit("digit", Kind.DIGIT, PROFILE_BITS, 63)

MAJORITY = _gate("majority", 0, 0, 1, 1)
AND3 = _gate("and3", 0, 0, 0, 1)
PARITY = _gate("parity", 0, 1, 0, 1)
GATES = (MAJORITY, AND3, PARITY)

STEP = Circuit("step", Kind.STEP, KEPT_BITS, 1)

MODULES: dict[str, tuple[Circuit, ...]] = {
    "exact10": (THRESHOLDS[-1], DIGIT, *GATES),
    **{f"exact{circuit.message_bits}": (circuit,) for circuit in THRESHOLDS[:-1]},
    "approximate": (STEP,),
}
"""Circuits that are compiled together; one module has one width."""

CIRCUITS = tuple(circuit for circuits in MODULES.values() for circuit in circuits)
