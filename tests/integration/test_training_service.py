"""The training service over real processes: from an unseen table to an encrypted prediction, kills included."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from sklearn.datasets import load_wine

from epaas_client import Client
from epaas_models.export import read_bundle
from epaas_models.jobs.folder import JobFolder
from tests.conftest import START_SECONDS, ClientKeys, Server, upload_keys
from tests.integration.processes import wait_until

SLOW_ENOUGH = {
    "name": "killed",
    "title": "A training to be killed",
    "task": "breast-cancer",
    "input_schema": "breast-cancer/v2",
    "method": {
        "kind": "binary-network",
        "architecture": {"hidden": [{"kind": "dense", "outputs": 16}]},
        "training": {"epochs": 80},
    },
}


@dataclass
class Training:
    """A real ``epaas-train serve``."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    url: str = ""

    def start(self) -> Training:
        log = self.folder / "service.log"
        begin = log.stat().st_size if log.exists() else 0
        environment = {**os.environ, **self.settings}
        command = [sys.executable, "-m", "epaas_models", "serve", "--port", "0", "--data-dir", str(self.folder)]
        with log.open("ab") as file:
            self.process = subprocess.Popen(command, env=environment, stderr=file)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            written = log.read_text()[begin:]
            if '"listening"' in written:
                self.url = written.split('"url": "')[1].split('"')[0]
                return self
            time.sleep(0.05)
        raise RuntimeError(log.read_text())

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def submit(self, **body: Any) -> str:
        answer = httpx.post(f"{self.url}/v1/training-jobs", json={"thoroughness": "quick", **body}, timeout=60)
        assert answer.status_code == 202, answer.text
        assert answer.headers["Location"] == f"/v1/training-jobs/{answer.json()['id']}"
        return str(answer.json()["id"])

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}/v1/training-jobs/{path}", timeout=60).raise_for_status()

    def finished(self, job: str) -> dict[str, Any]:
        wait_until(lambda: self.get(job).json()["ended_at"], 400)
        found: dict[str, Any] = self.get(job).json()
        return found

    def epochs(self, job: str) -> list[int]:
        events = self.get(f"{job}/events").json()["events"]
        return [event["epoch"] for event in events if event["event"] == "epoch"]


@pytest.fixture
def training(tmp_path: Path) -> Iterator[Callable[..., Training]]:
    started: list[Training] = []

    def start(**settings: str) -> Training:
        folder = tmp_path / "training"
        folder.mkdir()
        started.append(Training(folder, settings).start())
        return started[-1]

    yield start
    for service in started:
        service.stop()


def wine() -> tuple[bytes, list[dict[str, float]], list[str]]:
    """A table as a provider has it, its records and its labels."""
    found = load_wine()
    names, labels = list(found.feature_names), [str(found.target_names[label]) for label in found.target]
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow([*names, "cultivar"])
    rows.writerows([*row, label] for row, label in zip(found.data.tolist(), labels, strict=True))
    return text.getvalue().encode(), [dict(zip(names, row, strict=True)) for row in found.data.tolist()], labels


