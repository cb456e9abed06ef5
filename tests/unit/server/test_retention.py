"""What is erased, and what is not: by age, by tenant, and what nothing names."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from tests.unit.server.job_making import LEASE, prediction, upload

from epaas_server.audit import Action
from epaas_server.services import Services
from epaas_server.settings import Settings
from epaas_server.tables import evaluation_keys, jobs
from epaas_shared.errors import EvaluationKeysNotFound, PredictionNotFound, TenantNotFound
from epaas_shared.protocol import PredictionState

DAY = timedelta(days=1)


@pytest.fixture
def services(tmp_path: Path) -> Services:
    settings = Settings(
        data_dir=tmp_path, keep_finished_days=10, keep_unused_keys_days=20, keep_audit_days=30, threads=1
    )
    return Services.open(settings)


def ask(services: Services, name: str, tenant: str = "default", **changes: object) -> None:
    services.blobs.put(f"jobs/{name}/record", b"record of " + name.encode())
    services.jobs.submit(prediction(name, tenant=tenant, **changes))


def finish(services: Services) -> None:
    claim = services.jobs.claim("worker", LEASE)
    assert claim is not None
    services.blobs.put(f"jobs/{claim.id}/result", b"result")
    services.jobs.succeed(claim, f"jobs/{claim.id}/result", 0.1, 1)


def age_blobs(tmp_path: Path, age: timedelta) -> None:
    then = time.time() - age.total_seconds()
    for path in (tmp_path / "blobs").rglob("*"):
        if path.is_file():
            os.utime(path, (then, then))


def files(tmp_path: Path) -> list[str]:
    blobs = tmp_path / "blobs"
    return sorted(str(path.relative_to(blobs)) for path in blobs.rglob("*") if path.is_file())


def test_finished_predictions_go_after_their_time_and_unfinished_ones_never(services: Services, tmp_path: Path) -> None:
    for name in ("old", "new"):
        ask(services, name)
        finish(services)
    ask(services, "waiting")
    with services.database.begin() as connection:
        connection.execute(update(jobs).values(created_at=datetime.now(UTC) - 100 * DAY))
        connection.execute(update(jobs).filter_by(id="old").values(finished_at=datetime.now(UTC) - 11 * DAY))
        connection.execute(update(jobs).filter_by(id="new").values(finished_at=datetime.now(UTC) - 9 * DAY))
    assert services.retention.sweep().predictions == 1
    with pytest.raises(PredictionNotFound):
        services.jobs.get("old")
    assert services.jobs.get("new").state is PredictionState.SUCCEEDED
    assert services.jobs.get("waiting").state is PredictionState.QUEUED
    assert {name.split("/")[1] for name in files(tmp_path)} == {"new", "waiting"}
    (event,) = services.audit.read()
    assert (event.actor, event.action, event.subject) == ("retention", Action.PREDICTION_ERASED, "old")
    assert services.retention.sweep().predictions == 0


def test_keys_go_when_they_were_not_used_for_long_and_nothing_waits_for_them(
    services: Services, tmp_path: Path
) -> None:
    digests = [upload(services.database, tmp_path, f"keys {n}".encode())[1] for n in range(4)]
    old, used, waited_for, new = digests
    ask(services, "waiting", keys=waited_for)
    with services.database.begin() as connection:
        long_ago = datetime.now(UTC) - 21 * DAY
        connection.execute(
            update(evaluation_keys).where(evaluation_keys.c.digest != new).values(uploaded_at=long_ago, state="ready")
        )
        connection.execute(jobs.delete().where(jobs.c.kind == "check-keys"))
    services.keys.usable(used)
    assert services.retention.sweep().keysets == 1
    with pytest.raises(EvaluationKeysNotFound):
        services.keys.get(old)
    for kept in (used, waited_for, new):
        assert services.blobs.has(services.keys.blob(kept))


def test_blobs_that_nothing_names_go_when_they_are_old(services: Services, tmp_path: Path) -> None:
    _, digest = upload(services.database, tmp_path, b"keys")
    ask(services, "known")
    services.blobs.put("jobs/unknown/record", b"x")
    services.blobs.put("jobs/unknown/result", b"x")
    services.blobs.put(f"keys/default/{'0' * 16}-left", b"x")
    services.blobs.put("keys/" + "1" * 64, b"of a release without tenants")
    (tmp_path / "blobs" / "incoming" / "broken-off").write_bytes(b"x")
    assert services.retention.sweep().orphaned_blobs == 0
    age_blobs(tmp_path, 2 * DAY)
    assert services.retention.sweep().orphaned_blobs == 5
    assert files(tmp_path) == ["jobs/known/record", services.keys.blob(digest)]


def test_what_a_finished_job_has_no_use_for_any_more_goes_and_its_result_stays(
    services: Services, tmp_path: Path
) -> None:
    """Its worker died after it had said that the job is done, and before it had tidied up."""
    for name in ("done", "waiting"):
        ask(services, name)
        if name == "done":
            finish(services)
        services.blobs.put(f"jobs/{name}/1-layer-1", b"a checkpoint")
    age_blobs(tmp_path, 2 * DAY)
    assert services.retention.sweep().orphaned_blobs == 2
    assert files(tmp_path) == ["jobs/done/result", "jobs/waiting/1-layer-1", "jobs/waiting/record"]


def test_bundles_that_broke_off_on_their_way_in_go_when_they_are_old(services: Services) -> None:
    folder = services.registry.bundles.local
    for name in (".broken", "d" * 64):
        (folder / name).mkdir(parents=True)
        (folder / name / "manifest.json").write_bytes(b"{}")
    assert services.retention.sweep().orphaned_blobs == 0
    long_ago = time.time() - (2 * DAY).total_seconds()
    os.utime(folder / ".broken", (long_ago, long_ago))
    assert services.retention.sweep().orphaned_blobs == 1
    assert [path.name for path in folder.iterdir()] == ["d" * 64]


def test_keys_of_a_release_without_tenants_are_no_orphans(services: Services, tmp_path: Path) -> None:
    digest = "2" * 64
    services.blobs.put(f"keys/{digest}", b"x")
    with services.database.begin() as connection:
        connection.execute(
            evaluation_keys.insert().values(
                digest=digest, profile="p", state="ready", bytes=1, uploaded_at=datetime.now(UTC)
            )
        )
    age_blobs(tmp_path, 2 * DAY)
    assert services.retention.sweep().orphaned_blobs == 0
    assert services.keys.usable(digest) == f"keys/{digest}"


def test_a_tenant_is_erased_whole_and_no_other(services: Services, tmp_path: Path) -> None:
    for tenant in ("ann", "bob"):
        services.tenants.create(tenant)
        upload(services.database, tmp_path, b"keys", tenant=tenant)
        claim = services.jobs.claim("worker", LEASE)
        assert claim is not None
        services.keys.settle(claim.evaluation_keys, None, tenant)
        services.jobs.succeed(claim, None, 0.1, 1)
        ask(services, f"done-{tenant}", tenant)
        finish(services)
    for tenant in ("ann", "bob"):
        ask(services, f"waiting-{tenant}", tenant)
    erased = services.retention.erase_all_of("ann")
    assert (erased.predictions, erased.keysets) == (2, 1)
    services.tenants.delete("ann")
    assert not [name for name in files(tmp_path) if "ann" in name]
    assert len([name for name in files(tmp_path) if "bob" in name]) == 4
    assert services.jobs.get("done-bob", "bob").state is PredictionState.SUCCEEDED
    with pytest.raises(TenantNotFound):
        services.retention.erase_all_of("ann")


def test_audit_events_go_after_their_time(services: Services) -> None:
    services.audit.add("default", "x", Action.AUDIT_READ, "all")
    assert services.audit.forget_before(timedelta(days=1)) == 0
    assert services.audit.forget_before(timedelta(seconds=-1)) == 1
    assert services.audit.read() == []
