"""Tenants, their quotas, and what they have used."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine
from tests.unit.server.job_making import LEASE, prediction, upload

from epaas_server.jobs.store import JobStore
from epaas_server.tables import tenants as tenants_table
from epaas_server.tables import usage
from epaas_server.tenants import Quotas, TenantStore, Used
from epaas_shared.errors import Conflict, InvalidRequest, QuotaExceeded, TenantNotFound


@pytest.fixture
def tenants(database: Engine) -> TenantStore:
    store = TenantStore(database, Quotas(keysets=2, stored_bytes=250, unfinished_predictions=3, seconds_a_day=None))
    store.create("ann")
    store.create("bob")
    return store


@pytest.fixture
def jobs(database: Engine, tenants: TenantStore) -> JobStore:
    return JobStore(database, tenants)


@pytest.mark.parametrize("name", ["", "-x", "Upper", "a b", "a/b", "a" * 41, "é", "..", "a\n"])
def test_a_name_that_is_none_is_refused(tenants: TenantStore, name: str) -> None:
    with pytest.raises(InvalidRequest):
        tenants.create(name)


def test_a_name_is_taken_once(tenants: TenantStore) -> None:
    with pytest.raises(Conflict):
        tenants.create("ann")
    assert [tenant.name for tenant in tenants.all()] == ["ann", "bob", "default"]
    with pytest.raises(TenantNotFound):
        tenants.get("cid")


def test_own_quotas_go_before_the_servers(tenants: TenantStore, database: Engine) -> None:
    changed = tenants.set_quotas("ann", {"keysets": 7, "unfinished_predictions": None})
    assert changed.quotas == Quotas(keysets=7, stored_bytes=250, unfinished_predictions=None, seconds_a_day=None)
    assert tenants.set_quotas("ann", {"seconds_a_day": 5.0}).quotas.keysets == 7
    assert tenants.get("bob").quotas == tenants.defaults
    with database.begin() as connection:  # as a later release, which has more quotas, may have left it
        connection.execute(tenants_table.update().filter_by(name="bob").values(quotas={"moons": 3, "keysets": 1}))
    assert tenants.get("bob").quotas.keysets == 1


def test_unfinished_predictions_are_counted_until_they_end(tenants: TenantStore, jobs: JobStore) -> None:
    tenants.set_quotas("ann", {"stored_bytes": None})
    for name in ("a", "b", "c"):
        jobs.submit(prediction(name, tenant="ann"))
    with pytest.raises(QuotaExceeded) as caught:
        jobs.submit(prediction("d", tenant="ann"))
    assert (caught.value.field, caught.value.status) == ("unfinished_predictions", 429)
    assert caught.value.retry_after is not None
    assert "4 would be over the quota of 3" in caught.value.detail
    jobs.submit(prediction("of bob", tenant="bob"))
    assert jobs.submit(prediction("c", tenant="ann"))[1] is False  # a repeated request asks for nothing new
    jobs.cancel("a", "ann")
    jobs.submit(prediction("d", tenant="ann"))
    assert tenants.used("ann").unfinished_predictions == 3


def test_bytes_are_those_of_keys_and_of_records_that_wait(
    tenants: TenantStore, jobs: JobStore, database: Engine, tmp_path: Path
) -> None:
    upload(database, tmp_path, b"k" * 60, tenant="ann")
    jobs.submit(prediction("a", tenant="ann"))
    assert tenants.used("ann").stored_bytes == 160
    with pytest.raises(QuotaExceeded):
        jobs.submit(prediction("b", tenant="ann"))
    jobs.cancel("a", "ann")
    jobs.submit(prediction("b", tenant="ann"))


def test_keys_are_counted(tenants: TenantStore, database: Engine, tmp_path: Path) -> None:
    with database.begin() as connection:
        tenants.admit_keys(connection, "ann", 250)
        with pytest.raises(QuotaExceeded):
            tenants.admit_keys(connection, "ann", 251)
    upload(database, tmp_path, b"one", tenant="ann")
    keys, second = upload(database, tmp_path, b"two", tenant="ann")
    with database.begin() as connection, pytest.raises(QuotaExceeded):
        tenants.admit_keys(connection, "ann", 1)
    keys.delete(second, "ann")
    with database.begin() as connection:
        tenants.admit_keys(connection, "ann", 1)


def test_seconds_of_a_day_are_those_used_and_those_that_will_be(
    tenants: TenantStore, jobs: JobStore, database: Engine
) -> None:
    tenants.set_quotas("ann", {"seconds_a_day": 10.0, "stored_bytes": None})
    jobs.submit(prediction("a", tenant="ann", seconds=6.0))
    with pytest.raises(QuotaExceeded):
        jobs.submit(prediction("b", tenant="ann", seconds=5.0))
    claim = jobs.claim("worker", LEASE)
    assert claim is not None
    jobs.checkpoint(claim, 1, "jobs/a/1", 45, 1.0)
    assert tenants.used("ann").seconds_today == pytest.approx(1.0 + 3.0)
    jobs.succeed(claim, "jobs/a/result", 2.0, 1)
    assert tenants.used("ann") == Used(
        keysets=0, stored_bytes=0, unfinished_predictions=0, seconds_today=3.0, predictions_today=1
    )
    jobs.submit(prediction("b", tenant="ann", seconds=6.9))
    with pytest.raises(QuotaExceeded) as caught:
        jobs.submit(prediction("c", tenant="ann", seconds=1.0))
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 86_401
    with database.begin() as connection:  # the day is over
        connection.execute(usage.update().values(day=datetime(2020, 1, 1, tzinfo=UTC).date()))
    jobs.submit(prediction("c", tenant="ann", seconds=1.0))


def test_cancelling_just_before_the_end_is_not_free(tenants: TenantStore, jobs: JobStore) -> None:
    jobs.submit(prediction("a", tenant="ann", seconds=100.0))
    claim = jobs.claim("worker", LEASE)
    assert claim is not None
    jobs.heartbeat(claim, LEASE, 81)  # of 90 bootstraps
    jobs.cancel("a", "ann")
    assert tenants.used("ann").seconds_today == pytest.approx(90.0)


def test_quotas_hold_for_requests_that_come_together(tenants: TenantStore, jobs: JobStore) -> None:
    tenants.set_quotas("ann", {"stored_bytes": None, "unfinished_predictions": 5})
    outcomes: list[bool] = []
    barrier = threading.Barrier(12)

    def ask(number: int) -> None:
        barrier.wait()
        try:
            jobs.submit(prediction(f"job-{number}", tenant="ann"))
            outcomes.append(True)
        except QuotaExceeded:
            outcomes.append(False)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False] * 7 + [True] * 5


def test_a_tenant_is_deleted_when_it_has_nothing_any_more(tenants: TenantStore, jobs: JobStore) -> None:
    jobs.submit(prediction("a", tenant="ann"))
    with pytest.raises(Conflict):
        tenants.delete("ann")
    jobs.erase("a", "ann")
    tenants.delete("ann")
    with pytest.raises(TenantNotFound):
        tenants.get("ann")
    with pytest.raises(Conflict):
        tenants.delete("default")


def test_one_tenant_does_not_find_the_jobs_of_another(jobs: JobStore) -> None:
    jobs.submit(prediction("a", tenant="ann", key="same"))
    jobs.submit(prediction("b", tenant="bob", key="same", request="other"))
    assert jobs.get("a", "ann").id == "a"
    for call in (jobs.get, jobs.result_blob, jobs.cancel, jobs.erase):
        with pytest.raises(Exception, match="there is no prediction"):
            call("a", "bob")
        with pytest.raises(Exception, match="there is no prediction"):
            call("a")
    assert jobs.get("a", "ann").state.value == "queued"