def test_from_a_table_never_seen_before_to_an_encrypted_prediction(
    training: Callable[..., Training], make_server: Callable[..., Server], keys: ClientKeys, tmp_path: Path
) -> None:
    server = make_server()
    upload_keys(server, keys)
    made = server.command("token", "create", "training", "--scope", "publish")
    assert made.returncode == 0, made.stderr
    token = tmp_path / "publish.token"
    token.write_text(made.stdout)
    service = training(EPAAS_TRAIN_PREDICTION_SERVER=server.url, EPAAS_TRAIN_PUBLISH_TOKEN_FILE=str(token))
    table, records, labels = wine()

    task = httpx.put(f"{service.url}/v1/tasks/wine/rows", params={"label": "cultivar"}, content=table, timeout=120)
    assert task.status_code == 200, task.text
    assert task.json()["rows"] == len(records)
    job = service.submit(task="wine", publish="stable")
    done = service.finished(job)
    assert done["state"] == "succeeded", done["problem"]
    assert service.get(f"{job}/report").json()["task"] == "wine/v1"
    assert made.stdout.strip() not in "".join(
        path.read_text(errors="replace") for path in service.folder.rglob("*") if path.is_file()
    )

    refused = service.finished(service.submit(task="wine", seed=1, publish="stable", budget_seconds=0.001))
    assert (refused["state"], refused["problem"]["field"]) == ("failed", "budget_seconds")
    assert refused["problem"]["shortfalls"][0]["measured"] > 0.001
    within = service.finished(service.submit(task="wine", seed=2, publish="stable", budget_seconds=3600))
    assert within["state"] == "succeeded", within["problem"]
    versions = httpx.get(f"{server.url}/v1/models/wine/versions", timeout=60).json()
    assert versions["aliases"] == {"stable": 3, "candidate": 3}
    assert [release["version"] for release in versions["history"]] == [1, 3]
    assert server.command("rollback", "wine").returncode == 0

    bundle = tmp_path / "bundle"
    with zipfile.ZipFile(io.BytesIO(service.get(f"{job}/bundle").content)) as archive:
        archive.extractall(bundle)
    plain = read_bundle(bundle)
    rows = [3, 75, 170]
    with Client(server.url, timeout=120) as client:
        model = client.model("wine")
        assert model.digest == plain.digest
        schema = client.schema(model.input_schema)
        assert schema.digest == task.json()["digest"]
        job_of_client = client.submit("wine", [records[row] for row in rows], keys.secret)
        job_of_client.wait()
        found = job_of_client.result(keys.secret)
    expected = plain.network.predict(schema.encode([records[row] for row in rows]))
    assert [prediction.label for prediction in found] == [schema.classes[index] for index in expected]
    assert [prediction.label for prediction in found] == [labels[row] for row in rows], "an easy table"


def test_killed_jobs_end_with_the_weights_of_those_that_were_not(training: Callable[..., Training]) -> None:
    service = training()
    whole = service.submit(configuration=SLOW_ENOUGH, device="cpu")
    assert service.finished(whole)["state"] == "succeeded"

    job = service.submit(configuration=SLOW_ENOUGH, device="cpu")
    folder = JobFolder(service.folder / "jobs" / job)
    for least in (5, 15):
        wait_until(lambda least=least: len(service.epochs(job)) >= least, 200)
        os.kill(_process_of(folder), signal.SIGKILL)
    wait_until(lambda: folder.status.attempts == 3 and folder.locked, 100)
    service.kill()  # the job's process goes on by itself, and the next service leaves it alone
    assert folder.locked
    service.start()
    done = service.finished(job)
    assert (done["state"], done["attempts"]) == ("succeeded", 3)
    assert service.epochs(job)[-1] == 80
    reports = [service.get(f"{each}/report").json() for each in (whole, job)]
    assert reports[0]["weights"] == reports[1]["weights"]


def _process_of(job: JobFolder) -> int:
    """The process that runs a job now."""
    found: list[int] = []

    def look() -> bool:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if b"epaas_models.jobs" in words and str(job.path).encode() in words:
                found.append(int(path.parent.name))
        return bool(found) and job.locked

    wait_until(look, 60)
    return found[-1]


def test_a_running_job_is_cancelled(training: Callable[..., Training]) -> None:
    service = training()
    endless = {**SLOW_ENOUGH, "method": {**SLOW_ENOUGH["method"], "training": {"epochs": 100_000}}}  # type: ignore[dict-item]
    job = service.submit(configuration=endless)
    wait_until(lambda: service.epochs(job), 200)
    waiting = service.submit(configuration=endless)
    for each in (waiting, job):
        assert httpx.delete(f"{service.url}/v1/training-jobs/{each}", timeout=60).status_code == 202
    assert service.finished(job)["state"] == "cancelled"
    done = service.finished(waiting)
    assert (done["state"], done["attempts"]) == ("cancelled", 0)
    refused = httpx.get(f"{service.url}/v1/training-jobs/{job}/bundle", timeout=60)
    assert (refused.status_code, refused.json()["code"]) == (409, "training-job-cancelled")
