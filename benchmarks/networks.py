"""The thesis's four networks: ``make bench-networks``. Ends with one line of JSON.

Repeats table 8.2 on this machine: the architectures of its appendix B, with random weights of +1 and -1 and thresholds
at the mean of the sums, since time does not depend on training. A network is evaluated whole if the counts say that it
takes no longer than half an hour, and every layer's decrypted outputs must be the plain ones. Else its seconds are what
the counts say, times what a measured block of neurons took over what they said for it, and ``measured`` is false.

As in the thesis a row ends with the last layer's neurons; ``head`` is what the label takes beside it, an argmax.
"sequential" is this machine; "16-way" and "full", a layer's outputs spread over 16 machines or each on its own, are
counted only, and ``bootstraps`` are then those of the busiest machine.

``--quick`` measures whole only what takes seconds, and writes no files.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from workbench import MACHINE, RESULTS, Workbench, fired, random_bits, random_layer, report, worst_case

from epaas_server.plan import FALLBACK
from epaas_server.strategies import ACCUMULATE, STRATEGIES
from epaas_shared.features import Bits
from epaas_shared.layers import ConvolutionLayer, DenseLayer, Layer
from epaas_shared.network import Network
from epaas_shared.profile import default_profile
from epaas_shared.ranges import SumRange
from epaas_shared.zerokey import Torus

LIMIT = 1800.0
"""Seconds, by the counts, up to which a network is measured whole."""
QUICK_LIMIT = 15.0
BLOCK_SECONDS = 10.0
BLOCK_INPUTS = 2048
GATE_BLOCK_INPUTS = 512
BLOCK_NEURONS = 256
CALIBRATION = 256
"""Records that measured ranges come from."""

PARALLELISM = {"sequential": 1, "16-way": 16, "full": None}
_HOUR = 3600
THESIS: dict[str, dict[tuple[bool, str], float]] = {  # table 8.2, by whether with the +1 trick, and parallelism
    "Cancer": {(False, "sequential"): 3.5, (True, "sequential"): 3.5, (True, "16-way"): 3.5, (False, "full"): 3.5},
    "Diabetes": {(False, "sequential"): 283, (True, "sequential"): 250, (True, "16-way"): 31.5, (False, "full"): 29},
    "Faces": {
        (False, "sequential"): round(763.5 * _HOUR),
        (True, "sequential"): 564 * _HOUR,
        (True, "16-way"): round(33.1 * _HOUR),
        (False, "full"): round(1.3 * _HOUR),
    },
    "MNIST": {
        (False, "sequential"): round(65.1 * _HOUR),
        (True, "sequential"): round(37.22 * _HOUR),
        (True, "16-way"): round(2.41 * _HOUR),
        (False, "full"): 147,
    },
}


@dataclass(frozen=True)
class Way:
    """How a network is evaluated."""

    strategy: str
    ranges: str = "worst-case"
    plus_one: bool = False

    @property
    def label(self) -> str:
        ranges = ", measured ranges" if self.ranges == "measured" else ""
        return self.full_name + ranges

    @property
    def full_name(self) -> str:
        return self.strategy + ("+1" if self.plus_one else "")


WAYS = (
    Way("accumulate"),
    Way("accumulate", "measured"),
    Way("reduce-tree"),
    Way("reduce-tree", plus_one=True),
    Way("reduce-tree-gates"),
    Way("reduce-tree-gates", plus_one=True),
)


@dataclass(frozen=True)
class Planned:
    """A layer and the range of its sums."""

    layer: Layer
    sums: SumRange

    def strategy(self, way: Way) -> str:
        """What a server takes for a layer that the strategy asked for cannot evaluate."""
        refused = STRATEGIES[way.full_name].refusal(self.layer, self.sums, default_profile())
        return FALLBACK if refused and way.strategy == ACCUMULATE.name else way.full_name


def networks() -> dict[str, Network]:
    random = np.random.default_rng(8)

    def convolution(filters: int, channels: int, size: int) -> ConvolutionLayer:
        filter_weights = random_layer(random, filters, channels * 100)
        return ConvolutionLayer(
            filter_weights.weights.reshape(filters, channels, 10, 10), filter_weights.thresholds, size, size
        )

    faces = [convolution(32, 1, 50), *(convolution(32, 32, size) for size in (41, 32, 23)), convolution(1, 32, 14)]
    return {
        "Cancer": Network((random_layer(random, 1, 90),)),
        "Diabetes": Network((random_layer(random, 10, 1704), random_layer(random, 3, 10))),
        "MNIST": Network(
            (
                random_layer(random, 2048, 784),
                *(random_layer(random, 2048, 2048) for _ in range(2)),
                random_layer(random, 10, 2048),
            )
        ),
        "Faces": Network((*faces, random_layer(random, 1, 25))),
    }


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true")
    options.add_argument("--limit", type=float, default=LIMIT, help="seconds up to which a network is measured whole")
    chosen = options.parse_args()
    quick = chosen.quick
    bench = Workbench()
    corrections = {way: correction(bench, way) for way in WAYS if not way.plus_one}
    rows: list[dict[str, Any]] = []
    for task, network in networks().items():
        for way in WAYS:
            beyond_counts = corrections[replace(way, plus_one=False)]
            rows += rows_of(bench, task, network, way, beyond_counts, QUICK_LIMIT if quick else chosen.limit)
    blocks = {way.label: round(value, 3) for way, value in corrections.items()}
    result = {
        "benchmark": "networks",
        "machine": MACHINE,
        "limit_seconds": chosen.limit,
        "blocks_over_counts": blocks,
        "networks": rows,
    }
    if not quick:
        from plots import plot_networks
        from tables import write_tables

        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "networks.json").write_text(json.dumps(result, indent=1) + "\n")
        plot_networks(result, RESULTS / "networks.svg")
        write_tables()
    print(json.dumps(result))


def correction(bench: Workbench, way: Way) -> float:
    """Measured over counted seconds of a block of neurons with many inputs."""
    random = np.random.default_rng(9)
    inputs = BLOCK_INPUTS if way.strategy == ACCUMULATE.name else GATE_BLOCK_INPUTS
    layer, bits = random_layer(random, BLOCK_NEURONS, inputs), random_bits(random, inputs)
    (planned,) = planned_layers(way, (layer,), random_bits(random, CALIBRATION, inputs))
    sums = replace(planned.sums, fresh=False)
    one = bench.predicted(bench.work(way.full_name, first(layer, 1), sums))
    block = first(layer, int(np.clip(BLOCK_SECONDS / one, 1, BLOCK_NEURONS)))
    counted = bench.predicted(bench.work(way.full_name, block, sums))
    run = bench.evaluate(way.full_name, block, sums, bench.encrypt(bits))
    assert (bench.decrypt(run.bits) == fired(block, bits)).all()
    report(f"block of {block.outputs}, {way.label}: {run.seconds:.1f} s, counted {counted:.1f} s")
    return run.seconds / counted


def rows_of(
    bench: Workbench, task: str, network: Network, way: Way, beyond_counts: float, limit: float
) -> Iterator[dict[str, Any]]:
    """The rows of one network evaluated in one way."""
    random = np.random.default_rng(10)
    records = random_bits(random, CALIBRATION, network.inputs)
    body = planned_layers(way, tuple(layer.within_reach() for layer in network.layers), records)
    head: list[Planned] = []
    if network.layers[-1].outputs > 1:
        head = planned_layers(way, network.evaluated_layers, records)[len(network.layers) - 1 :]
    for parallelism, machines in PARALLELISM.items():
        bootstraps, seconds = counted(bench, way, body, machines)
        head_bootstraps, head_seconds = counted(bench, way, head, machines)
        seconds, head_seconds = seconds * beyond_counts, head_seconds * beyond_counts
        measured = machines == 1 and seconds <= limit
        head_measured = measured and head_seconds <= limit
        if measured:
            seconds, took = run(bench, way, network, body, head if head_measured else (), records[0])
            head_seconds = took if head_measured else head_seconds
        row = {
            "task": task,
            "strategy": way.strategy,
            "ranges": way.ranges if way.strategy == "accumulate" else None,
            "plus_one": way.plus_one,
            "label": way.label,
            "parallelism": parallelism,
            "bootstraps": bootstraps,
            "seconds": round(seconds, 3),
            "measured": measured,
            "head": {
                "bootstraps": head_bootstraps,
                "seconds": round(head_seconds, 3),
                "measured": bool(head) and head_measured,
            },
            "thesis_seconds": THESIS[task].get((way.plus_one, parallelism)),
        }
        report(json.dumps(row))
        yield row


def planned_layers(way: Way, layers: Sequence[Layer], records: Bits) -> list[Planned]:
    """The layers with the ranges of their sums: the worst case, or those of records and a quarter more, as a plan."""
    found = []
    for index, layer in enumerate(layers):
        sums = worst_case(layer, fresh=index == 0)
        if way.ranges == "measured":
            seen = np.concatenate([layer.sums(part) for part in np.array_split(records, 16)])
            margin = max(8, (int(seen.max() - seen.min()) + 3) // 4)
            low, high = max(sums.minimum, int(seen.min()) - margin), min(sums.maximum, int(seen.max()) + margin)
            sums = replace(sums, minimum=low, maximum=high, source="measured")
            records = (seen >= 0).astype(np.uint8)
        found.append(Planned(layer, sums))
    return found


def counted(bench: Workbench, way: Way, layers: Sequence[Planned], machines: int | None) -> tuple[int, float]:
    """Bootstraps, and seconds by the counts, of the busiest of so many machines; None for one an output."""
    bootstraps, seconds = 0, 0.0
    for planned in layers:
        neurons = 1 if machines is None else -(-planned.layer.outputs // machines)
        strategy = planned.strategy(way)
        for part, times in portions(planned.layer, neurons, windows=1 if way.plus_one else 8):
            work = bench.work(strategy, part, planned.sums)
            bootstraps += times * work.bootstraps
            seconds += times * bench.predicted(work)
    return bootstraps, seconds


def portions(layer: Layer, neurons: int, windows: int) -> list[tuple[DenseLayer, int]]:
    """Dense layers, and how many of each, that together are so many neurons of ``layer``.

    All filters at a place of the image see the same window: a dense layer, which with the +1 trick shares a sum. All
    windows are full, since nothing is padded.
    """
    if isinstance(layer, DenseLayer):
        return [(first(layer, neurons), 1)]
    assert isinstance(layer, ConvolutionLayer)
    assert layer.padding == (0, 0)
    weights = np.tile(layer.weights.reshape(layer.filters, -1), (windows, 1))
    together = DenseLayer(weights, np.tile(layer.thresholds, windows))
    times, rest = divmod(neurons, together.outputs)
    return [(together, times)] * bool(times) + [(first(together, rest), 1)] * bool(rest)


def first(layer: DenseLayer, neurons: int) -> DenseLayer:
    """Some neurons, among them that of the farthest threshold, on which the sum that +1 shares depends."""
    farthest = int(np.maximum(layer.thresholds, 1 - layer.thresholds).argmax())
    others = np.delete(np.arange(layer.outputs), farthest)
    chosen = np.array([farthest, *others[: neurons - 1]])
    return DenseLayer(layer.weights[chosen], layer.thresholds[chosen])


def run(
    bench: Workbench, way: Way, network: Network, body: Sequence[Planned], head: Sequence[Planned], record: Bits
) -> tuple[float, float]:
    """Seconds of the body and of the head for one record, whose outputs are checked after every layer."""
    bits, ciphertexts = record, bench.encrypt(record)
    before, before_bits, seconds = ciphertexts, bits, 0.0
    for planned in body:
        before, before_bits = ciphertexts, bits
        ciphertexts, bits, took = evaluated(bench, way, planned, ciphertexts, bits)
        seconds += took
    head_seconds = 0.0
    if head:
        ciphertexts, bits = before, before_bits
        for planned in head:
            ciphertexts, bits, took = evaluated(bench, way, planned, ciphertexts, bits)
            head_seconds += took
    if head or len(bits) == 1:
        values = network.head.combination @ bench.decrypt(ciphertexts).astype(np.int64)
        assert (values == network.evaluate(record[None])[0]).all()
    return seconds, head_seconds


def evaluated(
    bench: Workbench, way: Way, planned: Planned, ciphertexts: Torus, bits: Bits
) -> tuple[Torus, Bits, float]:
    """A layer's outputs, encrypted and in the clear, and its seconds."""
    sums = planned.layer.sums(bits[None])
    assert planned.sums.minimum <= sums.min()
    assert sums.max() <= planned.sums.maximum
    run = bench.evaluate(planned.strategy(way), planned.layer, planned.sums, ciphertexts)
    expected = fired(planned.layer, bits)
    assert (bench.decrypt(run.bits) == expected).all()
    report(f"  {planned.layer.inputs} to {planned.layer.outputs}, {way.label}: {run.seconds:.1f} s")
    return run.bits, expected, run.seconds


if __name__ == "__main__":
    main()
