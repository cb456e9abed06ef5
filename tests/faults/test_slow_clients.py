"""Clients that send or read a byte a second: others do not notice, and they are not waited for without end."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from epaas_shared.protocol import PROBLEM_MEDIA_TYPE
from tests.conftest import ClientKeys, Server
from tests.faults.callers import Caller
from tests.faults.conftest import check_finished, frame_of, submit
from tests.integration.processes import wait_until

SENDERS = 60
"""More than the server has threads."""


@pytest.fixture
def senders(faulted: Server, keys: ClientKeys, other_keys: ClientKeys) -> Iterator[list[Caller]]:
    """Half of them send keys and half a record, a byte a second, until they are told that this will not do."""
    over = threading.Event()
    bodies = [
        (f"PUT /v1/evaluation-keys/{other_keys.digest}", other_keys.frame),
        ("POST /v1/predictions?model=toy", frame_of(keys)),
    ]
    callers = [Caller(faulted, bodies[index % 2][0], len(bodies[index % 2][1])) for index in range(SENDERS)]

    def send() -> None:
        sent = 0
        while not over.wait(1.0):
            answered, _, _ = select.select([caller.socket for caller in callers], [], [], 0)
            for index, caller in enumerate(callers):
                if caller.socket not in answered:
                    caller.socket.sendall(bodies[index % 2][1][sent : sent + 1])
            sent += 1

    sending = threading.Thread(target=send)
    sending.start()
    yield callers
    over.set()
    sending.join()
    for caller in callers:
        caller.socket.close()


def test_who_sends_a_byte_a_second_hinders_nobody_and_is_told_in_the_end(
    faulted: Server, senders: list[Caller], keys: ClientKeys
) -> None:
    incoming = faulted.data_dir / "blobs" / "incoming"
    wait_until(lambda: len(list(incoming.iterdir())) == SENDERS // 2)
    check_finished(faulted, submit(faulted, keys), keys)
    for caller in senders:
        answer = caller.read_to_the_end()
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 "), answer
        assert PROBLEM_MEDIA_TYPE.encode() in head
        assert json.loads(body)["code"] == "body-too-slow"
    wait_until(lambda: not list(incoming.iterdir()))
    check_finished(faulted, submit(faulted, keys), keys)


def test_who_reads_a_byte_a_second_hinders_nobody(faulted: Server, keys: ClientKeys) -> None:
    job = submit(faulted, keys)
    check_finished(faulted, job, keys)
    readers = [Caller(faulted, f"GET /v1/predictions/{job}/result", 0, receive_bytes=1) for _ in range(SENDERS)]
    for _ in range(10):
        for reader in readers:
            assert len(reader.socket.recv(1)) == 1
        time.sleep(1.0)
    check_finished(faulted, submit(faulted, keys), keys)
    with faulted.http() as http:
        result = http.get(f"/v1/predictions/{job}/result").content
    for reader in readers:
        reader.socket.shutdown(socket.SHUT_WR)  # and then the whole answer is read after all
        assert reader.read_to_the_end().endswith(result)
        reader.socket.close()


def test_a_body_that_comes_slowly_but_comes_is_taken(faulted: Server, keys: ClientKeys) -> None:
    frame = frame_of(keys)
    caller = Caller(faulted, "POST /v1/predictions?model=toy", len(frame), "Connection: close")
    step = len(frame) // 20
    for begin in range(0, len(frame), step):
        caller.socket.sendall(frame[begin : begin + step])
        time.sleep(0.5)
    head, _, body = caller.read_to_the_end().partition(b"\r\n\r\n")
    caller.socket.close()
    assert head.startswith(b"HTTP/1.1 202 ")
    check_finished(faulted, json.loads(body)["id"], keys)
