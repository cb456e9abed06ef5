"""The training service's routes: every request that cannot be done is told why, and by a problem document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from service_making import serving

from epaas_models.jobs.folder import JobFolder
from epaas_models.jobs.queue import JobQueue
from epaas_models.service.app import create_app
from epaas_models.service.settings import ServiceSettings
from epaas_shared.errors import ConfigurationError
from epaas_shared.protocol import PROBLEM_MEDIA_TYPE

ROWS = "size,colour,kind\n" + "".join(f"{i % 17},{'red' if i % 3 else 'blue'},{'ab'[i % 17 > 8]}\n" for i in range(80))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    with serving(ServiceSettings(data_dir=tmp_path)) as found:
        yield found


@pytest.fixture
def queue(tmp_path: Path) -> JobQueue:
    return JobQueue(tmp_path / "jobs")


def problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    return found


def give(client: httpx.Client, rows: str = ROWS, task: str = "things", **query: str) -> Any:
    return client.put(f"/v1/tasks/{task}/rows", params={"label": "kind", **query}, content=rows.encode())


def test_rows_become_a_task_and_again_the_same(client: httpx.Client) -> None:
    first, again = give(client), give(client)
    assert first.status_code == 200, first.text
    assert first.json() == again.json()
    assert (first.json()["name"], first.json()["rows"], first.json()["classes"]) == ("things/v1", 80, ["a", "b"])
    more = give(client, ROWS + "3,green,a\n5,green,b\n" * 10)
    assert more.json()["name"] == "things/v2"
    assert [task["name"] for task in client.get("/v1/tasks").json()["tasks"]] == ["things/v2"]
    assert client.get("/v1/tasks/things").json() == more.json()
    assert problem(client.get("/v1/tasks/others"), 404)["code"] == "task-not-found"


def test_the_rows_that_were_given_last_are_those_that_are_trained_on(client: httpx.Client, queue: JobQueue) -> None:
    give(client)
    give(client, ROWS + "3,green,a\n5,green,b\n" * 10)
    assert give(client).json()["name"] == "things/v1", "the same rows are the same version"
    job = client.post("/v1/training-jobs", json={"task": "things"}).json()["id"]
    assert queue.job(job).request.configuration.input_schema == "things/v1"
    assert [task["name"] for task in client.get("/v1/tasks").json()["tasks"]] == ["things/v1"]


def test_a_description_says_what_the_rows_cannot(client: httpx.Client) -> None:
    described = {"task": "things", "label": "kind", "columns": {"size": {"type": "number", "maximum": 15}}}
    assert client.put("/v1/tasks/things/description", content=json.dumps(described)).status_code == 200
    found = problem(client.put("/v1/tasks/things/rows", content=ROWS.encode()), 422)
    assert found["field"] == "size"
    assert "line 18" in found["detail"]


@pytest.mark.parametrize(
    ("rows", "field"),
    [
        ("", "header"),
        ("size,kind\n1,a\n", "rows"),
        (ROWS.replace("kind", "sort"), "label"),
        (ROWS.replace("size,colour", "size,size"), "size"),
        (ROWS + "nan,red,a\n", "size"),
        (ROWS + "1,red\n", "rows"),
        ("size,kind\n" + "1,a\n2,a\n" * 30, "kind"),
        ("size,kind\n" + "1,a\n2,b\n" * 30 + "3,\n", "kind"),
    ],
    ids=["empty", "one row", "no label", "twice", "not a number", "ragged", "one class", "no value"],
)
def test_a_table_that_cannot_be_used_says_where(client: httpx.Client, rows: str, field: str) -> None:
    found = problem(give(client, rows), 422)
    assert found["code"] == "invalid-table"
    assert field in (found["field"], *(fault["field"] for fault in found.get("faults") or ()))
    assert found["hint"]
    assert client.get("/v1/tasks").json()["tasks"] == []


def test_a_table_over_the_limit_is_refused(tmp_path: Path) -> None:
    with serving(ServiceSettings(data_dir=tmp_path, max_table_bytes=100)) as client:
        assert problem(give(client), 413)["field"] == "body"


@pytest.mark.parametrize("name", ["UPPER", "a_b", "-a", "mnist"])
def test_a_task_needs_a_name_of_its_own(client: httpx.Client, name: str) -> None:
    problem(give(client, task=name), 422)


def test_a_job_is_queued_once_a_key(client: httpx.Client, queue: JobQueue) -> None:
    body = {"configuration": "breast-cancer", "seed": 3}
    answers = [client.post("/v1/training-jobs", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["state"] == "queued"
    assert [job.id for job in queue.jobs()] == [answers[0].json()["id"]]
    other = client.post("/v1/training-jobs", json={**body, "seed": 4}, headers={"Idempotency-Key": "k"})
    assert problem(other, 409)["code"] == "idempotency-conflict"


def test_an_own_task_is_trained_by_its_default_or_by_another_configuration(
    client: httpx.Client, queue: JobQueue
) -> None:
    default = give(client).json()["configuration"]
    assert client.post("/v1/training-jobs", json={"task": "things"}).status_code == 202
    changed = {**default, "name": "things-longer"}
    answer = client.post("/v1/training-jobs", json={"configuration": changed})
    assert answer.status_code == 202, answer.text
    request = queue.job(answer.json()["id"]).request
    assert request.own is not None
    assert request.own.dataset().columns["size"].shape == (80,)


def wrong(**changes: Any) -> dict[str, Any]:
    configuration: dict[str, Any] = {
        "name": "tiny",
        "title": "T",
        "task": "breast-cancer",
        "input_schema": "breast-cancer/v1",
        "method": {"kind": "binary-network", "architecture": {}, "training": {"epochs": 1}},
    }
    return {"configuration": {**configuration, **changes}}


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "configuration"),
        ({"configuration": "nothing"}, 400, "configuration"),
        ({"configuration": "../../etc/passwd"}, 400, "configuration"),
        ({"task": "nothing"}, 404, "task"),
        ({"task": "a", "configuration": "mnist"}, 422, "configuration"),
        ({"configuration": "mnist", "seed": -1}, 422, "body.seed"),
        ({"configuration": "mnist", "sed": 1}, 422, "body.sed"),
        ({"configuration": "mnist", "publish": "stable"}, 422, "publish"),
        ({"configuration": "mnist", "output": "/tmp/x"}, 422, "body.output"),
        ({"configuration": "mnist", "budget_seconds": 1}, 422, "budget_seconds"),
        ({"configuration": "mnist", "publish": "stable", "budget_seconds": 0}, 422, "body.budget_seconds"),
        (wrong(input_schema="mnist/v1"), 400, "input_schema"),
        (wrong(task="nothing"), 404, "task"),
        (wrong(name="../x"), 422, "name"),
        (wrong(method={"kind": "magic"}), 422, "method"),
    ],
)
def test_a_job_that_cannot_be_done_is_refused(
    client: httpx.Client, queue: JobQueue, body: dict[str, Any], status: int, field: str
) -> None:
    answer = client.post("/v1/training-jobs", json=body)
    assert 400 <= answer.status_code < 500
    found = problem(answer, answer.status_code)
    assert field in str(found.get("field")), found
    assert queue.jobs() == []


@pytest.mark.parametrize("path", ["", "/events", "/log", "/bundle", "/report"])
def test_there_is_no_such_job(client: httpx.Client, path: str) -> None:
    for name in ("0" * 32, "..%2f..%2fetc", "x"):
        assert problem(client.get(f"/v1/training-jobs/{name}{path}"), 404)


def test_a_bundle_is_not_ready_before_it_is(client: httpx.Client) -> None:
    job = client.post("/v1/training-jobs", json={"configuration": "breast-cancer"}).json()["id"]
    assert problem(client.get(f"/v1/training-jobs/{job}/bundle"), 409)["code"] == "bundle-not-ready"
    assert client.get(f"/v1/training-jobs/{job}/log").text == ""
    assert client.get(f"/v1/training-jobs/{job}/events").json() == {"events": [], "next": 0}


def test_cancelling_leaves_what_has_ended(client: httpx.Client, queue: JobQueue) -> None:
    job: JobFolder = queue.job(client.post("/v1/training-jobs", json={"configuration": "breast-cancer"}).json()["id"])
    job.end("succeeded")
    assert client.delete(f"/v1/training-jobs/{job.id}").json()["state"] == "succeeded"
    assert not job.cancelling


def test_pages_show_jobs_and_tasks_and_escape_them(client: httpx.Client, queue: JobQueue) -> None:
    give(client)
    body = wrong(title="<script>alert(1)</script>")
    job = queue.job(client.post("/v1/training-jobs", json=body).json()["id"])
    for epoch in (1, 2):
        job.add_event({"event": "epoch", "epoch": epoch, "epochs": 2, "loss": 1.0, "validation_accuracy": 0.25 * epoch})
    listing, page = client.get("/"), client.get(f"/jobs/{job.id}")
    for answer in (listing, page):
        assert answer.status_code == 200
        assert "script" not in answer.headers["Content-Security-Policy"]
        assert "<script>" not in answer.text
    assert f'href="jobs/{job.id}"' in listing.text
    assert "things/v1" in listing.text
    assert "50.0 %" in page.text
    assert 'http-equiv="refresh"' in page.text
    job.end("failed")
    assert 'http-equiv="refresh"' not in client.get(f"/jobs/{job.id}").text
    assert problem(client.get("/jobs/nothing"), 404)
    assert client.get("/static/style.css").status_code == 200


def test_a_token_is_asked_for_everywhere(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t" * 40 + "\n")
    document = create_app(ServiceSettings(data_dir=tmp_path)).openapi()
    with serving(ServiceSettings(data_dir=tmp_path, token_file=token)) as client:
        assert client.get("/v1/training-jobs", headers={"Authorization": f"Bearer {'t' * 40}"}).status_code == 200
        for path, operations in document["paths"].items():
            for method in operations:
                answer = client.request(method, path.format(id="0" * 32, task="things"))
                assert problem(answer, 401)["code"] == "unauthorised", path
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert client.get("/v1/training-jobs", headers={"Authorization": f"Bearer {'t' * 39}"}).status_code == 401


@pytest.mark.parametrize(("host", "token"), [("0.0.0.0", None), ("example.org", None), ("127.0.0.1", "short")])
def test_it_does_not_serve_others_without_a_good_token(tmp_path: Path, host: str, token: str | None) -> None:
    file = None
    if token is not None:
        file = tmp_path / "token"
        file.write_text(token)
    with pytest.raises(ConfigurationError) as caught:
        create_app(ServiceSettings(data_dir=tmp_path, host=host, token_file=file))
    assert caught.value.field == "EPAAS_TRAIN_TOKEN_FILE"


def test_errors_are_as_the_interface_says(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    schema = {"$ref": "#/components/schemas/Problem", "components": document["components"]}
    jsonschema_rs.validator_for(schema).validate(give(client, "").json())
    assert {"submit_training_job", "give_rows", "describe_task", "cancel_training_job"} <= {
        operation["operationId"] for operations in document["paths"].values() for operation in operations.values()
    }
