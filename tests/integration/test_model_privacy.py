"""P2: the client learns nothing of the model but the prediction.

The attack comes first: it must succeed on a levelled result, else its failure on a real result would mean nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from epaas_server.engine.evaluate import batches, bootstraps
from epaas_server.engine.levelled import expand_seeded, weighted_sums
from epaas_server.engine.rerandomise import rerandomise
from epaas_shared.frame import EvaluationKeysHeader, RecordHeader, ResultHeader, decode_frame
from epaas_shared.network import DenseLayer, Network
from epaas_shared.profile import default_profile
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
    levelled = weighted_sums(NEURON.layers[0], ciphertexts[None], PROFILE)[0, 0]
    recovered = recover_weights(ciphertexts[:, :-1], levelled[:-1])
    np.testing.assert_array_equal(recovered, NEURON.layers[0].weights[0])


def test_a_levelled_result_hidden_by_noise_alone_still_gives_all_weights_away(keys: ClientKeys) -> None:
    """Noise is in the body; the attack reads the mask."""
    _, ciphertexts = encrypted_record(keys)
    levelled = weighted_sums(NEURON.layers[0], ciphertexts[None], PROFILE)[0, 0]
    levelled[-1] += np.uint64(2**48)
    recovered = recover_weights(ciphertexts[:, :-1], levelled[:-1])
    np.testing.assert_array_equal(recovered, NEURON.layers[0].weights[0])


def test_what_the_server_returns_gives_no_weights_away(server: Server, keys: ClientKeys, tmp_path: Path) -> None:
    write_bundle(tmp_path, NEURON, TOY_SCHEMA, name="one-neuron")
    assert server.publish(tmp_path).returncode == 0
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
    levelled = weighted_sums(NEURON.layers[0], ciphertexts[None], PROFILE)[0, 0]
    header, payload = decode_frame(keys.frame, EvaluationKeysHeader)
    zero_key = ZeroKey.from_bytes(payload[header.keyset_bytes :], PROFILE.lwe_dimension)
    fresh = rerandomise(levelled, zero_key, PROFILE)
    assert recover_weights(ciphertexts[:, :-1], fresh[:-1]) is None
    decrypted = keys.secret.decrypt_messages(np.concatenate([levelled, fresh]).astype("<u8").tobytes())
    assert decrypted[0] == decrypted[1]


def test_the_work_depends_on_the_shape_of_a_network_and_not_on_its_weights() -> None:
    zeros = Network(tuple(DenseLayer(layer.weights * 0, layer.thresholds * 0) for layer in NEURON.layers))
    assert bootstraps(zeros, PROFILE) == bootstraps(NEURON, PROFILE)
    assert list(batches(zeros.neurons)) == list(batches(NEURON.neurons))
