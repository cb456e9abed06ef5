"""A machine whose speed is known, and costs of evaluations on it."""

from __future__ import annotations

from typing import Any

from epaas_server.cost import EvaluationCost, Rates

RATES = Rates(
    threads=4,
    call=1.0,
    precise_bootstrap=0.1,
    extraction=0.01,
    product=0.001,
    input=0.0001,
    value=0.00001,
    base_bytes=500_000_000,
)


def cost(**changes: Any) -> EvaluationCost:
    """One call of one threshold circuit, and nothing else."""
    values: dict[str, Any] = {
        "bootstraps": 5,
        "depth": 5,
        "calls": {"threshold6": {1: 1}},
        "products": 0,
        "peak_ciphertexts": 3,
        "inputs": 0,
        "values": 0,
    }
    return EvaluationCost(**{**values, **changes})
