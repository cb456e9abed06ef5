"""What the doctor says of a service that runs badly: nobody works, something is stuck, keys and predictions fail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, update
from tests.unit.server.job_making import EXPIRED, KEYS, LEASE, prediction
from tests.unit.server.patient_making import healthy, installation, look, the_only

from epaas_server.doctor.patient import Verdict
from epaas_server.jobs.presence import WorkerFacts
from epaas_server.services import Services
from epaas_server.settings import Settings
from epaas_server.tables import evaluation_keys, jobs
from epaas_server.tables import workers as workers_table
from epaas_shared import __version__
from epaas_shared.errors import InvalidEvaluationKeys, PredictionFailed
from epaas_shared.protocol import KeysState, Problem

FACTS = WorkerFacts(release=__version__, engine="local", threads=1, memory_bytes=4 * 10**9)


class Running:
    """A service over a folder, whose workers are rows."""

    def __init__(self, folder: Path) -> None:
        self.settings: Settings = installation(folder)
        self.services = Services.open(self.settings)

    def announce(self, name: str = "here-1", **facts: object) -> None:
        self.services.presence.announce(name, datetime.now(UTC), FACTS.model_copy(update=facts))

    def silence(self, name: str) -> None:
        with self.services.database.begin() as connection:
            connection.execute(update(workers_table).filter_by(name=name).values(seen=workers_table.c.seen - 100.0))

    def ask(self, name: str, *, ago: float = 0.0, **changes: object) -> None:
        self.services.jobs.submit(prediction(name))
        then = datetime.now(UTC) - timedelta(seconds=ago)
        with self.services.database.begin() as connection:
            connection.execute(update(jobs).filter_by(id=name).values(created_at=then, **changes))

    def upload(self, state: KeysState, digest: str = KEYS, *, ago: float = 0.0, problem: str | None = None) -> None:
        error = None if problem is None else InvalidEvaluationKeys(problem)
        with self.services.database.begin() as connection:
            connection.execute(
                insert(evaluation_keys).values(
                    tenant="default",
                    digest=digest,
                    profile="c" * 64,
                    state=state.value,
                    bytes=1,
                    uploaded_at=datetime.now(UTC) - timedelta(seconds=ago),
                    problem=None if error is None else Problem.of(error).model_dump(mode="json"),
                )
            )


@pytest.fixture
def running(tmp_path: Path) -> Running:
    return Running(tmp_path)


# workers


def test_no_worker_matters_more_when_something_waits(running: Running) -> None:
    nobody = the_only(look("workers", running.settings))
    assert nobody.verdict is Verdict.WARNING
    assert "epaas-server worker" in str(nobody.remedy)
    running.ask("waiting")
    assert the_only(look("workers", running.settings)).verdict is Verdict.ERROR
    running.announce()
    assert healthy(look("workers", running.settings))


def test_a_worker_that_has_fallen_silent(running: Running) -> None:
    running.announce("here-1")
    running.announce("gone-2")
    running.silence("gone-2")
    found = the_only(look("workers", running.settings))
    assert found.verdict is Verdict.WARNING
    assert "gone-2" in found.detail
    assert "log" in str(found.remedy)


def test_workers_of_another_release(running: Running) -> None:
    running.announce("here-1", release="0.0.9")
    found = the_only(look("workers", running.settings))
    assert "0.0.9" in found.detail
    assert str(found.remedy).startswith("finish the upgrade")


# the queue


def test_a_job_that_a_free_worker_does_not_take(running: Running) -> None:
    running.upload(KeysState.READY)
    running.announce()
    assert healthy(look("queue", running.settings))
    running.ask("young", ago=10)
    assert healthy(look("queue", running.settings))
    running.ask("old", ago=600)
    stuck = the_only(look("queue", running.settings))
    assert stuck.verdict is Verdict.ERROR
    assert "job old" in stuck.detail
    assert "restart it" in str(stuck.remedy)
    running.ask("large", ago=900, predicted_memory_bytes=9 * 10**9)
    large = the_only(look("queue", running.settings))
    assert "9.0 GB" in large.detail
    assert "a worker with more memory" in str(large.remedy)


def test_a_job_that_waits_for_its_keys_is_not_stuck(running: Running) -> None:
    running.upload(KeysState.CHECKING)
    running.announce()
    running.ask("waiting", ago=600)
    assert healthy(look("queue", running.settings))


def test_a_long_queue_before_busy_workers(running: Running) -> None:
    running.announce(job="another")
    running.ask("waiting", ago=600)
    assert healthy(look("queue", running.settings))
    running.ask("first", ago=7200)
    found = the_only(look("queue", running.settings))
    assert found.verdict is Verdict.WARNING
    assert str(found.remedy).startswith("more workers")


def test_a_job_that_its_worker_has_left(running: Running) -> None:
    running.ask("left")
    assert running.services.jobs.claim("gone-2", LEASE) is not None
    assert healthy(look("abandoned", running.settings))
    with running.services.database.begin() as connection:
        connection.execute(update(jobs).values(lease_until=jobs.c.lease_until - LEASE + 100 * EXPIRED))
    found = the_only(look("abandoned", running.settings))
    assert found.verdict is Verdict.ERROR
    assert "job left" in found.detail
    assert "gone-2" in found.detail
    assert str(found.remedy).startswith("start a worker")


# keys and failures


def test_keys_that_were_refused_or_are_not_tried(running: Running) -> None:
    running.upload(KeysState.READY)
    assert healthy(look("keys", running.settings))
    running.upload(KeysState.REJECTED, "1" * 64, problem="the trial run crashed")
    refused = the_only(look("keys", running.settings))
    assert refused.verdict is Verdict.WARNING
    assert refused.detail == "1 evaluation keys were refused, most often: the trial run crashed"
    running.upload(KeysState.CHECKING, "2" * 64, ago=10)
    assert len(look("keys", running.settings)) == 1
    running.upload(KeysState.CHECKING, "3" * 64, ago=600)
    untried = look("keys", running.settings)[1]
    assert untried.detail.startswith("1 evaluation keys have waited")
    assert "`workers` and `queue`" in str(untried.remedy)


def test_predictions_that_fail(running: Running) -> None:
    for index in range(6):
        assert healthy(look("failures", running.settings))
        running.ask(f"job-{index}")
        claim = running.services.jobs.claim("here-1", LEASE)
        assert claim is not None
        running.services.jobs.fail(claim, PredictionFailed("the evaluation failed"))
    found = the_only(look("failures", running.settings))
    assert found.verdict is Verdict.WARNING
    assert "6 prediction-failed" in found.detail
    assert "`job failed`" in str(found.remedy)
    with running.services.database.begin() as connection:
        connection.execute(update(jobs).values(created_at=datetime.now(UTC) - timedelta(days=2)))
    assert healthy(look("failures", running.settings))
