"""Where the time of a layer of 64 neurons goes, and what a second thread gives it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from concrete import compiler
from fixed_cost import FixedCosts
from workbench import (
    THREADS,
    Workbench,
    fired,
    median_seconds,
    random_bits,
    random_layer,
    report,
    worst_case,
)

from epaas_server.circuits.definitions import COLUMNS, Circuit
from epaas_server.engine.transport import from_wire, to_wire

LAYER = 64
_RUNS = 3


def parts_of_layer(bench: Workbench, fixed: FixedCosts, strategy: str, inputs: int) -> dict[str, Any]:
    """A layer of 64 neurons, evaluated, and what of its seconds is not bootstraps."""
    random = np.random.default_rng(1)
    layer, bits = random_layer(random, LAYER, inputs), random_bits(random, inputs)
    sums, ciphertexts = worst_case(layer), bench.encrypt(bits)
    work = bench.work(strategy, layer, sums)
    runs = [bench.evaluate(strategy, layer, sums, ciphertexts) for _ in range(_RUNS)]
    assert all((bench.decrypt(run.bits) == fired(layer, bits)).all() for run in runs)
    run = sorted(runs, key=lambda run: run.seconds)[_RUNS // 2]
    parts = {
        "levelled sums": run.seconds - run.in_calls,
        "wire forms": sum(times * _wire_seconds(bench, *call) for call, times in work.calls.items()),
        "fixed cost of calls": sum(times * fixed.of(circuit) for (circuit, _), times in work.calls.items()),
    }
    parts["bootstraps"] = run.seconds - sum(parts.values())
    found = {
        "strategy": strategy,
        "inputs": inputs,
        "threads": THREADS,
        "circuits": sorted({circuit.name for circuit, _ in work.calls}),
        "bootstraps": work.bootstraps,
        "calls": sum(work.calls.values()),
        "seconds": round(run.seconds, 4),
        "parts_seconds": {name: round(seconds, 4) for name, seconds in parts.items()},
        "share_not_bootstraps": round(1 - parts["bootstraps"] / run.seconds, 4),
    }
    report(json.dumps(found))
    return found


def speed_up(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    """The same layer with one thread and with two."""
    return {
        "inputs": one["inputs"],
        "circuits": one["circuits"],
        "bootstraps": one["bootstraps"],
        "calls": one["calls"],
        "seconds": {"1": one["seconds"], "2": two["seconds"]},
        "speed_up": round(one["seconds"] / two["seconds"], 3),
        "parts_seconds": {"1": one["parts_seconds"], "2": two["parts_seconds"]},
        "share_not_bootstraps": {"1": one["share_not_bootstraps"], "2": two["share_not_bootstraps"]},
    }


def _wire_seconds(bench: Workbench, circuit: Circuit, batch: int) -> float:
    """Sums into the runtime's form and bits out of it, for one call."""
    columns = np.ones((batch, COLUMNS, bench.profile.ciphertext_words), dtype=np.uint64)
    bits = columns[:, 0].repeat(circuit.outputs, axis=0)
    result = compiler.TransportValue.deserialize(to_wire(bits, circuit.message_bits, bench.profile))

    def there() -> None:
        compiler.TransportValue.deserialize(to_wire(columns, circuit.message_bits, bench.profile))

    return median_seconds(there) + median_seconds(lambda: from_wire(result.serialize()))
