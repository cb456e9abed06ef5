"""Fixtures of the server's unit tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine
from tests.conftest import ClientKeys
from tests.postgresql import Cluster

from epaas_server.bundle_store import BundleStore
from epaas_server.database import open_database
from epaas_server.jobs.store import JobStore
from epaas_server.registry import Registry
from epaas_server.tenants import Quotas, TenantStore
from epaas_shared.profile import Profile, default_profile


@pytest.fixture(scope="session")
def profile() -> Profile:
    return default_profile()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "postgresql":
        cluster: Cluster = request.getfixturevalue("postgresql")
        with cluster.opened() as engine:
            yield engine
        return
    engine = open_database(f"sqlite:///{tmp_path / 'db' / 'epaas.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def address(database: Engine) -> str:
    """With which another process opens the same database."""
    return database.url.render_as_string(hide_password=False)


@pytest.fixture
def stored_bytes(database: Engine, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], bytes]:
    """Everything that the database keeps."""

    def read() -> bytes:
        if database.dialect.name == "postgresql":
            cluster: Cluster = request.getfixturevalue("postgresql")
            return cluster.dump(str(database.url.database))
        database.dispose()  # what is in the log of writes goes to the file
        return b"".join(path.read_bytes() for path in (tmp_path / "db").iterdir())

    return read


@pytest.fixture
def store(database: Engine) -> JobStore:
    return JobStore(database, TenantStore(database, Quotas()))


@pytest.fixture
def registry(database: Engine, tmp_path: Path) -> Registry:
    return Registry(database, BundleStore(tmp_path / "published"))


@pytest.fixture(scope="session")
def secret_bits(keys: ClientKeys, profile: Profile) -> NDArray[np.uint64]:
    """The bits of a client's LWE secret key, the end of its serialised form. Tests may look; servers cannot."""
    bits = np.frombuffer(keys.secret.to_bytes()[-8 * profile.lwe_dimension :], dtype="<u8").astype(np.uint64)
    assert set(bits.tolist()) == {0, 1}
    return bits
