"""A real PostgreSQL cluster in a temporary folder, on loopback, as a production one is set up: passwords, durable."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL, Engine

from epaas_server import migrations
from epaas_server.database import connect, open_database

SWITCH = "EPAAS_TEST_DATABASE"
"""With the value ``postgresql`` all servers that tests start are on PostgreSQL."""
USER, PASSWORD = "epaas", "a password with spaces / and @"
START_SECONDS = 60.0
_TEMPLATE = "migrated"


def on_postgresql() -> bool:
    return os.environ.get(SWITCH, "sqlite") == "postgresql"


def binaries() -> Path | None:
    """Where PostgreSQL's programs are; None where it is not installed."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return versions[-1].parent if versions else None


@dataclass
class Cluster:
    folder: Path
    port: int
    owner: str | None
    """Whom PostgreSQL runs as: it does not as root."""
    process: subprocess.Popen[bytes] | None = None
    _made: int = 0
    _migrated: bool = field(default=False)

    @classmethod
    def create(cls) -> Cluster:
        """A new cluster that runs, with nothing in it."""
        programs = binaries()
        assert programs is not None
        owner = None if os.geteuid() else next(name for name in ("postgres", "nobody") if _exists(name))
        folder = Path(tempfile.mkdtemp(prefix="epaas-postgresql-"))
        if owner is not None:
            shutil.chown(folder, owner)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        cluster = cls(folder, port, owner)
        initdb = [str(programs / "initdb"), "--pgdata", str(folder / "data"), "--username", "postgres"]
        options = ["--auth-local", "trust", "--auth-host", "scram-sha-256", "--locale", "C.UTF-8", "--no-sync"]
        cluster._as_owner([*initdb, *options]).check_returncode()
        cluster.start()
        with cluster.administrator() as connection:
            connection.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
        return cluster

    def start(self) -> None:
        programs = binaries()
        assert programs is not None
        settings = [f"port={self.port}", f"unix_socket_directories={self.folder}", "listen_addresses=127.0.0.1"]
        command = [str(programs / "postgres"), "-D", str(self.folder / "data")]
        command += [part for setting in settings for part in ("-c", setting)]
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with (self.folder / "log").open("ab") as log:
                self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **self._who())
            while self.process.poll() is None and time.monotonic() < deadline:
                with suppress(psycopg.OperationalError), self.administrator():
                    return
                time.sleep(0.05)
            time.sleep(0.2)  # of one that was killed, processes may still have the shared memory
        raise RuntimeError(f"PostgreSQL does not start:\n{(self.folder / 'log').read_text()}")

    def kill(self) -> None:
        """``kill -9``, as by a machine that is lost; what was committed must be there at the next start."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """As for an upgrade: connections are ended."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.wait(START_SECONDS)

    def remove(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def administrator(self, database: str = "postgres") -> Iterator[psycopg.Connection[Any]]:
        address = f"host={self.folder} port={self.port} user=postgres dbname={database} connect_timeout=5"
        with psycopg.connect(address, autocommit=True) as connection:
            yield connection

    def url(self, database: str, *, with_password: bool = True) -> URL:
        return URL.create(
            "postgresql+psycopg",
            USER,
            PASSWORD if with_password else None,
            "127.0.0.1",
            self.port,
            database,
        )

    def password_file(self) -> Path:
        path = self.folder / "password"
        path.write_text(PASSWORD + "\n")
        return path

    def settings(self, database: str) -> dict[str, str]:
        """Of a server on one of its databases."""
        url = self.url(database, with_password=False)
        return {"database_url": url.render_as_string(), "database_password_file": str(self.password_file())}

    def empty_database(self) -> str:
        """The name of a new database without tables."""
        return self._create(f"empty_{self._made + 1}", "template0")

    def new_database(self) -> str:
        """The name of a new database of the present schema, copied from one that was migrated."""
        if not self._migrated:
            engine = connect(self.url(self._create(_TEMPLATE, "template0")))
            migrations.upgrade(engine)
            engine.dispose()
            self._migrated = True
        return self._create(f"test_{self._made + 1}", _TEMPLATE)

    def dump(self, database: str) -> bytes:
        """All rows as text, as a backup has them."""
        programs = binaries()
        assert programs is not None
        where = ["--host", str(self.folder), "--port", str(self.port), "--username", "postgres"]
        return subprocess.run([programs / "pg_dump", *where, database], capture_output=True, check=True).stdout

    def drop(self, database: str) -> None:
        with self.administrator() as connection:
            connection.execute(f"DROP DATABASE {database} WITH (FORCE)")

    @contextmanager
    def opened(self) -> Iterator[Engine]:
        """A connection to a new database, which is dropped in the end."""
        name = self.new_database()
        engine = open_database(self.url(name).render_as_string(hide_password=False))
        yield engine
        engine.dispose()
        self.drop(name)

    def _create(self, name: str, template: str) -> str:
        self._made += 1
        with self.administrator() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER {USER}")
        return name

    def _as_owner(self, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(command, capture_output=True, check=False, cwd=self.folder, **self._who())

    def _who(self) -> dict[str, Any]:
        if self.owner is None:
            return {}
        entry = pwd.getpwnam(self.owner)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


class Shared:
    """The cluster of all tests of this process, which have a database each. Made when it is first asked for."""

    def __init__(self) -> None:
        self._cluster: Cluster | None = None
        self._databases: dict[Path, str] = {}

    def cluster(self) -> Cluster:
        if self._cluster is None:
            self._cluster = Cluster.create()
        return self._cluster

    def settings(self, data_dir: Path) -> dict[str, str]:
        """Of a server over this folder: nothing, or the database that belongs to the folder."""
        if not on_postgresql():
            return {}
        cluster = self.cluster()
        name = self._databases.setdefault(data_dir, "")
        if not name:
            name = self._databases[data_dir] = cluster.new_database()
        return cluster.settings(name)

    def remove(self) -> None:
        if self._cluster is not None:
            self._cluster.remove()


SHARED = Shared()


def skip_where_not_installed() -> None:
    """But not where tests are asked to be on it."""
    if binaries() is None and not on_postgresql():
        pytest.skip("PostgreSQL is not installed")


@pytest.fixture(scope="session")
def postgresql() -> Cluster:
    """The one that tests share."""
    skip_where_not_installed()
    return SHARED.cluster()


@pytest.fixture
def own_postgresql() -> Iterator[Cluster]:
    """One of this test's own, to be stopped and killed."""
    skip_where_not_installed()
    cluster = Cluster.create()
    yield cluster
    cluster.remove()
