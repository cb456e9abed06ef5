"""P1, C1 to C3: the guarantees of thesis 8.2.1, each by what would be seen if it did not hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest

from epaas_client import Client
from epaas_client.crypto import SecretKeys
from epaas_server.circuits.library import library_folder
from epaas_server.settings import Settings
from epaas_shared.errors import DecryptionFailed, KeyMismatch, ProfileMismatch
from epaas_shared.frame import RecordHeader, decode_frame, encode_frame
from epaas_shared.profile import default_profile, profile_by_digest
from tests.conftest import (
    TOY_NETWORK,
    TOY_SCHEMA,
    ClientKeys,
    Server,
    random_network,
    random_records,
    upload_keys,
    write_bundle,
)

RECORDS = random_records(TOY_SCHEMA, 4, seed=11)


# P1: nobody but the client learns the record


def test_nothing_that_reaches_the_server_holds_the_secret_key_or_the_record(
    make_server: Callable[..., Server], keys: ClientKeys, tmp_path: Path
) -> None:
    server = make_server()
    write_bundle(tmp_path / "bundle", TOY_NETWORK, TOY_SCHEMA)
    assert server.publish(tmp_path / "bundle").returncode == 0
    upload_keys(server, keys)
    with Client(server.url) as client:
        client.predict("toy", RECORDS, keys.secret)
    secret_words = keys.secret.to_bytes()[-8 * default_profile().lwe_dimension :]
    secret_bits = np.frombuffer(secret_words, dtype="<u8").astype(np.uint8)
    plain_bits = TOY_SCHEMA.encode(RECORDS)
    tell_tales = [
        secret_words[:512],
        secret_bits.tobytes()[:128],
        np.packbits(secret_bits).tobytes()[:32],
        np.packbits(secret_bits, bitorder="little").tobytes()[:32],
        plain_bits[0].tobytes(),
        plain_bits[0].astype("<i8").tobytes()[:256],
        repr(RECORDS[0]["f0"]).encode(),
    ]
    stored = [file.read_bytes() for file in server.data_dir.rglob("*") if file.is_file()]
    assert any(keys.frame[:1000] in content for content in stored), "the search would find what is there"
    for tell_tale in tell_tales:
        assert not any(tell_tale in content for content in stored)


def test_encrypting_the_same_record_twice_gives_unrelated_ciphertexts(keys: ClientKeys) -> None:
    bits = np.zeros((1, TOY_SCHEMA.bits), dtype=np.uint8)
    frames = [keys.secret.encrypt_records(bits, TOY_SCHEMA) for _ in range(2)]
    words = np.concatenate([np.frombuffer(decode_frame(frame, RecordHeader)[1], dtype="<u8") for frame in frames])
    assert len(np.unique(words)) == len(words), "every seed and every body is its own"


def test_another_clients_key_reads_nothing(keys: ClientKeys, other_keys: ClientKeys) -> None:
    ciphertexts = server_side_copy(keys, np.ones((1, TOY_SCHEMA.bits), dtype=np.uint8))
    assert (keys.secret.decrypt_messages(ciphertexts) == 1).all()
    misread = other_keys.secret.decrypt_messages(ciphertexts)
    assert np.isin(misread, (0, 1)).mean() < 0.1, "messages are spread over the whole encoding"


def server_side_copy(keys: ClientKeys, bits: np.ndarray) -> bytes:
    from epaas_server.engine.levelled import expand_seeded

    return expand_seeded(keys.secret.encrypt_bits(bits), default_profile()).astype("<u8").tobytes()


def test_two_keysets_are_never_equal(keys: ClientKeys, other_keys: ClientKeys) -> None:
    assert keys.secret.to_bytes() != other_keys.secret.to_bytes()
    assert keys.digest != other_keys.digest
    size = 4096
    chunks = {keys.frame[start : start + size] for start in range(size, len(keys.frame) - size, size)}
    others = {other_keys.frame[start : start + size] for start in range(size, len(other_keys.frame) - size, size)}
    assert not chunks & others, "no stretch of key material is shared, seeds included"


def test_secret_keys_do_not_print_or_pickle_themselves(keys: ClientKeys) -> None:
    import pickle

    assert "redacted" in repr(keys.secret)
    with pytest.raises(TypeError):
        pickle.dumps(keys.secret)


def test_the_client_refuses_parameters_that_it_does_not_ship(server: Server, keys: ClientKeys) -> None:
    with Client(server.url) as client:
        model = client.model("toy").model_copy(update={"profile": "ab" * 32})
        with pytest.raises(ProfileMismatch):
            client.submit(model, RECORDS[0], keys.secret)
    with pytest.raises(ProfileMismatch):
        profile_by_digest("ab" * 32)


def test_a_result_under_other_keys_is_refused_and_a_swapped_one_does_not_decrypt(
    server: Server, keys: ClientKeys, other_keys: ClientKeys
) -> None:
    with Client(server.url) as client:
        job = client.submit("toy", RECORDS, keys.secret)
        job.wait()
        frame = job.fetch()
    with pytest.raises(KeyMismatch):
        other_keys.secret.decrypt_result(frame)
    impostor = SecretKeys.from_bytes(other_keys.secret.to_bytes(), default_profile(), keys.digest)
    with pytest.raises(DecryptionFailed):
        impostor.decrypt_result(frame)


# C2: keys once; then one message in, one out


def test_a_prediction_takes_one_message_in_and_one_out(server: Server, keys: ClientKeys) -> None:
    carried: list[tuple[str, int]] = []

    def note(request: httpx.Request) -> None:
        carried.append((request.method, int(request.headers.get("content-length", 0))))

    frame = keys.secret.encrypt_records(TOY_SCHEMA.encode(RECORDS[:1]), TOY_SCHEMA)
    with httpx.Client(base_url=server.url, timeout=60, event_hooks={"request": [note]}) as http:
        prediction = http.post("/v1/predictions", params={"model": "toy"}, content=frame).json()
        while http.get(f"/v1/predictions/{prediction['id']}/result").status_code == 409:
            pass
    assert [size for _, size in carried if size] == [len(frame)], "the record is all that is ever sent"
    assert {method for method, _ in carried} == {"POST", "GET"}


# C3: the model changes and no client is told; the client is away while the server computes


def test_a_changed_model_takes_the_same_keys_and_the_same_ciphertext_and_compiles_nothing(
    make_server: Callable[..., Server], keys: ClientKeys, tmp_path: Path
) -> None:
    server = make_server()
    library = library_folder(Settings().cache_dir, default_profile()).parent
    before = {file: file.stat().st_mtime_ns for file in library.rglob("*")}
    networks = {
        "one layer": random_network(TOY_SCHEMA.bits, (1,), seed=21),
        "deeper and wider": random_network(TOY_SCHEMA.bits, (9, 3, 1), seed=22),
        "other fan-in": random_network(TOY_SCHEMA.bits, (2, 1), seed=23),
    }
    upload_keys(server, keys)
    bits = TOY_SCHEMA.encode(RECORDS)
    frame = keys.secret.encrypt_records(bits, TOY_SCHEMA)
    seen = []
    for number, (name, network) in enumerate(networks.items(), start=1):
        write_bundle(tmp_path / name, network, TOY_SCHEMA)
        assert server.publish(tmp_path / name).returncode == 0
        with server.http() as http:
            prediction = http.post("/v1/predictions", params={"model": "toy"}, content=frame).json()
            assert prediction["version"] == number
            http.get(f"/v1/predictions/{prediction['id']}", headers={"Prefer": "wait=30"})
            result = http.get(f"/v1/predictions/{prediction['id']}/result").content
        output, header = keys.secret.decrypt_result(result)
        np.testing.assert_array_equal(output, network.evaluate(bits))
        seen.append((header.model, output.tobytes()))
    assert len({model for model, _ in seen}) == 3
    assert {file: file.stat().st_mtime_ns for file in library.rglob("*")} == before


def test_a_record_of_another_client_is_refused_where_the_request_names_other_keys(
    server: Server, keys: ClientKeys, other_keys: ClientKeys
) -> None:
    frame = keys.secret.encrypt_records(TOY_SCHEMA.encode(RECORDS[:1]), TOY_SCHEMA)
    with server.http() as http:
        headers = {"Evaluation-Keys": other_keys.digest}
        response = http.post("/v1/predictions", params={"model": "toy"}, content=frame, headers=headers)
    assert (response.status_code, response.json()["code"]) == (422, "key-mismatch")


def test_results_are_damaged_visibly(server: Server, keys: ClientKeys) -> None:
    with Client(server.url) as client:
        job = client.submit("toy", RECORDS, keys.secret)
        job.wait()
        frame = job.fetch()
    header, payload = keys.secret.decrypt_result(frame)[1], frame[-job.prediction.records * 2049 * 8 :]
    noise = np.random.default_rng(0).bytes(len(payload))
    with pytest.raises(DecryptionFailed):
        keys.secret.decrypt_result(encode_frame(header, noise))
