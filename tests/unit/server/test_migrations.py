"""Databases of earlier releases: migrated without loss, and used by both releases while processes are replaced."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, MetaData, insert, inspect, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from tests.postgresql import Cluster

from epaas_server import migrations
from epaas_server.blobs import open_blobs
from epaas_server.bundle_store import BundleStore
from epaas_server.calibration import Calibration
from epaas_server.database import connect, database_url, open_database
from epaas_server.evaluation_keys import KeyStore
from epaas_server.jobs.store import JobStore
from epaas_server.registry import Registry
from epaas_server.scopes import Scope
from epaas_server.tables import DEFAULT_TENANT, metadata
from epaas_server.tenants import Quotas, TenantStore
from epaas_server.tokens import TokenStore
from epaas_shared.errors import ConfigurationError, InvalidEvaluationKeys
from epaas_shared.profile import default_profile
from epaas_shared.protocol import PredictionState

VECTORS = Path(__file__).parents[2] / "vectors" / "databases"
KEPT: dict[str, Any] = json.loads((VECTORS / "0001.json").read_text())


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def empty(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database without a table."""
    if kind == "sqlite":
        engine = connect(database_url(f"sqlite:///{tmp_path / 'epaas.db'}"))
        yield engine
        engine.dispose()
        return
    cluster: Cluster = request.getfixturevalue("postgresql")
    name = cluster.empty_database()
    engine = connect(cluster.url(name))
    yield engine
    engine.dispose()
    cluster.drop(name)


@pytest.fixture
def earlier(kind: str, empty: Engine) -> Engine:
    """The database of a server of the release before migrations."""
    script = (VECTORS / f"0001.{kind}.sql").read_text()
    if kind == "sqlite":
        with closing(sqlite3.connect(str(empty.url.database))) as connection:
            connection.executescript(script)
    else:
        with empty.begin() as connection:
            connection.exec_driver_sql(script)
        empty.dispose()  # the script leaves a search path
    return empty


def address_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def tables_of(engine: Engine) -> MetaData:
    """The schema as it is."""
    found = MetaData()
    found.reflect(engine)
    return found


def rows_of(engine: Engine, schema: MetaData) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the columns that ``schema`` has."""
    with engine.connect() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in schema.sorted_tables
        }


def differences(engine: Engine) -> list[Any]:
    """Between the schema as it is and ``tables``."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        found: list[Any] = compare_metadata(context, metadata)
        return found


def test_migrations_make_the_schema_that_the_code_has(empty: Engine) -> None:
    migrations.upgrade(empty)
    assert differences(empty) == []


def test_an_earlier_database_gets_the_schema_that_the_code_has(earlier: Engine) -> None:
    migrations.upgrade(earlier)
    assert differences(earlier) == []


def test_nothing_of_an_earlier_database_is_lost(earlier: Engine) -> None:
    schema = tables_of(earlier)
    before = rows_of(earlier, schema)
    assert all(before.values()), "there is something in every table"
    assert migrations.upgrade(earlier) == migrations.newest() == migrations.present(earlier)
    assert rows_of(earlier, schema) == before


def test_what_an_earlier_release_kept_is_used(earlier: Engine, kind: str, tmp_path: Path) -> None:
    migrations.upgrade(earlier)
    tenants = TenantStore(earlier, Quotas())
    jobs = JobStore(earlier, tenants)
    keys = KeyStore(earlier, open_blobs("", tmp_path / "blobs"), jobs, tenants)
    token = TokenStore(earlier).known(KEPT["tokens"][kind])
    token.require(Scope.PUBLISH)
    assert (token.name, token.tenant) == ("training service", DEFAULT_TENANT)
    assert keys.usable(KEPT["keys"]["ready"]) == f"keys/{KEPT['keys']['ready']}"
    with pytest.raises(InvalidEvaluationKeys, match="the trial run with these keys crashed"):
        keys.usable(KEPT["keys"]["rejected"])
    assert {name: jobs.get(name).state.value for name in KEPT["jobs"]} == KEPT["jobs"]
    registry = Registry(earlier, BundleStore(tmp_path / "bundles"))
    assert registry.version("toy").version == KEPT["stable"]
    assert [version.title for version in registry.versions_of("toy").versions] == ["Toy 1", "Toy 2", "Toy 3"]
    assert Calibration(earlier).of(default_profile().digest) is not None
    assert tenants.used(DEFAULT_TENANT).keysets == 3


