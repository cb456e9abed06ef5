"""The logs in docs/experiments are of the experiments as they are now, and the kept table is what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from epaas_models.experiments.claims import Judged
from epaas_models.experiments.experiment import Experiment
from epaas_models.experiments.logs import Logs
from epaas_models.experiments.registry import CLAIMS, EXPERIMENTS, experiment_named
from epaas_models.experiments.runner import missing_runs
from epaas_models.experiments.table import as_markdown, judged
from epaas_shared.errors import ConfigurationError

FOLDER = Path(__file__).parents[4] / "docs" / "experiments"
LOGS = Logs(FOLDER / "logs")


@pytest.fixture(scope="module")
def rows() -> list[Judged]:
    return judged(CLAIMS, LOGS)


@pytest.mark.parametrize("experiment", [each for each in EXPERIMENTS if not each.needs_gpu], ids=lambda each: each.name)
def test_every_run_that_needs_no_gpu_has_its_log(experiment: Experiment) -> None:
    assert missing_runs(experiment, LOGS) == []
    assert len(experiment.seeds) >= 3


def test_no_log_is_left_of_what_there_is_no_longer() -> None:
    known = {LOGS.path(each.name, arm, seed) for each in EXPERIMENTS for arm in each.arms for seed in each.seeds}
    assert set((FOLDER / "logs").rglob("*.*")) <= known


def test_the_kept_table_is_what_the_logs_say(rows: list[Judged]) -> None:
    assert (FOLDER / "table.md").read_text() == as_markdown(rows)


def test_there_are_claims_of_every_chapter(rows: list[Judged]) -> None:
    assert len(rows) >= 25
    assert {row.section.split(".")[0].removeprefix("Table ") for row in rows} >= {"4", "5", "6", "7"}
    assert len({(row.section, row.claim, row.data) for row in rows}) == len(rows), "no claim is counted twice"


def test_a_claim_that_does_not_hold_says_what_was_tried(rows: list[Judged]) -> None:
    assert [row.claim for row in rows if not row.holds and "Tried: " not in row.measured] == []


def test_experiments_have_names_of_their_own() -> None:
    assert len({each.name for each in EXPERIMENTS}) == len(EXPERIMENTS)
    assert experiment_named(EXPERIMENTS[0].name) == EXPERIMENTS[0]
    with pytest.raises(ConfigurationError, match="no experiment"):
        experiment_named("nothing")
