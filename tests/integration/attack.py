"""The attack on P2: what a client that keeps its random masks can compute from what it gets back."""

from __future__ import annotations

import numpy as np

from epaas_shared.layers import Integers
from epaas_shared.zerokey import Torus


def recover_weights(masks: Torus, result_mask: Torus) -> Integers | None:
    """Integer weights w with ``sum_i w_i masks[i] == result_mask`` modulo 2**64, or None if there are none.

    ``masks`` has shape (inputs, dimension) with fewer inputs than dimensions: the client knows them, since it has
    drawn them (or expands them from the seeds that it has sent). Gaussian elimination with odd, hence invertible,
    pivots.
    """
    inputs = len(masks)
    rows = np.concatenate([masks.T, result_mask[:, None]], axis=1)
    for column in range(inputs):
        odd = np.flatnonzero(rows[column:, column] & np.uint64(1))
        if odd.size == 0:
            raise ArithmeticError("no invertible pivot; random masks always have one")
        pivot = column + int(odd[0])
        rows[[column, pivot]] = rows[[pivot, column]]
        rows[column] *= np.uint64(pow(int(rows[column, column]), -1, 2**64))
        factors = rows[:, column].copy()
        factors[column] = 0
        rows -= factors[:, None] * rows[column]
    if rows[inputs:, inputs].any():
        return None
    return rows[:inputs, inputs].astype(np.int64)
