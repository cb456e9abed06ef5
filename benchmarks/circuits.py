"""One neuron by every circuit, and where a layer's time goes: ``make bench-circuits``. Ends with one line of JSON.

Repeats figure 8.3 of the thesis on this machine, with one thread and with two. A point is evaluated on ciphertexts if
the counts say that it takes no longer than a limit, and its decrypted outcome must be the plain one; else its seconds
are what the counts say, times what the largest measured point of the same circuit took over what they said for it,
and ``measured`` is false. Neurons with the +1 trick share a sum, so that theirs are a 64th of a layer of 64, counted.

``--quick`` takes a minute or two, measures small circuits only, and writes no files.
"""

from __future__ import annotations

import argparse
import json
import statistics
from typing import Any

import numpy as np
from approximate import approximate_error
from fixed_cost import FixedCosts
from layers import LAYER, parts_of_layer, speed_up
from workbench import (
    MACHINE,
    RESULTS,
    THREADS,
    Workbench,
    fired,
    in_process_of,
    random_bits,
    random_layer,
    report,
    worst_case,
)

from epaas_server.strategies import STRATEGIES, Work

TIMED = (
    "accumulate",
    "approximate",
    "reduce-tree",
    "reduce-tree-levelled",
    "reduce-tree-gates",
    "sorting-network",
    "sorting-network-bitonic",
)
PLUS_ONE = ("reduce-tree", "reduce-tree-levelled", "reduce-tree-gates", "sorting-network", "sorting-network-bitonic")
INPUTS = (8, 16, 32, 64, 128, 256, 512, 784, 1024)
SHARED_INPUTS = (64, 256, 784)
QUICK_INPUTS = (8, 64, 784)
LIMIT = 60.0
"""Seconds of two threads, by the counts, up to which a point is measured."""
QUICK_LIMIT = 4.0


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true")
    options.add_argument("--worker", action="store_true", help="measure with the threads of this process")
    chosen = options.parse_args()
    if chosen.worker:
        print(json.dumps(measure(quick=chosen.quick)))
        return
    arguments = ["--worker", *(["--quick"] if chosen.quick else [])]
    one, two = (in_process_of(threads, __file__, *arguments) for threads in (1, 2))
    result = {
        "benchmark": "circuits",
        "machine": {**MACHINE, "threads": [1, 2]},
        "circuits": one["circuits"] + two["circuits"],
        "ratios": ratios(two["circuits"]),
        "layer64": {name: speed_up(layer, two["layers"][name]) for name, layer in one["layers"].items()},
        "fixed_cost": [one["fixed_cost"], two["fixed_cost"]],
        "approximate_error": two["approximate_error"],
    }
    if not chosen.quick:
        from plots import plot_approximate, plot_circuits
        from tables import write_tables

        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "circuits.json").write_text(json.dumps(result, indent=1) + "\n")
        plot_circuits(result, RESULTS / "circuits.svg")
        plot_approximate(result, RESULTS / "approximate.svg")
        write_tables()
    print(json.dumps(result))


def measure(*, quick: bool) -> dict[str, Any]:
    """Everything with the threads of this process."""
    bench = Workbench()
    fixed = FixedCosts(bench)
    measured = {
        "circuits": figure(bench, quick=quick),
        "layers": {
            "accumulate": parts_of_layer(bench, fixed, "accumulate", 784),
            "reduce-tree": parts_of_layer(bench, fixed, "reduce-tree", 8 if quick else 16),
        },
        "fixed_cost": fixed.where(),
    }
    if THREADS > 1:
        measured["approximate_error"] = approximate_error(bench, samples=32 if quick else 64)
    return measured


def figure(bench: Workbench, *, quick: bool) -> list[dict[str, Any]]:
    random = np.random.default_rng(0)
    beyond_counts: dict[str, float] = {}
    """Seconds over what the counts say, at the largest measured point of each circuit."""
    limit = (QUICK_LIMIT if quick else LIMIT) * THREADS / 2
    rows = []
    for inputs in QUICK_INPUTS if quick else INPUTS:
        neuron, bits = random_layer(random, 1, inputs), random_bits(random, inputs)
        sums, ciphertexts = worst_case(neuron), bench.encrypt(bits)
        for strategy in TIMED:
            if STRATEGIES[strategy].refusal(neuron, sums, bench.profile):
                continue
            work = bench.work(strategy, neuron, sums)
            counted = bench.predicted(work)
            measured = counted <= limit
            if measured:
                runs = [bench.evaluate(strategy, neuron, sums, ciphertexts) for _ in range(3 if counted < 1 else 1)]
                if strategy != "approximate":
                    assert all((bench.decrypt(run.bits) == fired(neuron, bits)).all() for run in runs)
                seconds = statistics.median(run.seconds for run in runs)
                beyond_counts[strategy] = seconds / counted
            else:
                seconds = counted * beyond_counts.get(strategy, 1.0)
            rows.append(row(strategy, inputs, 1, work, seconds, measured=measured))
        if inputs in SHARED_INPUTS:
            layer = random_layer(random, LAYER, inputs)
            for strategy in PLUS_ONE[:3] if quick else PLUS_ONE:
                for name in (strategy, f"{strategy}+1"):
                    work = bench.work(name, layer, sums)
                    seconds = bench.predicted(work) * beyond_counts.get(strategy, 1.0)
                    rows.append(row(name, inputs, LAYER, work, seconds / LAYER, measured=False))
    return rows


def row(strategy: str, inputs: int, neurons: int, work: Work, seconds: float, *, measured: bool) -> dict[str, Any]:
    """One point, a neuron: bootstraps and seconds of a layer of ``neurons`` are divided among them."""
    made = {
        "strategy": strategy,
        "inputs": inputs,
        "neurons": neurons,
        "threads": THREADS,
        "bootstraps": round(work.bootstraps / neurons, 1),
        "depth": work.depth,
        "seconds": round(seconds, 4),
        "measured": measured,
    }
    report(json.dumps(made))
    return made


def ratios(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the circuits cost beside one another, with 784 inputs and two threads."""
    found = {(row["strategy"], row["neurons"]): row for row in rows if row["inputs"] == 784}

    def seconds(slow: str, fast: str) -> dict[str, Any]:
        both = found[slow, 1], found[fast, 1]
        measured = all(row["measured"] for row in both)
        return {"ratio": round(both[0]["seconds"] / both[1]["seconds"], 2), "measured": measured}

    return {
        "reduce-tree / accumulate, seconds": seconds("reduce-tree", "accumulate"),
        "reduce-tree-gates / reduce-tree, seconds": seconds("reduce-tree-gates", "reduce-tree"),
        **{
            f"{name} / {name}+1, bootstraps": {
                "ratio": round(found[name, LAYER]["bootstraps"] / found[f"{name}+1", LAYER]["bootstraps"], 2),
                "measured": False,
            }
            for name in PLUS_ONE
            if (name, LAYER) in found
        },
    }


if __name__ == "__main__":
    main()
