"""The encrypted evaluation, with circuits in the clear: what it does to messages is what the network does."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from clear_circuits import PROFILE, ClearCircuits, messages
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_drawing import thresholds_for
from server_making import trivial

from epaas_server.engine.batches import Batched
from epaas_server.engine.evaluate import combine, evaluate_layer
from epaas_server.plan import LayerPlan
from epaas_server.strategies import STRATEGIES
from epaas_shared.features import Bits, Encoding, NumberFeature
from epaas_shared.heads import Head, LabelArgmax, LabelBit, Scores
from epaas_shared.layers import ConvolutionLayer, DenseLayer, Integers, Layer
from epaas_shared.network import Network
from epaas_shared.ranges import measured_ranges, worst_case_ranges
from epaas_shared.scores import ScoreScale

EXACT = sorted(name for name, strategy in STRATEGIES.items() if strategy.exact)


def encodings_of(random: np.random.Generator, features: int) -> list[Encoding]:
    """Of features of two to four bits, one-hot or thresholds."""
    made: list[Encoding] = []
    for index in range(features):
        edges = tuple(float(edge) for edge in range(1, int(random.integers(2, 4))))
        kind = "one-hot-bins" if random.random() < 0.5 else "thresholds"
        feature = NumberFeature(name=f"f{index}", kind=kind, edges=edges, minimum=0.0, maximum=9.0)
        start = made[-1].bits.stop if made else 0
        made.append(Encoding(slice(start, start + feature.bits), feature.patterns))
    return made


def dense(random: np.random.Generator, inputs: int, outputs: int) -> DenseLayer:
    weights = random.integers(-1, 2, (outputs, inputs))
    return DenseLayer(weights, thresholds_for(weights, random))


def network_of(random: np.random.Generator, inputs: int, head: Head | None, *, convolution: bool) -> Network:
    """Two or three layers, of which the first may be a convolution of the inputs as an image of one row."""
    first: Layer = dense(random, inputs, int(random.integers(1, 9)))
    if convolution:
        weights = random.integers(-1, 2, (2, 1, 1, 2))
        first = ConvolutionLayer(weights, thresholds_for(weights.reshape(2, 2), random), 1, inputs, padding=(0, 1))
    outputs = 1 if head is None else head.outputs
    widths = [first.outputs, *random.integers(1, 9, random.integers(0, 2)).tolist(), outputs]
    return Network((first, *(dense(random, before, after) for before, after in pairwise(widths))), head)


HEADS: dict[str, st.SearchStrategy[Head | None]] = {
    "label bit": st.just(LabelBit()),
    "argmax": st.integers(2, 5).map(LabelArgmax),
    "scores": st.builds(
        Scores,
        classes=st.integers(1, 3),
        scale=st.builds(ScoreScale, bits=st.integers(1, 3), minimum=st.integers(-5, 0), step=st.integers(1, 2)),
    ),
}


def records_of(encodings: Sequence[Encoding], count: int, random: np.random.Generator) -> Bits:
    rows = [encoding.patterns[random.integers(0, len(encoding.patterns), count)] for encoding in encodings]
    return np.concatenate(rows, axis=1)


def encrypted_values(network: Network, plans: Sequence[LayerPlan], records: Bits) -> Integers:
    """(records, values), each layer from the outputs of the one before."""
    bits = trivial(records, 1)
    bootstrap = Batched(ClearCircuits(), lambda _: None)
    for layer, plan in zip(network.evaluated_layers, plans, strict=True):
        blocks = list(evaluate_layer(layer, plan, bits, PROFILE, bootstrap))
        bits = np.concatenate(blocks).reshape(len(records), layer.outputs, 1)
    return messages(combine(network.head, bits))


@pytest.mark.parametrize("head", HEADS)
@settings(max_examples=40)
@given(data=st.data(), seed=st.integers(0, 2**32), convolution=st.booleans())
def test_messages_become_what_the_plain_network_says(
    head: str, data: st.DataObject, seed: int, convolution: bool
) -> None:
    """By any exact strategies, on records that the encodings allow, in the ranges that follow from them."""
    random = np.random.default_rng(seed)
    encodings = encodings_of(random, int(random.integers(1, 6)))
    network = network_of(random, encodings[-1].bits.stop, data.draw(HEADS[head]), convolution=convolution)
    plans = []
    for layer, sums in zip(network.evaluated_layers, worst_case_ranges(network, encodings), strict=True):
        allowed = [name for name in EXACT if STRATEGIES[name].refusal(layer, sums, PROFILE) is None]
        plans.append(LayerPlan(strategy=data.draw(st.sampled_from(allowed)), sums=sums, bootstraps=0))
    records = records_of(encodings, 6, random)
    assert encrypted_values(network, plans, records).tolist() == network.evaluate(records).tolist()


def test_records_within_measured_ranges_are_evaluated_right_by_narrower_circuits() -> None:
    random = np.random.default_rng(8)
    records = random.integers(0, 2, (40, 300)).astype(np.uint8)
    network = Network((dense(random, 300, 50), dense(random, 50, 4)), LabelArgmax(4))
    measured = measured_ranges(network, records)
    free = [Encoding(slice(index, index + 1), np.array([[0], [1]], dtype=np.uint8)) for index in range(300)]
    costs = []
    for ranges in (measured, worst_case_ranges(network, free)):
        plans = [LayerPlan(strategy="accumulate", sums=sums, bootstraps=0) for sums in ranges]
        assert encrypted_values(network, plans, records).tolist() == network.evaluate(records).tolist()
        works = [
            plan.strategy_used.work(layer, plan.sums, 1, PROFILE)
            for layer, plan in zip(network.evaluated_layers, plans, strict=True)
        ]
        costs.append(sum(work.bootstraps for work in works))
    assert costs[0] < costs[1]


@pytest.mark.parametrize(
    "head",
    [LabelBit(), LabelArgmax(5), Scores(2, ScoreScale(bits=6, minimum=0, step=1))],
    ids=["bit", "label", "scores"],
)
def test_values_are_sums_of_bits_with_the_weights_of_the_head_modulo_the_torus(head: Head) -> None:
    random = np.random.default_rng(1)
    ciphertexts = random.integers(0, 2**64, (3, head.combination.shape[1], 4), dtype=np.uint64)
    values = combine(head, ciphertexts)
    assert values.shape == (3, len(head.combination), 4)
    for record, given_bits in zip(values.tolist(), ciphertexts.tolist(), strict=True):
        for value, weights in zip(record, head.combination.tolist(), strict=True):
            words = zip(*given_bits, strict=True)
            assert value == [sum(w * x for w, x in zip(weights, word, strict=True)) % 2**64 for word in words]
