"""Clients that are gone in the middle of an upload, a question or an answer: nothing of theirs stays or is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from epaas_server.services import Services
from epaas_server.settings import Settings
from tests.conftest import ClientKeys, Server
from tests.faults.callers import CLOSED, RESET, Caller
from tests.faults.conftest import check_finished, frame_of, submit, with_model
from tests.integration.processes import wait_until
from tests.postgresql import SHARED


@pytest.fixture
def server(make_server: Callable[..., Server], keys: ClientKeys, tmp_path: Path) -> Server:
    return with_model(make_server(), keys, tmp_path / "bundle")


def incoming(server: Server) -> list[Path]:
    return list((server.data_dir / "blobs" / "incoming").iterdir())


def descriptors(server: Server) -> int:
    assert server.process is not None
    return psutil.Process(server.process.pid).num_fds()


def opened(server: Server) -> Services:
    options = {**SHARED.settings(server.data_dir), **server.options}
    return Services.open(Settings.model_validate({"data_dir": server.data_dir, **options}))


@pytest.mark.parametrize("how", [RESET, CLOSED])
def test_an_upload_of_keys_that_breaks_off_leaves_nothing(server: Server, other_keys: ClientKeys, how: str) -> None:
    before = descriptors(server)
    caller = Caller(server, f"PUT /v1/evaluation-keys/{other_keys.digest}", len(other_keys.frame))
    caller.socket.sendall(other_keys.frame[:20_000_000])
    wait_until(lambda: sum(path.stat().st_size for path in incoming(server)) >= 10_000_000)
    caller.vanish(how)
    wait_until(lambda: not incoming(server))
    with server.http() as http:
        assert http.get(f"/v1/evaluation-keys/{other_keys.digest}").status_code == 404
        assert http.put(f"/v1/evaluation-keys/{other_keys.digest}", content=other_keys.frame).status_code == 201
    wait_until(lambda: descriptors(server) <= before + 3)
    assert "Traceback" not in server.log_file.read_text()


@pytest.mark.parametrize("how", [RESET, CLOSED])
def test_a_record_that_breaks_off_is_no_prediction(server: Server, keys: ClientKeys, how: str) -> None:
    frame = frame_of(keys)
    caller = Caller(server, "POST /v1/predictions?model=toy", len(frame))
    caller.socket.sendall(frame[: len(frame) // 2])
    caller.vanish(how)
    wait_until(lambda: 499 in {event["status"] for event in server.events("request")})
    services = opened(server)
    assert services.jobs.queue_depth() == {"succeeded": 1}, "the trial run of the keys"
    services.close()
    assert not list(server.data_dir.glob("blobs/jobs/*/*"))
    check_finished(server, submit(server, keys), keys)


def test_who_vanishes_before_the_answer_finds_one_prediction_under_the_same_key(
    server: Server, keys: ClientKeys
) -> None:
    frame = frame_of(keys)
    caller = Caller(server, "POST /v1/predictions?model=toy", len(frame), "Idempotency-Key: once")
    caller.socket.sendall(frame)
    caller.vanish(CLOSED)
    wait_until(lambda: [event for event in server.events("job claimed") if event["kind"] == "predict"])
    with server.http() as http:
        headers = {"Idempotency-Key": "once"}
        answers = [
            http.post("/v1/predictions", params={"model": "toy"}, content=frame, headers=headers) for _ in range(2)
        ]
    (job,) = {answer.json()["id"] for answer in answers}
    check_finished(server, job, keys)
    claimed = {event["job"] for event in server.events("job claimed") if event["kind"] == "predict"}
    assert claimed == {job}


def test_a_result_whose_reader_vanishes_is_there_for_the_next(server: Server, keys: ClientKeys) -> None:
    job = submit(server, keys)
    check_finished(server, job, keys)
    before = descriptors(server)
    for how in (RESET, CLOSED) * 5:
        caller = Caller(server, f"GET /v1/predictions/{job}/result", 0)
        assert caller.socket.recv(10) == b"HTTP/1.1 2"
        caller.vanish(how)
    check_finished(server, job, keys)
    wait_until(lambda: descriptors(server) <= before + 3)
    assert "Traceback" not in server.log_file.read_text()


def test_who_waits_and_vanishes_is_forgotten(server: Server, keys: ClientKeys) -> None:
    """Long polls and streams of events; the prediction is finished all the same."""
    before = descriptors(server)
    job = submit(server, keys)
    waiting = [Caller(server, f"GET /v1/predictions/{job}/events", 0) for _ in range(10)]
    for caller in waiting:
        assert caller.socket.recv(10) == b"HTTP/1.1 2"
    for caller in waiting:
        caller.vanish(RESET)
    check_finished(server, job, keys)
    wait_until(lambda: descriptors(server) <= before + 3)
    assert "Traceback" not in server.log_file.read_text()
