"""P2: the client learns nothing of the model but the prediction.

The attack comes first: it must succeed on a levelled result, else its failure on a real result would mean nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from epaas_server.bundles import read_bundle
from epaas_server.engine.levelled import expand_seeded, weighted_sums
from epaas_server.engine.rerandomise import rerandomise
from epaas_server.plan import cost_of, make_plan
from epaas_server.strategies import ACCUMULATE, STRATEGIES, Strategy
from epaas_server.strategies.accumulate import narrowest
from epaas_shared.frame import EvaluationKeysHeader, RecordHeader, ResultHeader, decode_frame
from epaas_shared.layers import DenseLayer, Layer
from epaas_shared.network import Network
from epaas_shared.profile import default_profile
from epaas_shared.ranges import SumRange
from epaas_shared.zerokey import Torus, ZeroKey
from tests.conftest import TOY_SCHEMA, ClientKeys, Server, random_network, random_records, write_bundle
from tests.integration.attack import recover_weights

PROFILE = default_profile()
NEURON = random_network(TOY_SCHEMA.bits, (1,), seed=7)


def encrypted_record(keys: ClientKeys) -> tuple[bytes, Torus]:
    """A record frame, and its ciphertexts as the client can expand them from its own seeds, shape (bits, words)."""
    frame = keys.secret.encrypt_records(TOY_SCHEMA.encode(random_records(TOY_SCHEMA, 1, seed=3)), TOY_SCHEMA)
    _, payload = decode_frame(frame, RecordHeader)
    return frame, expand_seeded(payload, PROFILE)


def predict(server: Server, model: str, frame: bytes) -> Torus:
    """What the client gets back, shape (words,)."""
    with server.http() as http:
        prediction = http.post("/v1/predictions", params={"model": model}, content=frame).json()
        http.get(f"/v1/predictions/{prediction['id']}", headers={"Prefer": "wait=30"}).raise_for_status()
        _, payload = decode_frame(http.get(f"/v1/predictions/{prediction['id']}/result").content, ResultHeader)
    return np.frombuffer(payload, dtype="<u8").astype(np.uint64)


def test_a_levelled_result_gives_all_weights_away(keys: ClientKeys) -> None:
    _, ciphertexts = encrypted_record(keys)
    levelled = weighted_sums(NEURON.layers[0].weights, ciphertexts)[0]
    recovered = recover_weights(ciphertexts[:, :-1], levelled[:-1])
    assert recovered is not None
    np.testing.assert_array_equal(recovered, NEURON.layers[0].weights[0])


def test_a_levelled_result_hidden_by_noise_alone_still_gives_all_weights_away(keys: ClientKeys) -> None:
    """Noise is in the body; the attack reads the mask."""
    _, ciphertexts = encrypted_record(keys)
    levelled = weighted_sums(NEURON.layers[0].weights, ciphertexts)[0]
    levelled[-1] += np.uint64(2**48)
    recovered = recover_weights(ciphertexts[:, :-1], levelled[:-1])
    assert recovered is not None
    np.testing.assert_array_equal(recovered, NEURON.layers[0].weights[0])


@pytest.mark.parametrize("strategy", ["accumulate", "approximate", "reduce-tree"])
def test_what_the_server_returns_gives_no_weights_away(
    server: Server, keys: ClientKeys, tmp_path: Path, strategy: str
) -> None:
    write_bundle(tmp_path, NEURON, TOY_SCHEMA, name="one-neuron")
    published = server.publish(tmp_path, "--strategy", strategy)
    assert published.returncode == 0, published.stderr
    frame, ciphertexts = encrypted_record(keys)
    result = predict(server, "one-neuron", frame)
    assert recover_weights(ciphertexts[:, :-1], result[:-1]) is None


def test_the_same_ciphertext_gets_a_fresh_result_each_time(server: Server, keys: ClientKeys) -> None:
    """A bootstrap is deterministic; without re-randomisation the two results would be the same bytes."""
    frame, _ = encrypted_record(keys)
    first, second = predict(server, "toy", frame), predict(server, "toy", frame)
    assert np.mean(first[:-1] == second[:-1]) < 0.01
    messages = keys.secret.decrypt_messages(np.concatenate([first, second]).astype("<u8").tobytes())
    assert messages[0] == messages[1]


def test_re_randomising_makes_even_a_levelled_result_unsolvable(keys: ClientKeys) -> None:
    """The second line of defence holds alone: the mask is fresh even if the bootstrap hid nothing."""
    _, ciphertexts = encrypted_record(keys)
    levelled = weighted_sums(NEURON.layers[0].weights, ciphertexts)[0]
    header, payload = decode_frame(keys.frame, EvaluationKeysHeader)
    zero_key = ZeroKey.from_bytes(payload[header.keyset_bytes :], PROFILE.lwe_dimension)
    fresh = rerandomise(levelled, zero_key, PROFILE)
    assert recover_weights(ciphertexts[:, :-1], fresh[:-1]) is None
    decrypted = keys.secret.decrypt_messages(np.concatenate([levelled, fresh]).astype("<u8").tobytes())
    assert decrypted[0] == decrypted[1]


SHAPE = (7, 40)
SUMS = SumRange(-30, 31, 40, False, "worst-case")
WIDE = SumRange(-900, 900, 900, False, "worst-case")
"""More than one threshold circuit covers: accumulate splits such sums."""


def neurons(weights: Any, thresholds: Any) -> DenseLayer:
    return DenseLayer(np.broadcast_to(weights, SHAPE).astype(np.int64), np.broadcast_to(thresholds, SHAPE[:1]))


RANDOM = np.random.default_rng(5)
SAME_SHAPE = {
    "random": neurons(RANDOM.integers(-1, 2, SHAPE), RANDOM.integers(-9, 9, SHAPE[0])),
    "dense": neurons(1, 20),
    "one weight": neurons(np.eye(SHAPE[0], SHAPE[1]), 1),
    "always on": neurons(-np.eye(SHAPE[0], SHAPE[1]), -1),
}
"""Layers that nobody who pays for them, or times them, may tell from one another."""


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
@pytest.mark.parametrize("records", [1, 40])
def test_the_work_of_a_layer_tells_its_weights_exactly_where_the_strategy_says_so(
    strategy: Strategy, records: int
) -> None:
    works = [strategy.work(layer, SUMS, records, PROFILE) for layer in SAME_SHAPE.values()]
    assert (works.count(works[0]) == len(works)) is strategy.hides_weights


def test_the_work_of_a_wide_layer_depends_on_its_shape_and_largest_weight_alone() -> None:
    random = np.random.default_rng(6)
    layers = [DenseLayer(random.choice([-1, 0, 1], (9, 1800), p=p), np.zeros(9, np.int64)) for p in MIXES]
    works = [ACCUMULATE.work(layer, WIDE, 1, PROFILE) for layer in layers]
    assert narrowest(WIDE, PROFILE) is None, "this is about sums that are split"
    assert works.count(works[0]) == len(works)


MIXES = ([0.5, 0.0, 0.5], [0.01, 0.98, 0.01], [0.0, 0.0, 1.0])


def test_only_accumulate_and_approximate_say_that_they_hide_weights() -> None:
    assert {name for name, strategy in STRATEGIES.items() if strategy.hides_weights} == {"accumulate", "approximate"}


def few_inputs(layer: Layer) -> DenseLayer:
    """Neurons of the first twenty inputs that always fire."""
    return DenseLayer(np.where(np.arange(layer.inputs) < 20, layer.weights, 0), layer.thresholds * 0 - 20)


@pytest.mark.parametrize("strategies", [[], ["accumulate"], ["approximate"]], ids=" ".join)
def test_networks_of_one_shape_have_one_cost(strategies: list[str], tmp_path: Path) -> None:
    """From the bundle to what clients are told, where the sums stay in one class of ranges."""
    random = random_network(TOY_SCHEMA.bits, (9, 4, 1), seed=8)
    networks = {
        "random": random,
        "others": random_network(TOY_SCHEMA.bits, (9, 4, 1), seed=9),
        "zeros": Network(tuple(DenseLayer(layer.weights * 0, layer.thresholds * 0) for layer in random.layers)),
        "always on": Network(tuple(few_inputs(layer) for layer in random.layers)),
    }
    costs = []
    for name, network in networks.items():
        write_bundle(tmp_path / name, network, TOY_SCHEMA)
        bundle = read_bundle(tmp_path / name)
        costs.append(cost_of(bundle, make_plan(bundle, strategies)))
    assert costs[0].bootstraps > 0
    assert costs.count(costs[0]) == len(costs)


def test_a_served_plan_of_gates_is_known_not_to_hide_weights(tmp_path: Path) -> None:
    write_bundle(tmp_path, NEURON, TOY_SCHEMA)
    bundle = read_bundle(tmp_path)
    for name, strategy in STRATEGIES.items():
        assert make_plan(bundle, [name]).hides_weights is strategy.hides_weights
