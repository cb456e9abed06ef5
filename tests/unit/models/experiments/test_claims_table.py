"""Claims are judged by logs of the present configurations, and the table says what was judged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from toy_experiment_making import run_toy, toy_experiment

from epaas_models.experiments.claims import Claim, Verdict, judge, mean_and_spread, means
from epaas_models.experiments.logs import Logs
from epaas_models.experiments.table import as_json, as_markdown, judged

EXPERIMENT = toy_experiment(low=0.0, high=1.0)


def higher(logs: Logs) -> Verdict:
    found = means(logs, EXPERIMENT, "drawn")
    return Verdict(f"{found['high']:.1f} against {found['low']:.1f}", found["high"] > found["low"])


CLAIM = Claim("9.9", "high is higher | than low", "1 against 0", EXPERIMENT, higher)
OPPOSITE = replace(
    CLAIM,
    claim="low is higher",
    judge=lambda logs: replace(higher(logs), holds=not higher(logs).holds),
    tried="other means.",
)


def test_the_table_says_which_claims_hold(tmp_path: Path) -> None:
    logs, _ = run_toy(EXPERIMENT, tmp_path)
    rows = judged([CLAIM, OPPOSITE], logs)
    assert [row.holds for row in rows] == [True, False]
    text = as_markdown(rows)
    assert "1 of 2 claims hold." in text
    assert "high is higher \\| than low" in text
    assert all(line.replace("\\|", "").count("|") == 8 for line in text.splitlines() if line.startswith("|"))


def test_the_line_of_json_has_the_seven_entries(tmp_path: Path) -> None:
    logs, _ = run_toy(EXPERIMENT, tmp_path)
    line = as_json(judged([CLAIM], logs))
    assert "\n" not in line
    (row,) = json.loads(line)["claims"]
    assert set(row) == {"section", "claim", "data", "seeds", "thesis", "measured", "holds"}
    assert row["holds"] is True
    assert row["seeds"] == 3


def test_what_was_tried_is_told_of_failures_alone(tmp_path: Path) -> None:
    logs, _ = run_toy(EXPERIMENT, tmp_path)
    assert "Tried: other means." in judge(OPPOSITE, logs).measured
    assert "Tried" not in judge(replace(CLAIM, tried="nothing"), logs).measured


def test_a_claim_without_its_logs_is_not_judged(tmp_path: Path) -> None:
    logs, _ = run_toy(EXPERIMENT, tmp_path)
    logs.path("toy", "low", 2).unlink()
    with pytest.raises(LookupError, match="no log of low with seed 2"):
        judge(CLAIM, logs)


def test_a_claim_is_not_judged_by_another_configurations_logs(tmp_path: Path) -> None:
    run_toy(EXPERIMENT, tmp_path)
    changed = replace(CLAIM, experiment=toy_experiment(low=0.0, high=1.5))
    with pytest.raises(LookupError, match="no log of high with seed 0"):
        judge(changed, Logs(tmp_path / "logs"))


def test_mean_and_spread() -> None:
    assert mean_and_spread([1.0, 2.0, 3.0], 2) == "2.00 ± 1.00"
    assert mean_and_spread([0.5]) == "0.500 ± 0.000"
