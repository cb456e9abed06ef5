"""The commands as a user types them, each in a process of its own, against a real server."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TOY_NETWORK, TOY_SCHEMA, Server, random_records, write_bundle

RECORDS = random_records(TOY_SCHEMA, 3, seed=61)
PLAIN = [TOY_SCHEMA.classes[index] for index in TOY_NETWORK.predict(TOY_SCHEMA.encode(RECORDS))]


class User:
    """Someone at a shell, with a keystore and a passphrase."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.environment = {**os.environ, "EPAAS_URL": url, "EPAAS_KEYSTORE": str(folder / "keys"), "NO_COLOR": "1"}
        self.passphrase = folder / "passphrase"
        self.passphrase.write_text("correct horse battery staple\n")

    def run(self, *arguments: str, program: str = "epaas") -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).parent / program), *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)

    def json(self, *arguments: str) -> dict[str, Any]:
        run = self.run("--json", *arguments)
        assert run.returncode == 0, run.stderr
        document: dict[str, Any] = json.loads(run.stdout)
        return document

    def write(self, records: list[dict[str, Any]], name: str = "records.csv") -> str:
        path = self.folder / name
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(records[0]))
            writer.writeheader()
            writer.writerows(records)
        return str(path)


@pytest.fixture(scope="module")
def user(server: Server, tmp_path_factory: pytest.TempPathFactory) -> User:
    someone = User(tmp_path_factory.mktemp("user"), server.url)
    someone.json("keys", "generate", "--passphrase-file", str(someone.passphrase))
    someone.json("keys", "upload", "--wait")
    return someone


def secret(user: User) -> list[str]:
    return ["--passphrase-file", str(user.passphrase)]


def test_predict_writes_labels_on_stdout_and_the_rest_on_stderr(user: User) -> None:
    run = user.run("predict", user.write(RECORDS), "--model", "toy", *secret(user))
    assert run.returncode == 0, run.stderr
    assert [row["label"] for row in csv.DictReader(run.stdout.splitlines())] == PLAIN
    assert all(line.startswith("epaas: ") for line in run.stderr.splitlines())


def test_predict_takes_json_lines_and_never_sends_the_true_label(user: User) -> None:
    path = user.folder / "records.jsonl"
    rows = [{**record, TOY_SCHEMA.target: label} for record, label in zip(RECORDS, PLAIN, strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    document = user.json("predict", str(path), "--model", "toy", *secret(user))
    assert [row["correct"] for row in document["predictions"]] == [True] * 3
    assert document["bootstraps"] == 3 * 6 * 5, "sums of 30 values are compared in 5"
    assert set(document["seconds"]) == {"encrypt", "submit", "evaluate", "fetch", "decrypt"}


def test_one_process_submits_and_another_decrypts(user: User) -> None:
    submitted = user.json("submit", user.write(RECORDS), "--model", "toy", *secret(user))
    job = submitted["jobs"][0]["id"]
    user.json("jobs", "watch", job)
    fetched = user.json("result", job, *secret(user))
    assert [row["label"] for row in fetched["predictions"]] == PLAIN
    assert job in user.run("jobs", "list").stdout


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"f3": ""}, "f3"),
        ({"f3": "seventeen"}, "f3"),
        ({"f3": "3.5"}, "f3"),
        ({"f3": "nan"}, "f3"),
        ({"surplus": "1"}, "surplus"),
        ({"f3": None}, "f3"),
    ],
    ids=["missing value", "text", "out of range", "not a number", "wrong column", "missing column"],
)
def test_a_wrong_record_is_named_and_nothing_is_sent(user: User, changes: dict[str, Any], named: str) -> None:
    changed = {**RECORDS[0], **changes}
    record = {name: value for name, value in changed.items() if value is not None}
    before = user.run("jobs", "list").stdout
    run = user.run("predict", user.write([record], "wrong.csv"), "--model", "toy", *secret(user))
    assert run.returncode == 2
    assert f"epaas: error: {named}: " in run.stderr
    assert "epaas: hint: " in run.stderr
    assert "Traceback" not in run.stderr
    assert not run.stdout
    assert user.run("jobs", "list").stdout == before


def test_a_wrong_passphrase(user: User, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("wrong horse battery staple\n")
    run = user.run("predict", user.write(RECORDS), "--model", "toy", "--passphrase-file", str(tmp_path / "wrong"))
    assert (run.returncode, run.stdout) == (4, "")
    assert "passphrase" in run.stderr


def test_an_unknown_model(user: User) -> None:
    run = user.run("predict", user.write(RECORDS), "--model", "nothing", *secret(user))
    assert run.returncode == 5
    assert "epaas models list" in run.stderr


def test_a_server_that_is_down(user: User) -> None:
    run = user.run("--server", "http://127.0.0.1:9", "models", "list")
    assert (run.returncode, run.stdout) == (7, "")
    assert "EPAAS_URL" in run.stderr


def test_errors_are_problem_documents_under_json(user: User) -> None:
    run = user.run("--json", "models", "show", "nothing")
    assert run.returncode == 5
    assert json.loads(run.stderr)["code"] == "model-not-found"


def test_a_result_of_keys_that_are_not_here(user: User, server: Server, tmp_path: Path) -> None:
    job = user.json("submit", user.write(RECORDS), "--model", "toy", *secret(user))["jobs"][0]["id"]
    user.json("jobs", "watch", job)
    stranger = User(tmp_path, server.url)
    stranger.json("keys", "generate", "--passphrase-file", str(stranger.passphrase))
    run = stranger.run("result", job, *secret(stranger))
    assert run.returncode == 5
    assert "keys" in run.stderr
    assert not run.stdout
    named = stranger.run("result", job, "--keys", "default", *secret(stranger))
    assert (named.returncode, named.stdout) == (5, "")


def test_publishing_a_wrong_bundle_names_the_field(user: User, tmp_path: Path) -> None:
    run = user.run("publish", str(tmp_path), "--data-dir", str(tmp_path / "data"), program="epaas-server")
    assert run.returncode == 2
    assert "epaas-server: error: manifest.json: " in run.stderr


@pytest.mark.parametrize(
    "command", [["epaas-server", "publish", "BUNDLE", "--data-dir", "FILE"], ["epaas-train", "fit", "breast-cancer"]]
)
def test_a_folder_that_cannot_be_written_is_no_traceback(user: User, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    write_bundle(tmp_path / "bundle", TOY_NETWORK, TOY_SCHEMA)
    places = {"BUNDLE": str(tmp_path / "bundle"), "FILE": str(tmp_path / "file" / "data")}
    program, *arguments = [places.get(word, word) for word in command]
    if program == "epaas-train":
        arguments += ["--splits", "0", "--output", places["FILE"]]
    run = user.run(*arguments, program=program)
    assert run.returncode == 3
    assert f"{program}: error: {tmp_path / 'file'}" in run.stderr
    assert "Traceback" not in run.stderr


def test_training_an_unknown_configuration_names_those_there_are(user: User) -> None:
    run = user.run("fit", "nothing", program="epaas-train")
    assert run.returncode == 3
    assert "epaas-train: error: configuration: there is no configuration 'nothing'" in run.stderr
    assert "breast-cancer" in run.stderr
