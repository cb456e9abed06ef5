"""What the HTTP interface answers where the database refuses, and where it is not there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_making import serving
from job_making import upload
from server_making import BundleParts
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from tests.postgresql import Cluster

from epaas_server.database import is_away, is_full, open_database
from epaas_shared.frame import SEEDED_BYTES, RecordHeader, encode_frame
from epaas_shared.protocol import PROBLEM_MEDIA_TYPE


@pytest.fixture(params=["sqlite", "postgresql"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[httpx.Client]:
    options: dict[str, str] = {}
    if request.param == "postgresql":
        cluster: Cluster = request.getfixturevalue("postgresql")
        options = cluster.settings(cluster.new_database())
    with serving(tmp_path, **options) as (client, _):
        yield client


@pytest.mark.parametrize("name", ["%00", "a%00b", "%ED%A0%80", "%FF", "\U0001f4a9", "'; DROP TABLE jobs; --"])
def test_names_that_no_database_keeps_are_not_found_or_refused(client: httpx.Client, name: str) -> None:
    """PostgreSQL has no text with a NUL in it."""
    answers = [
        client.get(f"/v1/models/{name}"),
        client.get(f"/v1/models/{name}/versions/1/report"),
        client.get(f"/v1/predictions/{name}"),
        client.get(f"/v1/predictions/{name}/result"),
        client.post(f"/v1/predictions/{name}/cancel"),
        client.delete(f"/v1/predictions/{name}"),
        client.get(f"/compare?model={name}&model={name}"),
        client.post(f"/v1/predictions?model={name}", content=b"x"),
    ]
    for answer in answers:
        assert answer.status_code in (404, 422), answer.text
        assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE
    assert client.get("/v1/models").json() == {"models": []}


def test_a_database_that_is_gone_is_answered_with_503_and_when_to_ask_again(
    own_postgresql: Cluster, tmp_path: Path
) -> None:
    with serving(tmp_path, **own_postgresql.settings(own_postgresql.new_database())) as (client, _):
        assert client.get("/v1/models").status_code == 200
        own_postgresql.kill()
        for _ in range(2):
            away = client.get("/v1/models")
            assert (away.status_code, away.json()["code"]) == (503, "unavailable")
            assert away.headers["Retry-After"] == "5"
        own_postgresql.start()
        assert client.get("/v1/models").status_code == 200


def test_a_prediction_whose_commit_was_not_heard_of_keeps_its_record(own_postgresql: Cluster, tmp_path: Path) -> None:
    """The database is killed when it has committed; who asks again is told of the prediction that is there."""
    settings = own_postgresql.settings(own_postgresql.new_database())
    with serving(tmp_path, **settings) as (client, registry):
        model = registry.publish(BundleParts().write(tmp_path / "toy"))
        keys, digest = upload(registry.database, tmp_path / "data", b"keys")
        keys.settle(digest, None)
        bits = registry.schema(model.input_schema).bits
        header = RecordHeader(
            payload_bytes=bits * SEEDED_BYTES,
            profile=model.profile,
            input_schema=model.input_schema,
            evaluation_keys=digest,
            records=1,
            bits=bits,
        )
        request = {
            "params": {"model": "toy"},
            "content": encode_frame(header, bytes(header.payload_bytes)),
            "headers": {"Idempotency-Key": "once"},
        }
        inserted: list[str] = []

        @event.listens_for(registry.database, "before_cursor_execute")
        def look(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
            if statement.startswith("INSERT INTO jobs"):
                inserted.append(statement)

        @event.listens_for(registry.database, "checkin")
        def kill(*_connection: Any) -> None:
            if len(inserted) == 1:
                inserted.append("and killed")
                own_postgresql.kill()

        assert client.post("/v1/predictions", **request).status_code == 503
        assert len(inserted) == 2
        own_postgresql.start()
        again = client.post("/v1/predictions", **request)
        assert again.status_code == 202, again.text
        assert len(inserted) == 2, "it is the first one"
        assert (tmp_path / "data" / "blobs" / "jobs" / again.json()["id"] / "record").read_bytes() == request["content"]


def failure(engine: Engine, statement: str) -> Exception:
    with pytest.raises(DBAPIError) as caught, engine.begin() as connection:
        connection.execute(text(statement))
    return caught.value


def test_what_may_be_tried_again_is_told_from_what_may_not(postgresql: Cluster) -> None:
    with postgresql.opened() as engine:
        ended = failure(engine, "SELECT pg_terminate_backend(pg_backend_pid())")
        slow = failure(engine, "SET LOCAL statement_timeout = 10; SELECT pg_sleep(10)")
        standby = failure(engine, "SET TRANSACTION READ ONLY; DELETE FROM jobs")
        full = failure(engine, "DO $$ BEGIN RAISE disk_full; END $$")
        wrong = failure(engine, "SELECT nothing FROM nowhere")
        twice = failure(engine, "INSERT INTO turns VALUES (1, 0.0)")
    assert all(map(is_away, (ended, slow, standby, full, PoolTimeout())))
    assert isinstance(wrong, ProgrammingError)
    assert isinstance(twice, IntegrityError)
    assert not any(map(is_away, (wrong, twice, ValueError())))
    assert [is_full(error) for error in (full, ended, wrong)] == [True, False, False]


def test_a_full_disk_of_sqlite_is_told_from_a_locked_one(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'epaas.db'}")
    with engine.begin() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
    engine.dispose()
    with engine.connect() as connection:
        connection.connection.cursor().execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(DBAPIError) as caught:
            connection.execute(text(f"INSERT INTO counters VALUES ('a', '{'x' * 100_000}', 1.0)"))
    full = caught.value
    with closing(sqlite3.connect(tmp_path / "epaas.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with engine.connect() as connection:
            connection.connection.cursor().execute("PRAGMA busy_timeout = 10")
            connection.rollback()
        with pytest.raises(DBAPIError) as caught, engine.begin():
            pass
    engine.dispose()
    assert (is_away(full), is_full(full)) == (True, True)
    assert (is_away(caught.value), is_full(caught.value)) == (True, False)
