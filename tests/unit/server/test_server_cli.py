"""``epaas-server publish``, ``plan`` and ``models``; no server runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_making import Operator
from server_making import BundleParts

from epaas_shared.errors import InvalidInput, ModelNotFound

GIVES_AWAY = "epaas-server: warning: the cost of a request will say which weights"
DIFFERS = "epaas-server: warning: predictions will differ from the plain model"


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Operator:
    return Operator(tmp_path, monkeypatch, capsys)


def strategies(document: dict[str, Any]) -> list[str]:
    return [layer["strategy"] for layer in document["plan"]["layers"]]


def test_publishing_says_how_the_model_is_evaluated(operator: Operator) -> None:
    run = operator.succeed("publish", operator.bundle)
    assert run.stdout.startswith("toy version 1 (")
    assert run.stdout.endswith("15 bootstraps a record), by accumulate; worst-case ranges\n")
    assert run.stderr == "", "the default gives no weights away and is exact"


def test_a_strategy_can_be_named_at_publishing_and_is_listed(operator: Operator) -> None:
    published = operator.json("publish", operator.bundle, "--strategy", "reduce-tree")
    assert strategies(published) == ["reduce-tree", "reduce-tree"]
    assert published["cost"]["bootstraps"] == sum(layer["bootstraps"] for layer in published["plan"]["layers"])
    assert operator.json("models") == {"models": [published]}
    assert "(reduce-tree; worst-case ranges)" in operator.succeed("models").stdout


def test_a_plan_is_changed_a_layer_at_a_time(operator: Operator) -> None:
    published = operator.json("publish", operator.bundle)
    planned = operator.json("plan", "toy", "--strategy", "sorting-network+1", "--strategy", "accumulate")
    assert strategies(planned) == ["sorting-network+1", "accumulate"]
    assert {**planned, "plan": published["plan"], "cost": published["cost"]} == published
    assert operator.json("models")["models"] == [planned]
    assert strategies(operator.json("plan", "toy")) == ["accumulate", "accumulate"], "the default again"


@pytest.mark.parametrize(
    ("strategy", "warnings"),
    [
        ("reduce-tree", [GIVES_AWAY]),
        ("sorting-network-levelled+1", [GIVES_AWAY]),
        ("approximate", [DIFFERS]),
        ("accumulate", []),
    ],
)
def test_what_a_strategy_costs_in_privacy_or_exactness_is_said_on_stderr(
    operator: Operator, strategy: str, warnings: list[str]
) -> None:
    said = operator.succeed("publish", operator.bundle, "--json", "--strategy", strategy)
    again = operator.succeed("plan", "toy", "--strategy", strategy)
    for run in (said, again):
        lines = run.stderr.splitlines()
        assert len(lines) == len(warnings)
        assert all(line.startswith(warning) for line, warning in zip(lines, warnings, strict=True))
        assert "warning" not in run.stdout
    assert strategies(json.loads(said.stdout)) == [strategy, strategy]


def test_layers_of_both_kinds_are_warned_of_both(operator: Operator) -> None:
    mixed = operator.succeed("publish", operator.bundle, "--strategy", "reduce-tree", "--strategy", "approximate")
    assert GIVES_AWAY in mixed.stderr
    assert DIFFERS in mixed.stderr
    assert mixed.stdout.endswith(", by reduce-tree, approximate; worst-case ranges\n")


def test_measured_ranges_are_said(operator: Operator, tmp_path: Path) -> None:
    ranges = [{"minimum": -1, "maximum": 1, "records": 9}, {"minimum": 0, "maximum": 1, "records": 9}]
    bundle = str(BundleParts(changes={"measured_ranges": ranges}).write(tmp_path / "measured"))
    assert "; worst-case ranges" in operator.succeed("publish", bundle).stdout
    assert "; measured ranges" in operator.succeed("plan", "toy", "--trust-measured-ranges").stdout
    assert "; measured ranges" in operator.succeed("models").stdout


@pytest.mark.parametrize("command", ["publish", "plan"])
@pytest.mark.parametrize(
    ("options", "field"),
    [
        (["--strategy", "quantum"], "strategy"),
        (["--strategy", "accumulate"] * 3, "strategy"),
        (["--trust-measured-ranges"], "trust_measured_ranges"),
    ],
    ids=["unknown", "too many", "not measured"],
)
def test_a_plan_that_cannot_be_made_names_the_field_and_changes_nothing(
    operator: Operator, command: str, options: list[str], field: str
) -> None:
    operator.succeed("publish", operator.bundle)
    before = operator.json("models")
    run = operator.run(command, {"publish": operator.bundle, "plan": "toy"}[command], *options)
    assert (run.returncode, run.stdout) == (InvalidInput.exit_code, "")
    error, hint = run.stderr.splitlines()
    assert error.startswith(f"epaas-server: error: {field}: ")
    assert hint.startswith("epaas-server: hint: ")
    assert operator.json("models") == before


def test_an_unknown_strategy_is_told_the_known_ones(operator: Operator) -> None:
    run = operator.run("publish", operator.bundle, "--strategy", "quantum")
    assert "'quantum'" in run.stderr
    assert "accumulate, approximate, reduce-tree" in run.stderr
    assert operator.json("models") == {"models": []}


def test_a_plan_of_a_model_that_is_not_there(operator: Operator) -> None:
    run = operator.run("plan", "toy")
    assert run.returncode == ModelNotFound.exit_code
    assert run.stderr.startswith("epaas-server: error: model: ")
