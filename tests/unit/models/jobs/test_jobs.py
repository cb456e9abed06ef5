"""Training jobs: a folder that survives everything, run by whoever holds its lock."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from training_job_making import request

from epaas_models import descent
from epaas_models.datasets import DataSettings
from epaas_models.export import read_bundle
from epaas_models.jobs import folder, slots
from epaas_models.jobs.folder import JobFolder
from epaas_models.jobs.queue import JobQueue
from epaas_models.jobs.run import run
from epaas_models.jobs.slots import MAX_ATTEMPTS, Slots
from epaas_shared.errors import ConfigurationError, Conflict, IdempotencyConflict, JobCancelled, TrainingJobNotFound


def test_a_job_runs_once_and_says_what_it_did(tmp_path: Path) -> None:
    job = JobFolder.create(tmp_path / "job", request(splits=1))
    seen: list[str] = []
    fitted = run(job, DataSettings(), lambda what, done, total: seen.append(what))
    status = job.status
    assert (status.state, status.attempts, status.problem) == ("succeeded", 1, None)
    assert status.started_at is not None
    assert status.ended_at is not None
    assert status.submitted_at <= status.started_at <= status.ended_at
    assert read_bundle(job.bundle).digest == fitted.manifest.digest
    epochs = [event for event in job.events() if event["event"] == "epoch"]
    assert [event["epoch"] for event in epochs] == [1, 2, 3]
    assert all(event["epochs"] == 3 and event["loss"] > 0 for event in epochs)
    assert all(0 <= event["validation_accuracy"] <= 1 for event in epochs)
    stages = [event["stage"] for event in job.events() if event["event"] == "stage"]
    assert stages[0] == "train"
    assert set(stages) == set(seen)
    assert job.events(after=len(job.events()) - 1) == job.events()[-1:]
    assert not job.checkpoint.exists()
    assert not job.locked


def test_only_one_process_runs_a_job(tmp_path: Path) -> None:
    job = JobFolder.create(tmp_path / "job", request())
    with job.lock() as free:
        assert free
        assert job.locked
        with pytest.raises(Conflict):
            run(job, DataSettings())
        with pytest.raises(Conflict):
            JobFolder.create(job.path, request())
        assert job.status.state == "queued"
    assert not job.locked


def test_an_interrupted_job_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(JobFolder.create(tmp_path / "whole", request()), DataSettings())
    job, real = JobFolder.create(tmp_path / "job", request()), descent._save

    def interrupted(path: Path, epochs: int, parts: dict[str, descent.Stateful]) -> None:
        real(path, epochs, parts)
        raise KeyboardInterrupt

    monkeypatch.setattr(descent, "_save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(job, DataSettings())
    assert job.status.state == "running"
    assert job.checkpoint.exists()
    monkeypatch.setattr(descent, "_save", real)
    resumed = run(job, DataSettings())
    assert resumed.report.weights == whole.report.weights
    assert job.status.attempts == 2
    assert [event["epoch"] for event in job.events() if event["event"] == "epoch"] == [1, 2, 3]


def test_a_job_stops_soon_after_it_is_asked_to(tmp_path: Path) -> None:
    job = JobFolder.create(tmp_path / "job", request(epochs=100_000))

    def ask(what: str, done: int, total: int) -> None:
        if done == 10:
            job.ask_to_cancel()

    with pytest.raises(JobCancelled):
        run(job, DataSettings(), ask)
    assert job.status.state == "cancelled"
    assert not job.checkpoint.exists()


def test_a_job_that_cannot_be_done_says_why(tmp_path: Path) -> None:
    wrong = request().model_dump(mode="json")
    wrong["configuration"]["input_schema"] = "mnist/v1"
    job = JobFolder.create(tmp_path / "job", request().model_validate(wrong))
    with pytest.raises(ConfigurationError):
        run(job, DataSettings())
    problem = job.status.problem
    assert job.status.state == "failed"
    assert problem is not None
    assert problem.field == "input_schema"


def test_an_event_that_was_cut_short_is_passed_over(tmp_path: Path) -> None:
    job = JobFolder.create(tmp_path / "job", request())
    job.add_event({"event": "stage", "stage": "train"})
    with (job.path / "events.jsonl").open("a") as file:
        file.write('\n{"event": "epo')
    job.add_event({"event": "stage", "stage": "attacks"})
    assert [event["stage"] for event in job.events()] == ["train", "attacks"]


def test_the_queue_is_in_the_order_of_submission(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path)
    first, second = queue.submit(request()), queue.submit(request(epochs=4))
    assert queue.waiting() == [first, second]
    assert queue.jobs() == [second, first]
    with first.lock():
        assert queue.waiting() == [second]
    first.end("succeeded")
    assert queue.waiting() == [second]


def test_the_same_key_is_the_same_job(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path)
    job = queue.submit(request(), key="once")
    assert queue.submit(request(), key="once") == job
    assert queue.submit(request(), key="twice") != job
    with pytest.raises(IdempotencyConflict):
        queue.submit(request(epochs=4), key="once")


@pytest.mark.parametrize("name", ["0" * 32, "..", "../jobs", "x", "", "a" * 31 + "/"])
def test_there_is_no_such_job(tmp_path: Path, name: str) -> None:
    with pytest.raises(TrainingJobNotFound):
        JobQueue(tmp_path).job(name)


def test_a_job_whose_process_dies_again_and_again_fails(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path)
    job = queue.submit(request())
    for _ in range(MAX_ATTEMPTS):
        job.begin()
    Slots(queue, 1)._run(job)
    assert job.status.state == "failed"
    assert job.status.problem is not None
    assert "died" in job.status.problem.detail


def test_a_job_that_is_cancelled_in_the_queue_never_begins(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path)
    job = queue.submit(request())
    job.ask_to_cancel()
    Slots(queue, 1)._run(job)
    assert (job.status.state, job.status.attempts) == ("cancelled", 0)


def test_a_damaged_job_does_not_hold_up_the_others(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path)
    damaged, other = queue.submit(request()), queue.submit(request())
    (damaged.path / "status.json").write_text("{")
    assert queue.jobs() == queue.waiting() == [other]
    with pytest.raises(ConfigurationError) as caught:
        _ = queue.job(damaged.id).status
    assert caught.value.field == str(damaged.path / "status.json")


def test_a_slot_survives_what_should_not_happen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = JobQueue(tmp_path)
    failures = iter([OSError("no space left"), ValueError("what is this")])
    real = JobQueue.waiting

    def failing(self: JobQueue) -> list[JobFolder]:
        for failure in failures:
            raise failure
        return real(self)

    monkeypatch.setattr(slots, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(JobQueue, "waiting", failing)
    job = queue.submit(request())
    job.ask_to_cancel()
    begun = Slots(queue, 1)
    begun.start()
    while job.status.state != "cancelled":
        assert begun._threads[0].is_alive()
        time.sleep(0.01)
    begun.stop()


def test_a_job_that_cannot_write_any_more_goes_on_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(JobFolder.create(tmp_path / "whole", request()), DataSettings())
    job, real = JobFolder.create(tmp_path / "job", request()), folder.write_atomically

    def full(path: Path, data: bytes) -> None:
        raise ConfigurationError("no space left on device", field=path.name)

    def fill(what: str, done: int, total: int) -> None:
        if (what, done) == ("train", 5):
            monkeypatch.setattr(folder, "write_atomically", full)

    with pytest.raises(ConfigurationError, match="no space"):
        run(job, DataSettings(), fill)
    assert (job.status.state, job.locked) == ("running", False)
    monkeypatch.setattr(folder, "write_atomically", real)
    assert run(job, DataSettings()).report.weights == whole.report.weights
    assert (job.status.state, job.status.attempts) == ("succeeded", 2)
