"""Whatever is sent, there is a problem document that names what is wrong, and the server goes on serving."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from epaas_shared.digest import canonical_json
from epaas_shared.frame import (
    EvaluationKeysHeader,
    RecordHeader,
    decode_frame,
    decode_frame_start,
    encode_frame,
    encode_frame_start,
)
from epaas_shared.protocol import PROBLEM_MEDIA_TYPE
from tests.conftest import (
    TOY_NETWORK,
    TOY_SCHEMA,
    ClientKeys,
    Server,
    random_records,
    toy_schema,
    upload_keys,
    write_bundle,
)
from tests.integration.test_crashes import wait_until

BITS = TOY_SCHEMA.encode(random_records(TOY_SCHEMA, 1, seed=41))


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    """A connection; after the test the server must still predict."""
    with server.http() as client:
        yield client
        assert client.get("/readyz").status_code == 200


@pytest.fixture(scope="module")
def frame(keys: ClientKeys) -> bytes:
    return keys.secret.encrypt_records(BITS, TOY_SCHEMA)


def problem(response: httpx.Response, status: int, code: str, field: str | None = None) -> dict[str, Any]:
    """The problem document of a response that must be this error."""
    assert response.headers["content-type"] == PROBLEM_MEDIA_TYPE, response.text
    document: dict[str, Any] = response.json()
    assert (response.status_code, document["status"], document["code"]) == (status, status, code), document
    assert document["type"] == f"urn:epaas:problem:{code}"
    assert document["detail"]
    if field is not None:
        assert document["field"] == field, document
    return document


def predict(http: httpx.Client, body: bytes, model: str = "toy", **headers: str) -> httpx.Response:
    return http.post("/v1/predictions", params={"model": model}, content=body, headers=headers)


def with_header(frame: bytes, **changes: object) -> bytes:
    """The frame with members of its header changed, whatever they then are."""
    start = decode_frame_start(frame, RecordHeader)
    fields = canonical_json({**start.header.model_dump(mode="json"), **changes})
    return frame[:8] + len(fields).to_bytes(4, "little") + fields + frame[start.payload_offset :]


# Requests


def test_unknown_model(http: httpx.Client, frame: bytes) -> None:
    assert "nothing" in problem(predict(http, frame, "nothing"), 404, "model-not-found", "model")["detail"]
    problem(http.get("/v1/models/nothing"), 404, "model-not-found")


def test_unknown_version(http: httpx.Client, frame: bytes) -> None:
    response = http.post("/v1/predictions", params={"model": "toy", "version": 99}, content=frame)
    problem(response, 404, "model-not-found", "model")
    problem(http.get("/v1/models/toy/versions/99/report"), 404, "model-not-found")


def test_missing_and_malformed_parameters(http: httpx.Client, frame: bytes) -> None:
    problem(http.post("/v1/predictions", content=frame), 422, "invalid-request", "query.model")
    problem(http.get("/v1/models/toy/versions/zero"), 422, "invalid-request", "path.version")
    problem(http.get("/v1/evaluation-keys/xyz"), 422, "invalid-request", "path.digest")


def test_unknown_paths_and_methods(http: httpx.Client) -> None:
    problem(http.get("/v1/nothing"), 404, "not-found")
    problem(http.post("/v1/models"), 405, "invalid-request")


def test_unknown_prediction(http: httpx.Client) -> None:
    for response in (
        http.get("/v1/predictions/nothing"),
        http.get("/v1/predictions/nothing/result"),
        http.post("/v1/predictions/nothing/cancel"),
        http.delete("/v1/predictions/nothing"),
    ):
        problem(response, 404, "prediction-not-found", "id")


# Records


def test_a_truncated_ciphertext(http: httpx.Client, frame: bytes) -> None:
    for length in (0, 5, 30, len(frame) // 2, len(frame) - 1):
        problem(predict(http, frame[:length]), 422, "invalid-ciphertext", "body")


def test_random_bytes_for_a_ciphertext(http: httpx.Client) -> None:
    problem(predict(http, os.urandom(3000)), 422, "invalid-ciphertext", "body")


def test_a_ciphertext_with_random_content_gives_a_result_that_does_not_decrypt_to_anything_wrong(
    http: httpx.Client, frame: bytes, keys: ClientKeys
) -> None:
    """Any 24 bytes are a ciphertext of something: the server cannot tell, and must survive it."""
    header, payload = decode_frame(frame, RecordHeader)
    job = predict(http, encode_frame(header, os.urandom(len(payload)))).json()["id"]
    wait_until(lambda: http.get(f"/v1/predictions/{job}").json()["state"] == "succeeded")


def test_a_ciphertext_of_another_shape(http: httpx.Client, frame: bytes) -> None:
    problem(predict(http, with_header(frame, bits=89)), 422, "invalid-ciphertext", "body.bits")
    problem(predict(http, with_header(frame, records=2)), 422, "invalid-ciphertext", "body.bits")
    problem(predict(http, with_header(frame, records=1000)), 422, "invalid-ciphertext", "body.records")


def test_a_ciphertext_of_another_task(http: httpx.Client, keys: ClientKeys) -> None:
    other = toy_schema(features=31)
    body = keys.secret.encrypt_records(other.encode(random_records(other, 1, seed=1)), other)
    problem(predict(http, body), 422, "invalid-ciphertext", "body.input_schema")


def test_a_ciphertext_header_with_nonsense(http: httpx.Client, frame: bytes) -> None:
    problem(predict(http, with_header(frame, records="many")), 422, "invalid-ciphertext", "body.records")
    problem(predict(http, with_header(frame, kind="result")), 422, "invalid-ciphertext", "body.kind")
    problem(predict(http, with_header(frame, more=1)), 422, "invalid-ciphertext", "body.more")
    problem(predict(http, with_header(frame, profile="0" * 64)), 422, "profile-mismatch", "profile")


def test_keys_that_the_server_does_not_have(http: httpx.Client, other_keys: ClientKeys) -> None:
    body = other_keys.secret.encrypt_records(BITS, TOY_SCHEMA)
    problem(predict(http, body), 404, "evaluation-keys-not-found", "evaluation_keys")


def test_an_oversized_record(http: httpx.Client) -> None:
    problem(predict(http, bytes(16_000_001)), 413, "payload-too-large", "body")


def test_an_oversized_record_that_does_not_announce_its_length(http: httpx.Client) -> None:
    chunks = (bytes(1_000_000) for _ in range(17))
    response = http.post("/v1/predictions", params={"model": "toy"}, content=chunks)
    problem(response, 413, "payload-too-large", "body")


# Idempotency and results


def test_a_repeated_idempotency_key(http: httpx.Client, frame: bytes, keys: ClientKeys) -> None:
    first = predict(http, frame, **{"Idempotency-Key": "again"})
    second = predict(http, frame, **{"Idempotency-Key": "again"})
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["id"] == second.json()["id"]
    other = keys.secret.encrypt_records(BITS, TOY_SCHEMA)
    conflict = predict(http, other, **{"Idempotency-Key": "again"})
    problem(conflict, 409, "idempotency-conflict", "Idempotency-Key")


def test_a_result_asked_for_too_early(make_server: Callable[..., Server], keys: ClientKeys, tmp_path: Path) -> None:
    server = make_server(workers="0")
    write_bundle(tmp_path / "bundle", TOY_NETWORK, TOY_SCHEMA)
    assert server.publish(tmp_path / "bundle").returncode == 0
    with server.http() as http:
        http.put(f"/v1/evaluation-keys/{keys.digest}", content=keys.frame).raise_for_status()
        job = predict(http, keys.secret.encrypt_records(BITS, TOY_SCHEMA)).json()["id"]
        problem(http.get(f"/v1/predictions/{job}/result"), 409, "result-not-ready")


# Evaluation keys


def put_keys(http: httpx.Client, body: bytes, digest: str | None = None) -> httpx.Response:
    return http.put(f"/v1/evaluation-keys/{digest or hashlib.sha256(body).hexdigest()}", content=body)


def test_truncated_keys(http: httpx.Client, other_keys: ClientKeys) -> None:
    cut = other_keys.frame[: len(other_keys.frame) // 2]
    problem(put_keys(http, cut), 422, "invalid-evaluation-keys", "body")
    problem(put_keys(http, cut, other_keys.digest), 422, "invalid-evaluation-keys", "body")
    problem(put_keys(http, other_keys.frame[:20]), 422, "invalid-evaluation-keys", "body")
    problem(put_keys(http, b""), 422, "invalid-evaluation-keys", "body")


def test_random_keys(http: httpx.Client) -> None:
    noise = os.urandom(1_000_000)
    problem(put_keys(http, noise), 422, "invalid-evaluation-keys", "body")
    problem(put_keys(http, noise, "0" * 64), 422, "invalid-evaluation-keys", "body")


def test_keys_with_a_wrong_digest(http: httpx.Client, other_keys: ClientKeys) -> None:
    problem(put_keys(http, other_keys.frame, "1" * 64), 422, "digest-mismatch", "digest")
    problem(http.get(f"/v1/evaluation-keys/{'1' * 64}"), 404, "evaluation-keys-not-found")


def test_keys_of_another_profile_or_size(http: httpx.Client, other_keys: ClientKeys) -> None:
    start = decode_frame_start(other_keys.frame, EvaluationKeysHeader)
    payload = other_keys.frame[start.payload_offset :]
    foreign = start.header.model_copy(update={"profile": "2" * 64})
    problem(put_keys(http, encode_frame(foreign, payload)), 422, "profile-mismatch", "profile")
    short = start.header.model_copy(update={"payload_bytes": 1000, "keyset_bytes": 500})
    problem(put_keys(http, encode_frame(short, payload[:1000])), 422, "invalid-evaluation-keys", "body.payload_bytes")


def test_oversized_keys(http: httpx.Client) -> None:
    chunks = (bytes(1_000_000) for _ in range(201))
    headers = {"Content-Length": "201000000"}
    response = http.put(f"/v1/evaluation-keys/{'3' * 64}", content=chunks, headers=headers)
    problem(response, 413, "payload-too-large", "body")


@pytest.mark.parametrize("damage", ["random content", "random structure", "zeros"])
def test_keys_of_the_right_size_with_wrong_content_are_rejected_by_their_trial_run(
    server: Server, http: httpx.Client, other_keys: ClientKeys, damage: str
) -> None:
    """Such keys reach native code. It may crash; the server must not, and other clients must not notice."""
    start = decode_frame_start(other_keys.frame, EvaluationKeysHeader)
    payload = bytearray(other_keys.frame[start.payload_offset :])
    match damage:
        case "random content":
            payload = bytearray(os.urandom(len(payload)))
        case "random structure":
            noise = np.random.default_rng(5)
            for position in noise.integers(0, 4000, 400):
                payload[position] ^= int(noise.integers(1, 256))
        case "zeros":
            payload = bytearray(len(payload))
    body = encode_frame_start(start.header) + bytes(payload)
    digest = hashlib.sha256(body).hexdigest()
    assert put_keys(http, body).status_code == 201
    wait_until(lambda: http.get(f"/v1/evaluation-keys/{digest}").json()["state"] != "checking")
    rejected = http.get(f"/v1/evaluation-keys/{digest}").json()
    assert rejected["state"] == "rejected"
    assert rejected["problem"]["code"] == "invalid-evaluation-keys"
    record = with_header(other_keys.secret.encrypt_records(BITS, TOY_SCHEMA), evaluation_keys=digest)
    problem(predict(http, record), 422, "invalid-evaluation-keys", "evaluation_keys")


def test_the_server_still_predicts_right_after_all_that(server: Server, keys: ClientKeys, frame: bytes) -> None:
    with server.http() as http:
        job = predict(http, frame).json()["id"]
        wait_until(lambda: http.get(f"/v1/predictions/{job}").json()["state"] == "succeeded")
        output, _ = keys.secret.decrypt_result(http.get(f"/v1/predictions/{job}/result").content)
    np.testing.assert_array_equal(output, TOY_NETWORK.evaluate(BITS))


def test_keys_are_erased(make_server: Callable[..., Server], keys: ClientKeys, tmp_path: Path) -> None:
    server = make_server()
    write_bundle(tmp_path / "bundle", TOY_NETWORK, TOY_SCHEMA)
    assert server.publish(tmp_path / "bundle").returncode == 0
    upload_keys(server, keys)
    with server.http() as http:
        assert http.head(f"/v1/evaluation-keys/{keys.digest}").status_code == 200
        assert http.delete(f"/v1/evaluation-keys/{keys.digest}").status_code == 204
        assert http.head(f"/v1/evaluation-keys/{keys.digest}").status_code == 404
        response = predict(http, keys.secret.encrypt_records(BITS, TOY_SCHEMA))
        problem(response, 404, "evaluation-keys-not-found")
    assert not [path for path in (server.data_dir / "blobs" / "keys").rglob("*") if path.is_file()]


def test_a_full_disk_loses_nothing_and_is_said(keys: ClientKeys, tmp_path: Path) -> None:
    """Files of this server cannot grow beyond 20 MB, as on a full disk."""
    import resource
    import subprocess
    import sys

    limited = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, 20_000_000)); "
    limited += "sys.argv = ['epaas-server', 'serve', '--port', '0', '--workers', '0']; "
    limited += "runpy.run_module('epaas_server', run_name='__main__')"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    server = Server(tmp_path / "full")
    server.data_dir.mkdir()
    with server.log_file.open("wb") as log:
        server.process = subprocess.Popen([sys.executable, "-c", limited], env=server.environment, stderr=log)
    try:
        wait_until(lambda: server.events("listening"))
        server.url = str(server.events("listening")[0]["url"])
        with server.http() as http:
            problem(put_keys(http, keys.frame), 507, "storage-full")
            assert http.get("/readyz").status_code in (200, 503)
            problem(http.get(f"/v1/evaluation-keys/{keys.digest}"), 404, "evaluation-keys-not-found")
        assert not list(server.data_dir.glob("blobs/incoming/*"))
        assert not [path for path in (server.data_dir / "blobs" / "keys").rglob("*") if path.is_file()]
    finally:
        server.stop()
