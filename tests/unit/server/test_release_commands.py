"""``epaas-server publish --candidate``, ``promote``, ``rollback``, ``versions`` and ``token``; no server runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from acceptance_making import EVERYTHING, bundle_with
from command_making import Operator
from server_making import BundleParts

from epaas_shared.errors import BundleFallsShort, ConfigurationError, Conflict, ModelNotFound, TokenNotFound


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Operator:
    return Operator(tmp_path, monkeypatch, capsys)


@pytest.fixture
def released(operator: Operator, tmp_path: Path) -> Operator:
    """Version 1 is stable, version 2 a candidate."""
    operator.succeed("publish", operator.bundle)
    operator.succeed("publish", "--candidate", str(BundleParts(changes={"title": "Two"}).write(tmp_path / "two")))
    return operator


def names(document: dict[str, Any]) -> dict[str, int]:
    aliases: dict[str, int] = document["aliases"]
    return aliases


def test_a_candidate_is_promoted_and_rolled_back(released: Operator) -> None:
    assert [model["version"] for model in released.json("models")["models"]] == [1]
    listed = released.succeed("versions", "toy").stdout.splitlines()
    assert [line.split(": ")[0] for line in listed] == ["toy version 1 (stable)", "toy version 2 (candidate)"]
    assert released.succeed("promote", "toy", "2", "--expected", "1").stdout.startswith("toy version 2 (")
    assert "(stable, candidate): Two" in released.succeed("versions", "toy").stdout
    assert names(released.json("rollback", "toy", "--expected", "2")) == {"stable": 1, "candidate": 2}
    assert [release["version"] for release in released.json("versions", "toy")["history"]] == [1, 2, 1]


def test_a_conflict_says_what_is_stable_and_changes_nothing(released: Operator) -> None:
    for arguments in (
        ("promote", "toy", "2", "--expected", "2"),
        ("rollback", "toy"),
        ("rollback", "toy", "--expected", "2"),
    ):
        run = released.run(*arguments)
        assert (run.returncode, run.stdout) == (Conflict.exit_code, "")
        assert "version 1" in run.stderr
    for arguments in (("promote", "toy", "3"), ("promote", "other", "1"), ("rollback", "other"), ("versions", "other")):
        run = released.run(*arguments)
        assert run.returncode == ModelNotFound.exit_code
        assert run.stderr.startswith("epaas-server: error: model: ")
    assert names(released.json("versions", "toy")) == {"stable": 1, "candidate": 2}


def test_a_candidate_can_be_planned(released: Operator) -> None:
    planned = released.json("plan", "toy", "--version", "2", "--strategy", "reduce-tree")
    assert planned["version"] == 2
    assert "(accumulate;" in released.succeed("models").stdout


def test_a_token_is_shown_once(operator: Operator) -> None:
    made = operator.json("token", "create", "training service", "--scope", "publish")
    assert re.fullmatch(r"epaas_[0-9a-f]{16}_[0-9a-f]{64}", made["token"])
    text = operator.succeed("token", "create", "other", "--scope", "publish").stdout
    assert re.fullmatch(r"epaas_[0-9a-f]{16}_[0-9a-f]{64}\n", text)
    listed = operator.json("token", "list")["tokens"]
    assert [(token["name"], token["scope"]) for token in listed] == [
        ("training service", "publish"),
        ("other", "publish"),
    ]
    assert listed[0] == {name: value for name, value in made.items() if name != "token"}
    shown = operator.succeed("token", "list").stdout
    assert "training service" in shown
    assert made["token"][-64:] not in shown
    operator.succeed("token", "revoke", made["id"])
    assert [token["name"] for token in operator.json("token", "list")["tokens"]] == ["other"]
    again = operator.run("token", "revoke", made["id"])
    assert again.returncode == TokenNotFound.exit_code
    assert operator.run("token", "create", "x", "--scope", "everything").returncode == 2


def test_a_bundle_that_falls_short_is_refused_with_the_list(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "acceptance.toml"
    file.write_text(EVERYTHING)
    monkeypatch.setenv("EPAAS_SERVER_ACCEPTANCE_FILE", str(file))
    bundle = str(bundle_with(accuracy=0.5, error=0.2).write(tmp_path / "short"))
    run = operator.run("publish", bundle)
    assert (run.returncode, run.stdout) == (BundleFallsShort.exit_code, "")
    for part in ("accuracy is 0.5, required at least 0.97", "expected_calibration_error is 0.2, required at most 0.05"):
        assert part in run.stderr
    assert operator.json("models") == {"models": []}


def test_a_server_with_a_wrong_acceptance_file_does_not_start(tmp_path: Path) -> None:
    file = tmp_path / "acceptance.toml"
    file.write_text('["toy/v1"]\nacuracy = 0.9\n')
    environment = {**os.environ, "EPAAS_SERVER_ACCEPTANCE_FILE": str(file), "EPAAS_SERVER_WORKERS": "0"}
    command = [sys.executable, "-m", "epaas_server", "serve", "--port", "0", "--data-dir", str(tmp_path / "data")]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == ConfigurationError.exit_code
    assert run.stderr.startswith(f'epaas-server: error: {file}: "toy/v1".acuracy: ')
