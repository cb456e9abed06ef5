"""Claims of chapter 4: each can come out either way, by logs that are made up here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest

from epaas_models.experiments.claims import Claim, Verdict, judge
from epaas_models.experiments.experiment import Experiment
from epaas_models.experiments.logs import Logs, RunLog
from epaas_models.experiments.stable_rank import CLAIMS, EXPERIMENTS
from epaas_models.experiments.stable_rank.judges import (
    clean_accuracy,
    decay_and_memorisation,
    decay_helps,
    falling,
    shattering,
    spectral_measures,
    stopping,
    too_little,
)
from epaas_models.experiments.stable_rank.small import DECAY, LOW_RATE, MNIST, STOPPING

MEASURES = (
    *("train_accuracy", "test_accuracy", "epochs", "stopped_early", "noise_sensitivity_median"),
    "noise_sensitivity_greatest",
    *("lipschitz_pairs_p95", "jac_norm_p90", "spec_l1_p90", "spec_fro_p90"),
)


def written(folder: Path, experiment: Experiment, measure: str, values: Mapping[str, float | list[float]]) -> Logs:
    """Logs in which every measure is 0.5 but this one, by arm: one number, or one a seed."""
    logs = Logs(folder)
    for arm, configuration in experiment.arms.items():
        for seed in experiment.seeds:
            value = values.get(arm, 0.5)
            number = value[seed] if isinstance(value, list) else value
            logs.write(
                RunLog(
                    experiment=experiment.name,
                    arm=arm,
                    seed=seed,
                    digest=configuration.digest,
                    configuration={},
                    measured={**dict.fromkeys(MEASURES, 0.5), measure: number},
                    seconds=1,
                    machine="none",
                    versions={},
                    created="",
                )
            )
    return logs


Judge = Callable[[Logs], Verdict]
TRAINED = partial(falling, experiment=MNIST, measure="train_accuracy", arms=("sn", "srn-50", "srn-30"))
SPECTRAL = partial(spectral_measures, experiment=MNIST, arms=("vanilla", "sn"))
SHATTERED = {"vanilla-random": 0.9, "sn-random": 0.8, "srn-30-random": 0.7}


@pytest.mark.parametrize(
    ("judged", "experiment", "measure", "values", "holds"),
    [
        (partial(clean_accuracy, experiment=MNIST), MNIST, "test_accuracy", {"srn-30": 0.495, "srn-50": 0.495}, True),
        (partial(clean_accuracy, experiment=MNIST), MNIST, "test_accuracy", {"srn-30": 0.48}, False),
        (partial(clean_accuracy, experiment=MNIST), MNIST, "test_accuracy", {"sn": 0.52}, False),
        (partial(shattering, experiment=MNIST), MNIST, "train_accuracy", SHATTERED, True),
        (partial(shattering, experiment=MNIST), MNIST, "train_accuracy", {**SHATTERED, "srn-30-random": 0.85}, False),
        (partial(shattering, experiment=MNIST), MNIST, "train_accuracy", {**SHATTERED, "sn-random": 0.95}, False),
        (TRAINED, MNIST, "train_accuracy", {"sn": 0.9, "srn-50": 0.8, "srn-30": 0.7}, True),
        (TRAINED, MNIST, "train_accuracy", {"sn": 0.9, "srn-50": 0.8, "srn-30": 0.8}, False),
        (TRAINED, MNIST, "train_accuracy", {"sn": [0.9, 0.9, 0.7], "srn-50": 0.79, "srn-30": 0.75}, False),
        (SPECTRAL, MNIST, "spec_l1_p90", {"vanilla": 2.0, "sn": 1.0}, False),
        (stopping, STOPPING, "stopped_early", dict.fromkeys(STOPPING.arms, 1.0), True),
        (stopping, STOPPING, "stopped_early", {"vanilla": 0.0}, False),
        (decay_helps, DECAY, "test_accuracy", dict.fromkeys(["vanilla", "sn", "srn-50", "srn-30"], 0.6), True),
        (decay_helps, DECAY, "test_accuracy", {"vanilla": 0.6}, False),
        (decay_and_memorisation, LOW_RATE, "train_accuracy", {"srn-50": 0.4, "srn-30": 0.4}, True),
        (decay_and_memorisation, LOW_RATE, "train_accuracy", {"srn-50": 0.4}, False),
        (
            decay_and_memorisation,
            LOW_RATE,
            "train_accuracy",
            {arm: [0.1, 0.1, 0.51] for arm in ("srn-50", "srn-30")},
            False,
        ),
        (too_little, MNIST, "test_accuracy", {"srn-10": 0.2}, True),
        (too_little, MNIST, "test_accuracy", {"srn-10": 0.2, "srn-20": 0.4}, False),
        (too_little, MNIST, "test_accuracy", {"srn-10": 0.45}, False),
    ],
)
def test_verdicts(
    tmp_path: Path, judged: Judge, experiment: Experiment, measure: str, values: Mapping[str, float], holds: bool
) -> None:
    assert judged(written(tmp_path, experiment, measure, values)).holds is holds


def test_both_spectral_measures_must_fall(tmp_path: Path) -> None:
    logs = written(tmp_path, MNIST, "spec_l1_p90", {"vanilla": 2.0})
    for seed in MNIST.seeds:
        log = logs.read(MNIST.name, "vanilla", seed)
        assert log is not None
        logs.write(log.model_copy(update={"measured": {**log.measured, "spec_fro_p90": 2.0}}))
    assert SPECTRAL(logs).holds


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim.experiment.name} {claim.section}")
def test_every_claim_can_be_judged_and_is_false_where_what_should_differ_does_not(tmp_path: Path, claim: Claim) -> None:
    row = judge(claim, written(tmp_path, claim.experiment, "test_accuracy", {}))
    assert row.measured
    assert row.seeds == 3
    assert row.holds is claim.claim.startswith(("Stable rank normalisation costs no", "Stopped at the same"))


def test_experiments_have_names_of_their_own_and_full_size_ones_need_a_gpu() -> None:
    assert len({experiment.name for experiment in EXPERIMENTS}) == len(EXPERIMENTS)
    for experiment in EXPERIMENTS:
        large = next(iter(experiment.arms.values())).network not in ("mlp", "cnn")  # type: ignore[attr-defined]
        assert experiment.needs_gpu is large
    assert not any(claim.experiment.needs_gpu for claim in CLAIMS)


def test_arms_differ_in_nothing_but_normalisation() -> None:
    for experiment in EXPERIMENTS:
        for name, arm in experiment.arms.items():
            suffix = next(end for end in ("-random", "-stopped", "-no-decay", "") if name.endswith(end))
            other = experiment.arms["vanilla" + suffix]
            changed = {"normalisation": arm.normalisation, "stable_rank_share": arm.stable_rank_share}  # type: ignore[attr-defined]
            assert other.model_copy(update=changed) == arm
