"""``reduce-tree`` and ``sorting-network``: layers as boolean circuits, gates of a level in large batches.

The circuits are the thesis's. How many gates there are depends on which weights are zero and on the thresholds, so
that a request's cost says more of a model than its shape: ``hides_weights`` is False (docs/adr/0007).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from epaas_server.circuits.definitions import GATES, Circuit
from epaas_server.engine.batches import Bootstrapper
from epaas_server.engine.levelled import add_clear
from epaas_server.strategies.blocks import blocks
from epaas_server.strategies.comparisons import Comparison
from epaas_server.strategies.netlist import Netlist, Wire
from epaas_server.strategies.neurons import Neuron, PlusOne, neurons, plus_one_of
from epaas_server.strategies.strategy import Calls, Run, Strategy, Work, calls_of
from epaas_shared.layers import DenseLayer, Integers, Layer
from epaas_shared.profile import Profile
from epaas_shared.ranges import SumRange
from epaas_shared.zerokey import Torus

LIVE_CIPHERTEXTS = 1 << 15
"""Gate outputs that are held at once, 512 MiB: as many neurons of a block go together as stay below it."""
_GATHERED = 1024
"""Gate arguments that are added up at once: whole batches."""

Instance = tuple[list[Torus], Neuron]
"""A neuron and the ciphertexts that its sources number."""


@dataclass(frozen=True)
class Gates(Strategy):
    name: str
    comparison: Comparison
    plus_one: bool = False

    exact = True
    hides_weights = False

    def refusal(self, layer: Layer, sums: SumRange, profile: Profile) -> str | None:  # noqa: ARG002
        if self.plus_one and not isinstance(layer, DenseLayer):
            return "the +1 trick shares the sum of all inputs, which the windows of a convolution do not have in common"
        return None

    def work(self, layer: Layer, sums: SumRange, records: int, profile: Profile) -> Work:  # noqa: ARG002
        shared = self._shared(layer)
        total, added = Work(), 0
        if shared is not None:
            netlist = shared.total(self.comparison)
            total, added = total.then(_work([netlist] * records)), netlist.depth
        deepest = 0
        for block in blocks(records, layer.outputs):
            rows = (layer.rows(first, end) for _, first, end in block)
            made = (neuron for one in rows for neuron in neurons(one, self.comparison, shared))
            for group in _groups(([], neuron) for neuron in made):
                netlists = [neuron.netlist for _, neuron in group]
                deepest = max(deepest, *(netlist.depth for netlist in netlists))
                total = total.then(_work(netlists))
        return Work(total.bootstraps, deepest + added, total.calls, 0, total.live_ciphertexts)

    def method(self, layer: Layer, sums: SumRange, profile: Profile) -> Built:  # noqa: ARG002
        return Built(self.comparison, self._shared(layer), profile.message_shift)

    def _shared(self, layer: Layer) -> PlusOne | None:
        return plus_one_of(layer, self.comparison) if self.plus_one else None


@dataclass(frozen=True)
class Built:
    """Neurons as netlists."""

    comparison: Comparison
    plus_one: PlusOne | None
    message_shift: int

    @property
    def shares(self) -> bool:
        return self.plus_one is not None

    def share(self, bits: Torus, bootstrap: Bootstrapper) -> Torus:
        if self.plus_one is None:
            return np.empty((len(bits), 0, bits.shape[2]), dtype=np.uint64)
        inputs = np.arange(self.plus_one.inputs)
        total = Neuron(self.plus_one.total(self.comparison), inputs, np.zeros_like(inputs))
        outputs = evaluate_netlists([(list(record), total) for record in bits], bootstrap, self.message_shift)
        return outputs.reshape(len(bits), -1, bits.shape[2])

    def evaluate(self, block: Sequence[Run], bootstrap: Bootstrapper) -> Torus:
        groups = _groups(self._instances(block))
        return np.concatenate([evaluate_netlists(group, bootstrap, self.message_shift) for group in groups])

    def _instances(self, block: Sequence[Run]) -> Iterator[Instance]:
        for run in block:
            sources = [*run.bits, *run.shared]
            for neuron in neurons(run.rows, self.comparison, self.plus_one):
                yield sources, neuron


def _groups(instances: Iterable[Instance]) -> Iterator[list[Instance]]:
    """Neurons that are evaluated together."""
    group: list[Instance] = []
    live = 0
    for sources, neuron in instances:
        needed = max(neuron.netlist.live, default=0)
        if group and live + needed > LIVE_CIPHERTEXTS:
            yield group
            group, live = [], 0
        group.append((sources, neuron))
        live += needed
    if group:
        yield group


def _work(netlists: list[Netlist]) -> Work:
    """The work of netlists that are evaluated together."""
    gates: list[Counter[Circuit]] = []
    live: Counter[int] = Counter()
    for netlist, times in Counter(map(id, netlists)).items():
        same = next(one for one in netlists if id(one) == netlist)
        gates += [Counter() for _ in range(same.depth - len(gates))]
        for level, counts in enumerate(same.gates_by_level):
            for circuit, number in counts.items():
                gates[level][circuit] += number * times
            live[level] += same.live[level] * times
    calls: Calls = Counter()
    for counts in gates:
        for circuit, number in counts.items():
            calls += calls_of(circuit, number)
    bootstraps = sum(counts.total() for counts in gates)
    return Work(bootstraps, len(gates), calls, 0, max(live.values(), default=0) + 2 * _GATHERED)


def evaluate_netlists(instances: list[Instance], bootstrap: Bootstrapper, message_shift: int) -> Torus:
    """The outputs of netlists, (all outputs, words)."""
    values: list[dict[int, Torus]] = [{} for _ in instances]
    for level in range(1, max(neuron.netlist.depth for _, neuron in instances) + 1):
        for circuit in GATES:
            due = [
                (number, gate)
                for number, (_, neuron) in enumerate(instances)
                for gate in neuron.netlist.schedule.get((level, circuit), ())
            ]
            for start in range(0, len(due), _GATHERED):
                part = due[start : start + _GATHERED]
                arguments = (instances[number][1].netlist.gates[gate].argument for number, gate in part)
                sums = _gathered(
                    [(instances[number], values[number]) for number, _ in part], list(arguments), message_shift
                )
                for (number, gate), output in zip(part, bootstrap(circuit, sums), strict=True):
                    values[number][instances[number][1].netlist.inputs + gate] = output
        for (_, neuron), known in zip(instances, values, strict=True):
            for node in neuron.netlist.read_last_at.get(level, ()):
                del known[node]
    wanted = [
        (instance, known, output)
        for instance, known in zip(instances, values, strict=True)
        for output in instance[1].netlist.outputs
    ]
    return _gathered([(instance, known) for instance, known, _ in wanted], [w for _, _, w in wanted], message_shift)


def _gathered(places: list[tuple[Instance, dict[int, Torus]]], wires: list[Wire], message_shift: int) -> Torus:
    """The levelled sums of wires, (wires, words)."""
    words = len(places[0][0][0][0])
    sums = np.zeros((len(wires), words), dtype=np.uint64)
    clear: Integers = np.zeros(len(wires), dtype=np.int64)
    for place, (wire, (((sources, neuron), known))) in enumerate(zip(wires, places, strict=True)):
        clear[place] = wire.constant
        for node, coefficient in wire.terms:
            if node >= neuron.netlist.inputs:
                ciphertext = known[node]
            else:
                ciphertext = sources[neuron.sources[node]]
                if neuron.negated[node]:
                    clear[place] += coefficient
                    coefficient = -coefficient
            if coefficient == 1:
                sums[place] += ciphertext
            else:
                sums[place] += ciphertext * np.uint64(coefficient % 2**64)
    add_clear(sums, clear, message_shift)
    return sums
