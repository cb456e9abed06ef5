"""Names, shapes and meaning of the circuits of a profile. Knows neither the compiler nor the runtime.

Every circuit takes a batch of ``n`` levelled sums and bootstraps each of them to a bit. The sums themselves are made
outside (``epaas_server.engine.levelled``), exactly and modulo 2**64, from any number of ciphertexts and any clear
weights, so that a model is never compiled. What a circuit must know about a sum is its range and its noise. The range
is that of the encoding. The noise is declared by the clear run-time weights ``w``: the circuit computes ``x @ w``
with ``x`` of shape (n, COLUMNS), and the compiler provides for the noise of any weights up to their largest value.
The engine passes the sum in the first column with weight 1 and nothing in the others, and so may use up the whole
budget in the sum that it brings.
"""

from __future__ import annotations

from dataclasses import dataclass

BATCH_SIZES = (64, 32, 16, 8, 4, 2, 1)
"""Batches that are compiled; a call has a fixed cost, so that a layer goes in few large ones."""

COLUMNS = 2


@dataclass(frozen=True)
class Circuit:
    """``budget_weight`` squared, times COLUMNS, is the squared norm of the weights that the noise allows a sum."""

    name: str
    budget_weight: int
    table: tuple[int, ...] | None
    """For a gate: its output bit for the sums 0 to 3. None for ``dense``: whether the sum has reached the middle."""

    def function(self, batch: int) -> str:
        """Name of the compiled function for a batch of this size."""
        return f"{self.name}_{batch}"

    @property
    def squared_norm_budget(self) -> int:
        return COLUMNS * self.budget_weight**2


DENSE = Circuit("dense", budget_weight=63, table=None)
OR = Circuit("or", budget_weight=3, table=(0, 1, 1, 1))
MAJORITY = Circuit("majority", budget_weight=3, table=(0, 0, 1, 1))
AND3 = Circuit("and3", budget_weight=3, table=(0, 0, 0, 1))
PARITY = Circuit("parity", budget_weight=3, table=(0, 1, 0, 1))

GATES = (OR, MAJORITY, AND3, PARITY)
CIRCUITS = (DENSE, *GATES)
