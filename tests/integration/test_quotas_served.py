"""What a tenant may have and how often it may ask: refused with figures, freed again, exact for many at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from epaas_client.client import Client
from epaas_shared.digest import digest_bytes
from epaas_shared.errors import QuotaExceeded
from tests.conftest import TOY_SCHEMA, ClientKeys, random_records
from tests.integration.tenant_making import Office, connect, open_office, record_of

ResultT = TypeVar("ResultT")


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A server that evaluates nothing: what is asked for waits."""
    with open_office(tmp_path_factory.mktemp("idle"), workers="0", authentication="tokens") as office:
        yield office


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A server that evaluates."""
    with open_office(tmp_path_factory.mktemp("busy"), authentication="tokens") as office:
        yield office


def together(count: int, act: Callable[[int], ResultT]) -> list[ResultT]:
    """The results of ``act`` in threads that begin at the same moment."""
    barrier = threading.Barrier(count)
    results: list[ResultT] = []

    def run(number: int) -> None:
        barrier.wait()
        results.append(act(number))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == count
    return results


def check_over(answer: httpx.Response, quota: str, *figures: object) -> None:
    """It must be the refusal of something over this quota."""
    document: dict[str, Any] = answer.json()
    assert (answer.status_code, document["code"], document["field"]) == (429, "quota-exceeded", quota), document
    assert all(str(figure) in document["detail"] for figure in figures), document
    assert document["hint"]


def altered(keys: ClientKeys, number: int) -> tuple[str, bytes]:
    """Other evaluation keys, as far as the HTTP interface can see, and their digest."""
    body = keys.frame[:-8] + number.to_bytes(8, "little")
    return digest_bytes(body), body


def test_keysets(idle: Office, keys: ClientKeys, other_keys: ClientKeys) -> None:
    ann = idle.tenant("ann", keysets=1)
    assert ann.put_keys(keys).status_code == 201
    assert ann.put_keys(keys).status_code == 200, "what is there already is no more"
    check_over(ann.put_keys(other_keys), "keysets", 2, 1)
    with Client(idle.server.url, token=ann.token) as client, pytest.raises(QuotaExceeded, match="keysets: 2 would"):
        client.upload_keys(other_keys.frame)
    assert ann.http.get(f"/v1/evaluation-keys/{other_keys.digest}").status_code == 404
    assert list((idle.server.data_dir / "blobs" / "incoming").iterdir()) == []
    assert ann.used()["keysets"] == 1
    assert ann.http.delete(f"/v1/evaluation-keys/{keys.digest}").status_code == 204
    assert ann.put_keys(other_keys).status_code == 201


def test_bytes(idle: Office, keys: ClientKeys, other_keys: ClientKeys) -> None:
    frame = record_of(keys)
    size = len(keys.frame)
    bob = idle.tenant("bob", stored_bytes=size + len(frame))
    assert bob.put_keys(keys).status_code == 201
    check_over(bob.put_keys(other_keys), "stored_bytes", 2 * size, size + len(frame))
    chunked = (other_keys.frame[at : at + 1_000_000] for at in range(0, size, 1_000_000))
    unannounced = bob.http.put(f"/v1/evaluation-keys/{other_keys.digest}", content=chunked)
    check_over(unannounced, "stored_bytes", 2 * size)
    assert len(list(idle.server.data_dir.glob("blobs/keys/bob/*"))) == 1
    assert list((idle.server.data_dir / "blobs" / "incoming").iterdir()) == []
    job = bob.asked(frame)
    assert bob.used()["stored_bytes"] == size + len(frame)
    check_over(bob.ask(frame), "stored_bytes", size + 2 * len(frame))
    assert bob.http.post(f"/v1/predictions/{job}/cancel").status_code == 200
    assert bob.used()["stored_bytes"] == size
    bob.asked(frame)


def test_unfinished_predictions(idle: Office, keys: ClientKeys) -> None:
    cid = idle.tenant("cid", unfinished_predictions=3)
    frame = record_of(keys)
    cid.put_keys(keys).raise_for_status()
    first, second, _ = (cid.asked(frame, **{"Idempotency-Key": f"key-{number}"}) for number in range(3))
    refused = cid.ask(frame)
    check_over(refused, "unfinished_predictions", 4, 3)
    assert int(refused.headers["retry-after"]) > 0
    assert cid.asked(frame, **{"Idempotency-Key": "key-0"}) == first, "asking again for what is there is no more"
    assert len(list(idle.server.data_dir.glob("blobs/jobs/*/record"))) == len(record_files(idle))
    assert cid.http.post(f"/v1/predictions/{first}/cancel").status_code == 200
    cid.asked(frame)
    check_over(cid.ask(frame), "unfinished_predictions")
    assert cid.http.delete(f"/v1/predictions/{second}").status_code == 204
    cid.asked(frame)
    idle.services.tenants.set_quotas("cid", {"unfinished_predictions": None})
    cid.asked(frame)
    idle.services.tenants.set_quotas("cid", {"unfinished_predictions": 0})
    check_over(cid.ask(frame), "unfinished_predictions", 0)


def record_files(office: Office) -> set[str]:
    """The records that a row names."""
    from sqlalchemy import select

    from epaas_server.tables import jobs

    with office.services.database.connect() as connection:
        waiting = select(jobs.c.record_blob).where(jobs.c.state == "queued", jobs.c.record_blob.is_not(None))
        return {str(blob) for blob in connection.execute(waiting).scalars()}


def test_one_tenants_quota_is_not_anothers(idle: Office, keys: ClientKeys) -> None:
    frame = record_of(keys)
    full, other = idle.tenant("full", unfinished_predictions=1), idle.tenant("other", unfinished_predictions=1)
    for tenant in (full, other):
        tenant.put_keys(keys).raise_for_status()
    full.asked(frame)
    check_over(full.ask(frame), "unfinished_predictions")
    other.asked(frame)


def test_of_twenty_that_ask_at_once_five_are_taken(idle: Office, keys: ClientKeys) -> None:
    dan = idle.tenant("dan", unfinished_predictions=5)
    frame = record_of(keys)
    dan.put_keys(keys).raise_for_status()
    before = len(record_files(idle))
    answers = together(20, lambda _: dan.ask(frame))
    taken = [answer for answer in answers if answer.status_code == 202]
    assert len(taken) == 5
    for answer in answers:
        if answer not in taken:
            check_over(answer, "unfinished_predictions", 6, 5)
    assert len({answer.json()["id"] for answer in taken}) == dan.used()["unfinished_predictions"] == 5
    assert len(record_files(idle)) == before + 5
    assert len(list(idle.server.data_dir.glob("blobs/jobs/*/record"))) == before + 5, "what was refused left nothing"


def test_of_four_keysets_that_come_at_once_two_are_taken(idle: Office, keys: ClientKeys) -> None:
    eve = idle.tenant("eve", keysets=2)

    def upload(number: int) -> int:
        digest, body = altered(keys, number)
        with connect(idle.server, eve.token) as http:
            return http.put(f"/v1/evaluation-keys/{digest}", content=body).status_code

    assert sorted(together(4, upload)) == [201, 201, 429, 429]
    assert len(list(idle.server.data_dir.glob("blobs/keys/eve/*"))) == eve.used()["keysets"] == 2
    assert list((idle.server.data_dir / "blobs" / "incoming").iterdir()) == []


def test_a_request_that_is_repeated_at_once_is_one(idle: Office, keys: ClientKeys) -> None:
    fay = idle.tenant("fay", unfinished_predictions=5)
    frame = record_of(keys)
    fay.put_keys(keys).raise_for_status()
    answers = together(20, lambda _: fay.ask(frame, **{"Idempotency-Key": "one"}))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert fay.used()["unfinished_predictions"] == 1


def test_what_has_finished_counts_no_more(busy: Office, keys: ClientKeys) -> None:
    ann = busy.tenant("ann", unfinished_predictions=1)
    ann.have_keys(keys)
    frame = record_of(keys)
    for _ in range(3):
        ann.finished(frame)
    used = ann.used()
    assert (used["unfinished_predictions"], used["predictions_today"]) == (0, 3)
    assert used["stored_bytes"] == len(keys.frame), "finished predictions keep no record"


def test_seconds_of_a_day(busy: Office, keys: ClientKeys) -> None:
    bob = busy.tenant("bob")
    bob.have_keys(keys)
    frame = record_of(keys)
    bob.finished(frame)
    used = bob.used()["seconds_today"]
    assert used > 0
    bob.office.services.tenants.set_quotas("bob", {"seconds_a_day": used + 0.001})
    refused = bob.ask(frame)
    check_over(refused, "seconds_a_day", used + 0.001)
    assert 0 < int(refused.headers["retry-after"]) <= 86_401
    with Client(busy.server.url, token=bob.token) as client, pytest.raises(QuotaExceeded) as raised:
        client.submit("toy", random_records(TOY_SCHEMA, 1, seed=1)[0], keys.secret)
    assert raised.value.retry_after is not None
    bob.office.services.tenants.set_quotas("bob", {"seconds_a_day": used + 1000.0})
    many = bob.finished(frame)
    assert bob.used()["seconds_today"] > used
    assert bob.http.delete(f"/v1/predictions/{many}").status_code == 204
    assert bob.used()["seconds_today"] > used, "erasing gives no seconds back"


def check_limit_headers(answer: httpx.Response, limit: int) -> int:
    """What is left, by the headers that every counted answer must have."""
    assert answer.headers["ratelimit-policy"] == f'"requests";q={limit};w=60'
    name, left, reset = answer.headers["ratelimit"].split(";")
    assert name == '"requests"'
    assert 0 < int(reset.removeprefix("t=")) <= 61
    return int(left.removeprefix("r="))


@contextmanager
def limited(folder: Path, rate: str) -> Iterator[Office]:
    """A server that evaluates nothing and that may be asked only so often."""
    with open_office(folder, workers="0", authentication="tokens", rate_limit=rate) as office:
        yield office


def test_rates_are_said_in_every_answer(tmp_path: Path, keys: ClientKeys) -> None:
    with limited(tmp_path, "9/minute") as office:
        check_rates(office, keys)


def check_rates(office: Office, keys: ClientKeys) -> None:
    ann, bob = office.tenant("ann"), office.tenant("bob")
    ann.put_keys(keys).raise_for_status()
    job = ann.asked(record_of(keys))
    with ann.http.stream("GET", f"/v1/predictions/{job}/events") as stream:
        assert stream.status_code == 200
        assert check_limit_headers(stream, 9) == 6
        assert next(stream.iter_lines()).startswith("event: queued")
    left = []
    for path, status in (
        (f"/v1/predictions/{job}", 200),
        ("/v1/predictions/nothing", 404),
        ("/v1/evaluation-keys/xyz", 422),
        (f"/v1/predictions/{job}/result", 409),
        ("/v1/tenants", 403),
        ("/v1/models", 200),
        ("/v1/usage", 200),
        ("/v1/usage", 200),
    ):
        answer = ann.http.get(path)
        assert answer.status_code == status, path
        if path in ("/v1/models", "/v1/tenants"):
            assert "ratelimit" not in answer.headers, "open, or refused before it was counted"
        else:
            left.append(check_limit_headers(answer, 9))
    assert left == [5, 4, 3, 2, 1, 0]
    for path in ("/v1/usage", f"/v1/predictions/{job}", f"/v1/predictions/{job}/events"):
        over = ann.http.get(path)
        assert (over.status_code, over.json()["code"]) == (429, "too-many-requests")
        assert check_limit_headers(over, 9) == 0
        assert 0 < int(over.headers["retry-after"]) <= 61
    assert bob.http.get("/v1/usage").status_code == 200, "another's limit is another's"
    assert ann.http.get("/v1/models").status_code == 200


def test_the_client_waits_where_the_server_says_so(tmp_path: Path, keys: ClientKeys) -> None:
    waits: list[int] = []
    with (
        limited(tmp_path, "3/second") as office,
        Client(
            office.server.url, token=office.tenant("ann").token, on_wait=lambda seconds, _: waits.append(seconds)
        ) as client,
    ):
        client.upload_keys(keys.frame)
        jobs = together(8, lambda _: client.submit("toy", random_records(TOY_SCHEMA, 1, seed=1)[0], keys.secret).id)
    assert len(set(jobs)) == 8
    assert waits
