"""A worker's stores wait for a database that is away, and for nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from job_making import LEASE, submit
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError
from tests.postgresql import Cluster

from epaas_server.database import open_database
from epaas_server.jobs.patience import Patience
from epaas_server.jobs.store import JobStore, LeaseLost
from epaas_server.tenants import Quotas, TenantStore


@pytest.fixture
def killable(own_postgresql: Cluster) -> Iterator[Engine]:
    url = own_postgresql.url(own_postgresql.new_database())
    engine = open_database(url.render_as_string(hide_password=False))
    yield engine
    engine.dispose()


def started_in(seconds: float, cluster: Cluster) -> threading.Timer:
    timer = threading.Timer(seconds, cluster.start)
    timer.start()
    return timer


def test_what_is_asked_while_the_database_is_away_is_answered_when_it_is_back(
    own_postgresql: Cluster, killable: Engine
) -> None:
    store = JobStore(killable, TenantStore(killable, Quotas()))
    patience = Patience(threading.Event())
    patient = patience.of(store)
    submit(store, "one", "two")
    claim = patience.when_settled(lambda: store.claim("worker", LEASE))
    assert claim is not None
    own_postgresql.kill()
    assert patience.when_settled(lambda: store.claim("other", LEASE)) is None
    timer = started_in(1.0, own_postgresql)
    patient.succeed(claim, "jobs/one/1-result", 1.0, 1)
    timer.join()
    assert store.get(claim.id).state.finished
    assert patience.when_settled(lambda: store.claim("other", LEASE)) is None, "others are first given time"
    while (other := patience.when_settled(lambda: store.claim("other", LEASE))) is None:
        time.sleep(0.05)
    assert {claim.id, other.id} == {"one", "two"}
    with pytest.raises(LeaseLost):
        patient.heartbeat(claim, LEASE, 1)


def test_who_is_told_to_stop_waits_no_longer(own_postgresql: Cluster, killable: Engine) -> None:
    stop = threading.Event()
    store = Patience(stop).of(JobStore(killable, TenantStore(killable, Quotas())))
    own_postgresql.kill()
    threading.Timer(0.5, stop.set).start()
    with pytest.raises(OperationalError):
        store.queue_depth()


def test_a_mistake_is_not_repeated(postgresql: Cluster) -> None:
    asked: list[int] = []
    patience = Patience(threading.Event())
    with postgresql.opened() as engine:

        def ask() -> None:
            asked.append(1)
            with engine.connect() as connection:
                connection.execute(text("SELECT nothing FROM turns"))

        for use in (patience.until_answered, patience.when_settled):
            with pytest.raises(ProgrammingError):
                use(ask)
        assert len(asked) == 2
        assert patience.of(engine).dialect is engine.dialect
