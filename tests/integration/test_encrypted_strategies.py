"""Every strategy says what the plain layer says, bit for bit, on real ciphertexts at full parameters.

Layers are evaluated for a freshly encrypted record, and for one whose bits came out of an encrypted first layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest

from epaas_server.circuits.definitions import PROFILE_BITS, THRESHOLDS
from epaas_server.engine.evaluate import combine
from epaas_server.strategies import ACCUMULATE, STRATEGIES
from epaas_server.strategies.accumulate import narrowest
from epaas_server.strategies.gates import Gates
from epaas_server.strategies.neurons import plus_one_of
from epaas_shared.features import Bits
from epaas_shared.heads import Head, LabelArgmax, Scores
from epaas_shared.layers import DenseLayer, Integers
from epaas_shared.network import Network
from epaas_shared.scores import ScoreScale
from epaas_shared.zerokey import Torus
from tests.integration.ciphertexts import PROFILE, Bench, reach

EVALUATIONS = 2000
"""How many neurons are evaluated at least, over all exact strategies."""


@dataclass(frozen=True)
class Case:
    """A layer of random weights whose sums are around their thresholds, so that both outcomes occur."""

    name: str
    strategies: tuple[str, ...]
    outputs: int
    inputs: int
    weights: tuple[int, ...] = (-1, 0, 1)
    circuit: int | None = None
    """Message bits of the threshold circuit that ``accumulate`` must use, if it does not split."""
    fresh: bool = True
    """Whether there is a freshly encrypted record beside that of bootstrapped bits."""

    @property
    def neurons(self) -> int:
        return self.outputs * (1 + self.fresh)

    @cached_property
    def layer(self) -> DenseLayer:
        random = np.random.default_rng([self.outputs, self.inputs])
        weights = random.choice(np.array(self.weights), (self.outputs, self.inputs))
        spread = np.sqrt((weights**2).sum(axis=1)) / 2
        thresholds = weights.sum(axis=1) / 2 + spread * random.permutation(np.linspace(-1.2, 1.2, self.outputs))
        return DenseLayer(weights, np.rint(thresholds).astype(np.int64)).within_reach()


GATES = tuple(name for name, strategy in STRATEGIES.items() if isinstance(strategy, Gates))
PLAIN = tuple(name for name in GATES if not name.endswith("+1"))
PLUS_ONE = tuple(name for name in GATES if name.endswith("+1"))
MOSTLY_ONE = (1,) * 9 + (-1,)
"""Few of these weights are negative, so that the +1 trick adds few inputs."""

FIRST = Case("first", ("accumulate",), 256, 24)

CASES = (
    Case("64 sums", ("accumulate",), 260, 30, circuit=6),
    Case("128 sums", ("accumulate",), 120, 80, circuit=7),
    Case("256 sums", ("accumulate",), 80, 180, circuit=8),
    Case("512 sums", ("accumulate",), 70, 400, circuit=9),
    Case("1,024 sums", ("accumulate",), 60, 850, circuit=10),
    Case("integers", ("accumulate",), 30, 40, tuple(range(-15, 16)), circuit=10),
    Case("split in two", ("accumulate",), 12, 1500, (-1, 1)),
    Case("split in four", ("accumulate",), 4, 4095, (-1, 1)),
    Case("narrow", PLAIN, 24, 5),
    Case("small integers", PLAIN, 4, 5, (-2, -1, 0, 1, 2)),
    Case("wide trees", tuple(name for name in PLAIN if name.startswith("reduce-tree")), 2, 24, (-1, 1)),
    Case("wide networks", tuple(name for name in PLAIN if name.startswith("sorting")), 2, 13, (-1, 1)),
    Case("shared total", PLUS_ONE, 28, 26, MOSTLY_ONE, fresh=False),
)


@pytest.fixture(scope="module")
def first_layer(bench: Bench) -> tuple[Bits, Torus]:
    """Bits that came out of a first layer, and their ciphertexts; checked to be what the plain layer says."""
    record = np.random.default_rng(0).integers(0, 2, (1, FIRST.inputs)).astype(np.uint8)
    outputs = bench.evaluate(ACCUMULATE, FIRST.layer, reach(FIRST.layer), bench.encrypt(record))
    bits = (FIRST.layer.sums(record) >= 0).astype(np.uint8)
    np.testing.assert_array_equal(bench.decrypt(outputs), bits)
    return bits[0], outputs[0]


def inputs_of(count: int, bench: Bench, first_layer: tuple[Bits, Torus]) -> tuple[Bits, Torus]:
    """Bits and ciphertexts of two records of ``count`` bits.

    Those of the first are fresh, those of the second come out of the first layer as far as it has so many.
    """
    bits = np.random.default_rng(count).integers(0, 2, (2, count)).astype(np.uint8)
    ciphertexts = bench.encrypt(bits)
    bootstrapped = min(count, len(first_layer[0]))
    bits[1, :bootstrapped] = first_layer[0][:bootstrapped]
    ciphertexts[1, :bootstrapped] = first_layer[1][:bootstrapped]
    return bits, ciphertexts


PAIRS = [(name, case) for case in CASES for name in case.strategies]


@pytest.mark.parametrize(("name", "case"), PAIRS, ids=[f"{name}, {case.name}" for name, case in PAIRS])
def test_a_strategy_says_what_the_plain_layer_says(
    name: str, case: Case, bench: Bench, first_layer: tuple[Bits, Torus]
) -> None:
    layer, sums = case.layer, reach(case.layer)
    assert STRATEGIES[name].refusal(layer, sums, PROFILE) is None
    bits, ciphertexts = inputs_of(layer.inputs, bench, first_layer)
    if not case.fresh:
        bits, ciphertexts = bits[1:], ciphertexts[1:]
    expected = (layer.sums(bits) >= 0).astype(np.int64)
    assert 0 < expected.sum() < expected.size == case.neurons
    found = bench.decrypt(bench.evaluate(STRATEGIES[name], layer, sums, ciphertexts))
    np.testing.assert_array_equal(found, expected)


def test_that_is_enough_neurons_of_every_strategy() -> None:
    evaluated = {name: 0 for name, strategy in STRATEGIES.items() if strategy.exact}
    evaluated["accumulate"] += FIRST.outputs
    for name, case in PAIRS:
        evaluated[name] += case.neurons
    assert sum(evaluated.values()) >= EVALUATIONS
    assert min(evaluated.values()) >= 28


def test_the_layers_are_evaluated_as_they_are_meant_to_be() -> None:
    """By every threshold circuit and by splitting; and, with the +1 trick, by a total that neurons share."""
    meant = {case.circuit for case in CASES if "accumulate" in case.strategies}
    assert meant == {None, *(circuit.message_bits for circuit in THRESHOLDS)}
    for name, case in PAIRS:
        strategy = STRATEGIES[name]
        if isinstance(strategy, Gates):
            assert (plus_one_of(case.layer, strategy.comparison) is not None) or not strategy.plus_one
        else:
            circuit = narrowest(reach(case.layer), PROFILE)
            assert case.circuit == (None if circuit is None else circuit.message_bits)


def network_of(sums: Integers, head: Head) -> tuple[Network, Bits]:
    """A network of one layer that has given sums, (records, outputs), for the records of one bit each."""
    thresholds = np.arange(sums.shape[1]) - 2
    return Network((DenseLayer(sums.T + thresholds[:, None], thresholds),), head), np.eye(len(sums), dtype=np.uint8)


EVERY_ORDER = np.array(np.meshgrid(*[[-1, 0, 1]] * 4)).reshape(4, -1).T
"""Of four classes with three different sums: each has ties."""

LEVELS = np.stack([np.arange(-5, 6), np.arange(5, -6, -1)], axis=1)
"""Sums below, in and above four levels of two units from -3 on."""


@pytest.mark.parametrize(
    ("head", "sums"),
    [
        (LabelArgmax(4), EVERY_ORDER[np.random.default_rng(0).permutation(len(EVERY_ORDER))[:24]]),
        (Scores(2, ScoreScale(bits=2, minimum=-3, step=2)), LEVELS),
    ],
    ids=["argmax of four classes", "scores of two bits"],
)
def test_a_head_says_the_prediction_of_its_sums(bench: Bench, head: Head, sums: Integers) -> None:
    """Layer after layer on the ciphertexts of the one before, and what the client decrypts is the plain value."""
    network, records = network_of(sums, head)
    bits = bench.encrypt(records)
    for layer in network.evaluated_layers:
        bits = bench.evaluate(ACCUMULATE, layer, reach(layer), bits)
    values = bench.decrypt(combine(head, bits))
    np.testing.assert_array_equal(values, network.evaluate(records))
    if isinstance(head, LabelArgmax):
        assert head.indices(values) == sums.argmax(axis=1).tolist()
        assert len({tuple(value) for value in values.tolist()}) == 4
    else:
        np.testing.assert_array_equal(values, np.clip((sums + 3) // 2, 0, 3))


def test_approximate_errs_near_the_threshold_alone(bench: Bench, first_layer: tuple[Bits, Torus]) -> None:
    """Half of the sums that just reach it or just do not come out wrong, and none of those far from it."""
    random = np.random.default_rng(3)
    bits, ciphertexts = inputs_of(600, bench, first_layer)
    weights = random.choice([-1, 1], (400, 600))
    near, far = random.integers(-1, 1, 200), random.integers(61, 110, 200) * random.choice([-1, 1], 200)
    distances = np.concatenate([near, far])
    layer = DenseLayer(weights, weights @ bits[1].astype(np.int64) - distances)
    sums = reach(layer)
    circuit = narrowest(sums, PROFILE)
    assert circuit is not None
    assert circuit.message_bits == PROFILE_BITS, "the sums are not scaled up"
    found = bench.decrypt(bench.evaluate(STRATEGIES["approximate"], layer, sums, ciphertexts[1:]))[0]
    assert set(found.tolist()) <= {0, 1}
    wrong = found != (distances >= 0)
    assert not wrong[200:].any()
    assert 0.3 < wrong[:200].mean() < 0.65
