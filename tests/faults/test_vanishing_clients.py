"""Clients that are gone in the middle of an upload, a question or an answer: nothing of theirs stays or is lost."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select

from epaas_server.database import reading
from epaas_server.jobs.job import JobKind
from epaas_server.services import Services
from epaas_server.settings import Settings
from epaas_server.tables import jobs
from tests.conftest import ClientKeys, Server
from tests.faults.callers import CLOSED, RESET, Caller
from tests.faults.conftest import check_finished, frame_of, submit
from tests.integration.processes import wait_until
from tests.postgresql import SHARED

POOL = 20
"""Descriptors that connections to the database may take: five that are kept, of three files each."""


def incoming(server: Server) -> list[Path]:
    return list((server.data_dir / "blobs" / "incoming").iterdir())


def descriptors(server: Server) -> int:
    assert server.process is not None
    return psutil.Process(server.process.pid).num_fds()


def predictions(server: Server) -> int:
    """That the database knows of."""
    options = {**SHARED.settings(server.data_dir), **server.options}
    services = Services.open(Settings.model_validate({"data_dir": server.data_dir, **options}))
    with closing(services), reading(services.database) as connection:
        count: int = connection.execute(select(func.count()).where(jobs.c.kind == JobKind.PREDICT.value)).scalar_one()
    return count


@pytest.mark.parametrize("how", [RESET, CLOSED])
def test_an_upload_of_keys_that_breaks_off_leaves_nothing(faulted: Server, other_keys: ClientKeys, how: str) -> None:
    before = descriptors(faulted)
    caller = Caller(faulted, f"PUT /v1/evaluation-keys/{other_keys.digest}", len(other_keys.frame))
    caller.socket.sendall(other_keys.frame[:20_000_000])
    wait_until(lambda: sum(path.stat().st_size for path in incoming(faulted)) >= 10_000_000)
    caller.vanish(how)
    wait_until(lambda: not incoming(faulted))
    with faulted.http() as http:
        assert http.get(f"/v1/evaluation-keys/{other_keys.digest}").status_code == 404
        assert http.put(f"/v1/evaluation-keys/{other_keys.digest}", content=other_keys.frame).status_code == 201
        assert http.delete(f"/v1/evaluation-keys/{other_keys.digest}").status_code == 204
    wait_until(lambda: descriptors(faulted) <= before + POOL)
    assert "Traceback" not in faulted.log_file.read_text()


@pytest.mark.parametrize("how", [RESET, CLOSED])
def test_a_record_that_breaks_off_is_no_prediction(faulted: Server, keys: ClientKeys, how: str) -> None:
    frame = frame_of(keys)
    rows, blobs = predictions(faulted), len(list(faulted.data_dir.glob("blobs/jobs/*")))
    logged = faulted.log_file.stat().st_size
    caller = Caller(faulted, "POST /v1/predictions?model=toy", len(frame))
    caller.socket.sendall(frame[: len(frame) // 2])
    caller.vanish(how)
    wait_until(lambda: 499 in {event["status"] for event in faulted.events("request", logged)})
    assert (predictions(faulted), len(list(faulted.data_dir.glob("blobs/jobs/*")))) == (rows, blobs)
    check_finished(faulted, submit(faulted, keys), keys)


def test_who_vanishes_before_the_answer_finds_one_prediction_under_the_same_key(
    faulted: Server, keys: ClientKeys
) -> None:
    frame, rows = frame_of(keys), predictions(faulted)
    caller = Caller(faulted, "POST /v1/predictions?model=toy", len(frame), "Idempotency-Key: once")
    caller.socket.sendall(frame)
    wait_until(lambda: predictions(faulted) == rows + 1)
    caller.vanish(RESET)
    with faulted.http() as http:
        headers = {"Idempotency-Key": "once"}
        answers = [
            http.post("/v1/predictions", params={"model": "toy"}, content=frame, headers=headers) for _ in range(2)
        ]
    (job,) = {answer.json()["id"] for answer in answers}
    check_finished(faulted, job, keys)
    assert predictions(faulted) == rows + 1


def test_a_result_whose_reader_vanishes_is_there_for_the_next(faulted: Server, keys: ClientKeys) -> None:
    job = submit(faulted, keys)
    check_finished(faulted, job, keys)
    before = descriptors(faulted)
    for how in (RESET, CLOSED) * POOL:
        caller = Caller(faulted, f"GET /v1/predictions/{job}/result", 0)
        assert caller.socket.recv(10) == b"HTTP/1.1 2"
        caller.vanish(how)
    check_finished(faulted, job, keys)
    wait_until(lambda: descriptors(faulted) <= before + POOL)
    assert "Traceback" not in faulted.log_file.read_text()


def test_who_waits_and_vanishes_is_forgotten(faulted: Server, keys: ClientKeys) -> None:
    """Long polls and streams of events; the prediction is finished all the same."""
    before = descriptors(faulted)
    job = submit(faulted, keys)
    waiting = [Caller(faulted, f"GET /v1/predictions/{job}/events", 0) for _ in range(2 * POOL)]
    for caller in waiting:
        assert caller.socket.recv(10) == b"HTTP/1.1 2"
    for caller in waiting:
        caller.vanish(RESET)
    check_finished(faulted, job, keys)
    wait_until(lambda: descriptors(faulted) <= before + POOL)
    assert "Traceback" not in faulted.log_file.read_text()