def test_jobs_of_an_earlier_release_are_finished(earlier: Engine) -> None:
    migrations.upgrade(earlier)
    store = JobStore(earlier, TenantStore(earlier, Quotas()))
    claims = {}
    while (claim := store.claim("worker", 100.0)) is not None:
        claims[claim.id] = claim
    waiting = {name for name, state in KEPT["jobs"].items() if state in ("queued", "running")}
    assert waiting <= claims.keys()
    assert len(claims) == len(waiting) + 1, "and the check of keys"
    running = claims["running"]
    assert (running.layers_done, running.checkpoint_blob) == (1, "jobs/running/1-layer-1")
    for name in waiting:
        store.succeed(claims[name], f"jobs/{name}/result", 1.0, 1)
        assert store.get(name).state is PredictionState.SUCCEEDED


def test_the_release_before_goes_on_working_meanwhile(earlier: Engine) -> None:
    """What it writes and asks, by the tables as it knows them."""
    schema = tables_of(earlier)
    jobs, keys, tokens = schema.tables["jobs"], schema.tables["evaluation_keys"], schema.tables["tokens"]
    migrations.upgrade(earlier)
    with earlier.begin() as connection:
        (running,) = connection.execute(select(jobs).filter_by(id="running"))
        again = {**running._mapping, "id": "of the release before", "state": "queued", "idempotency_key": "own"}
        connection.execute(insert(jobs).values(again))
        connection.execute(
            insert(keys).values(digest="d" * 64, profile="c" * 64, state="ready", bytes=1, uploaded_at=now())
        )
        connection.execute(insert(tokens).values(id="t", name="n", scope="publish", sha256="s", created_at=now()))
        taken = update(jobs).where(jobs.c.id == "queued").values(state="running", fence=jobs.c.fence + 1)
        assert connection.execute(taken.returning(jobs)).one().fence == 2
    with pytest.raises(IntegrityError), earlier.begin() as connection:
        connection.execute(insert(jobs).values({**again, "id": "the same request"}))
    with pytest.raises(IntegrityError), earlier.begin() as connection:
        connection.execute(
            insert(keys).values(digest="d" * 64, profile="c" * 64, state="ready", bytes=1, uploaded_at=now())
        )
    store = JobStore(earlier, TenantStore(earlier, Quotas()))
    assert store.get("of the release before").state is PredictionState.QUEUED


def now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


MIGRATE = """
import sys
from epaas_server import migrations
from epaas_server.database import connect, database_url

print("ready", flush=True)
sys.stdin.readline()
print(migrations.upgrade(connect(database_url(sys.argv[1]))))
"""


def test_processes_that_migrate_at_once_wait_for_one_another(earlier: Engine) -> None:
    command = [sys.executable, "-c", MIGRATE, address_of(earlier)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate()[0].strip() for process in processes] == [migrations.newest()] * 3
    assert differences(earlier) == []


def test_a_new_file_is_opened_by_several_at_once(tmp_path: Path) -> None:
    """SQLite refuses some, at once, of those that go over to the write-ahead log together."""
    openers = 4

    def opened(address: str, barrier: Barrier) -> str | None:
        barrier.wait()
        database = open_database(address)
        found = migrations.present(database)
        database.dispose()
        return found

    with ThreadPoolExecutor(openers) as pool:
        for number in range(15):
            address, barrier = f"sqlite:///{tmp_path / f'{number}.db'}", Barrier(openers)
            opening = [pool.submit(opened, address, barrier) for _ in range(openers)]
            assert [each.result() for each in opening] == [migrations.newest()] * openers


def test_a_migration_that_fails_leaves_everything_as_it_was(earlier: Engine) -> None:
    with earlier.begin() as connection:
        connection.execute(text("CREATE TABLE turns (something INTEGER)"))  # in the way
    schema = tables_of(earlier)
    before = rows_of(earlier, schema)
    with pytest.raises(DBAPIError):
        migrations.upgrade(earlier)
    assert migrations.present(earlier) is None
    assert sorted(inspect(earlier).get_table_names()) == sorted(schema.tables)
    assert {name: list(table.columns.keys()) for name, table in tables_of(earlier).tables.items()} == {
        name: list(table.columns.keys()) for name, table in schema.tables.items()
    }
    assert rows_of(earlier, schema) == before
    with earlier.begin() as connection:
        connection.execute(text("DROP TABLE turns"))
    migrations.upgrade(earlier)


def test_sqlite_is_migrated_by_whoever_opens_it_and_postgresql_by_command_alone(earlier: Engine, kind: str) -> None:
    if kind == "sqlite":
        open_database(address_of(earlier)).dispose()
        assert migrations.present(earlier) == migrations.newest()
        return
    with pytest.raises(ConfigurationError) as caught:
        open_database(address_of(earlier))
    assert "epaas-server database migrate" in str(caught.value.hint)
    assert migrations.present(earlier) is None


def test_a_schema_of_a_later_release_is_served_and_left_alone(empty: Engine) -> None:
    migrations.upgrade(empty)
    with empty.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'later'"))
    open_database(address_of(empty)).dispose()
    assert migrations.upgrade(empty) == "later" == migrations.present(empty)
