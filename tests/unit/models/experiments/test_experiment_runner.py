"""Runs are made once, again when their configuration changes, and their logs are enough to repeat them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from toy_experiment_making import Draw, run_toy, toy_experiment

from epaas_models.datasets import DataSettings
from epaas_models.experiments.experiment import Experiment, Measured, RunConfiguration, RunContext
from epaas_models.experiments.logs import Logs
from epaas_models.experiments.runner import missing_runs, run_once
from epaas_shared.errors import ConfigurationError


def test_a_finished_run_costs_nothing_again(tmp_path: Path) -> None:
    experiment = toy_experiment(low=0.0, high=1.0)
    assert run_toy(experiment, tmp_path)[1] == 6
    logs, again = run_toy(experiment, tmp_path)
    assert again == 0
    assert (tmp_path / "checkpoints/ran").read_text().count("\n") == 6
    assert [log.seed for log in logs.of("toy", "high")] == [0, 1, 2]


def test_a_changed_configuration_is_run_again_and_its_neighbours_are_not(tmp_path: Path) -> None:
    run_toy(toy_experiment(low=0.0, high=1.0), tmp_path)
    logs, made = run_toy(toy_experiment(low=0.0, high=2.0), tmp_path)
    assert made == 3
    assert min(logs.numbers("toy", "high", "drawn")) > 1.5


def test_the_seed_decides_what_is_measured(tmp_path: Path) -> None:
    experiment = toy_experiment(low=0.0)
    first, _ = run_toy(experiment, tmp_path / "a")
    second, _ = run_toy(experiment, tmp_path / "b")
    numbers = first.numbers("toy", "low", "drawn")
    assert numbers == second.numbers("toy", "low", "drawn")
    assert len(set(numbers)) == 3


def test_a_log_repeats_its_run(tmp_path: Path) -> None:
    logs, _ = run_toy(toy_experiment(low=0.25), tmp_path)
    log = logs.of("toy", "low")[1]
    kind, configuration = str(log.configuration["kind"]), {k: v for k, v in log.configuration.items() if k != "kind"}
    assert kind == "Draw"
    again = Draw.model_validate(configuration)
    context = RunContext(DataSettings(), tmp_path / "checkpoints/again")
    assert run_once("toy", "low", again, log.seed, context).measured == log.measured


def test_a_finished_run_leaves_no_checkpoints(tmp_path: Path) -> None:
    run_toy(toy_experiment(), tmp_path)
    assert [file.name for file in (tmp_path / "checkpoints").iterdir()] == ["ran"]


def test_kinds_with_equal_entries_differ() -> None:
    class Other(Draw):
        pass

    assert Other(mean=1.0).digest != Draw(mean=1.0).digest


class Unmeasurable(RunConfiguration):
    value: str

    def run(self, seed: int, context: RunContext) -> Mapping[str, list[float]]:
        return {"curve": [0.5, float(self.value)]}


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_measure_that_is_not_finite_is_no_result(tmp_path: Path, value: str) -> None:
    experiment = Experiment("toy", "9.9", "A toy", "nothing", {"arm": Unmeasurable(value=value)})
    with pytest.raises(ValueError, match="curve is not finite"):
        run_toy(experiment, tmp_path)
    assert not (tmp_path / "logs").exists()


class Interrupted(RunConfiguration):
    def run(self, seed: int, context: RunContext) -> Measured:
        if context.checkpoint.exists():
            return {"went_on": 1}
        context.checkpoint.write_text("half way")
        raise KeyboardInterrupt


def test_an_interrupted_run_finds_its_checkpoint(tmp_path: Path) -> None:
    experiment = Experiment("toy", "9.9", "A toy", "nothing", {"arm": Interrupted()}, seeds=(5,))
    with pytest.raises(KeyboardInterrupt):
        run_toy(experiment, tmp_path)
    logs, made = run_toy(experiment, tmp_path)
    assert made == 1
    assert logs.numbers("toy", "arm", "went_on") == [1.0]


def test_a_damaged_log_is_named(tmp_path: Path) -> None:
    logs, _ = run_toy(toy_experiment(), tmp_path)
    logs.path("toy", "low", 1).write_text("{")
    with pytest.raises(ConfigurationError, match="the log is damaged") as caught:
        missing_runs(toy_experiment(), logs)
    assert "low-1.json" in str(caught.value.field)


@pytest.mark.parametrize("text", ["[]", '{"experiment": "toy"}', "null"])
def test_a_log_of_another_shape_is_damaged(tmp_path: Path, text: str) -> None:
    logs = Logs(tmp_path)
    path = logs.path("toy", "low", 0)
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="damaged"):
        logs.read("toy", "low", 0)


def test_what_is_no_number_is_not_taken_for_one(tmp_path: Path) -> None:
    logs, _ = run_toy(toy_experiment(), tmp_path)
    with pytest.raises(TypeError, match="trace is no number"):
        logs.numbers("toy", "low", "trace")
    with pytest.raises(KeyError):
        logs.numbers("toy", "low", "nothing")
