"""Judges of chapter 5's claims: on logs that are made up, each comes out either way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from epaas_models.experiments.claims import Claim
from epaas_models.experiments.experiment import Experiment
from epaas_models.experiments.label_noise import CLAIMS
from epaas_models.experiments.logs import Logs, RunLog

Measures = Callable[[str], dict[str, Any]]
"""Of an arm."""


def made_up(experiment: Experiment, folder: Path, measures: Measures) -> Logs:
    logs = Logs(folder)
    for arm, configuration in experiment.arms.items():
        for seed in experiment.seeds:
            log = RunLog(
                experiment=experiment.name,
                arm=arm,
                seed=seed,
                digest=configuration.digest,
                configuration={},
                measured=measures(arm),
                seconds=0,
                machine="",
                versions={},
                created="",
            )
            logs.write(log)
    return logs


def claim(beginning: str) -> Claim:
    (found,) = (claim for claim in CLAIMS if claim.claim.startswith(beginning))
    return found


def parts(arm: str) -> tuple[float, float]:
    """Of a toy arm's name: its variance and its noise."""
    _, variance, _, noise = arm.split("-")
    return float(variance), float(noise)


def toy(
    attacked: float = 10, natural: float = 0.5, early: float = 0.5, next_to: float = 0.8, tight: float = 0
) -> Measures:
    """Errors in units of the noise; noise is memorised but for the least variance, where ``tight`` rows are turned."""

    def measures(arm: str) -> dict[str, Any]:
        variance, noise = parts(arm)
        memorised = variance > 0.1
        return {
            "adversarial_error": attacked * noise if memorised else tight,
            "adversarial_error_early": attacked * noise * memorised * early,
            "natural_error": natural * noise * memorised,
            "natural_error_early": 0.0,
            "train_error": 0.0 if memorised else noise,
            "train_error_early": noise,
            "wrong_labels_fitted": float(memorised),
            "turned_next_to_wrong_labels": next_to,
            "nearest_has_wrong_label": 0.2,
        }

    return measures


def noisy(slope: float, natural: float = 0.5, base: float = 2.0) -> Measures:
    def measures(arm: str) -> dict[str, Any]:
        noise = float(arm.removeprefix("noise-"))
        budgets = (0.01, 0.02, 0.04, 0.08)
        errors = {f"adversarial_error_at_{budget:g}": base * budget + slope * noise for budget in budgets}
        return {"natural_error": natural * noise, **errors}

    return measures


def robust(misclassified: int, wrong: int, fitted: float, attacked: float) -> Measures:
    def measures(arm: str) -> dict[str, Any]:
        if arm == "natural":
            return {"wrong_labels_fitted": 0.9, "adversarial_error_at_0.1": 0.9}
        return {
            "misclassified": misclassified,
            "misclassified_with_wrong_label": wrong,
            "wrong_labels_fitted": fitted,
            "adversarial_error_at_0.1": attacked,
        }

    return measures


def strength(slope: float) -> Measures:
    def measures(arm: str) -> dict[str, Any]:
        budget = float(arm.removeprefix("budget-"))
        return {"train_error": 0.3 + slope * budget, "natural_error": 0.4 + slope * budget}

    return measures


def lost(more: float | None) -> Measures:
    def measures(_arm: str) -> dict[str, Any]:
        found: dict[str, Any] = {"self_influence_of_all": 0.1, "influence_on_all": 0.1}
        for method in ("adversarial_training", "trades"):
            found |= {
                f"{method}_lost": 5,
                f"{method}_lost_tests": 5,
                f"self_influence_lost_by_{method}": more,
                f"influence_lost_by_{method}": more,
            }
        return found

    return measures


def coarse_and_fine(fine: float, coarse: float = 0.5) -> Measures:
    budgets = (0.01, 0.02, 0.04, 0.05, 0.08, 0.1, 0.15, 0.2, 0.25)

    def measures(arm: str) -> dict[str, Any]:
        errors = {f"adversarial_error_at_{budget:g}": coarse if arm == "coarse" else fine for budget in budgets}
        return {"natural_error": 0.0, **errors}

    return measures


def intervals(attacked: float) -> Measures:
    def measures(arm: str) -> dict[str, Any]:
        union = arm == "union"
        return {
            "train_error": 0.0 if union else 0.2,
            "natural_error": 0.0,
            "adversarial_error": attacked if union else 0.0,
        }

    return measures


def boundaries(nearest: float) -> Measures:
    def measures(arm: str) -> dict[str, Any]:
        return {"natural_error": 0.0, "adversarial_error_at_0.15": nearest if arm == "nearest-neighbour" else 0.1}

    return measures


CASES: list[tuple[str, Measures, Measures]] = [
    ("On toy-MNIST the adversarial error", toy(), toy(attacked=0.4)),
    ("On toy-MNIST of little variance", toy(), toy(tight=0.9)),
    ("At variance 0.3", toy(attacked=12), toy(attacked=12, natural=5)),
    ("Early, true labels", toy(), toy(early=1.1)),
    ("Most adversarial examples", toy(), toy(next_to=0.4)),
    ("On MNIST the adversarial error", noisy(3), noisy(0.4)),
    ("The adversarial error rises with the perturbation", noisy(3), noisy(3, base=0)),
    ("What robust training misclassifies", robust(100, 95, 0.2, 0.3), robust(100, 40, 0.2, 0.3)),
    ("Robust training memorises fewer", robust(100, 95, 0.2, 0.3), robust(100, 95, 0.95, 0.3)),
    ("Clean training and test accuracy", strength(1), strength(-1)),
    ("Training rows that only robust", lost(0.5), lost(0.05)),
    ("Test rows that only robust", lost(0.5), lost(None)),
    ("A union of intervals", intervals(0.5), intervals(0.05)),
    ("Decision boundaries of networks", boundaries(0.0), boundaries(0.2)),
    ("On parity balls", coarse_and_fine(0.3), coarse_and_fine(0.6)),
    ("Fine2Coarse, by sums", coarse_and_fine(0.3), coarse_and_fine(0.0, coarse=0.0)),
    ("Fine2Coarse, by the likeliest", coarse_and_fine(0.3), coarse_and_fine(0.6)),
]


@pytest.mark.parametrize(("beginning", "so", "not_so"), CASES, ids=[case[0] for case in CASES])
def test_a_judge_says_whether_it_holds(beginning: str, so: Measures, not_so: Measures, tmp_path: Path) -> None:
    judged = claim(beginning)
    assert judged.judge(made_up(judged.experiment, tmp_path / "so", so)).holds
    verdict = judged.judge(made_up(judged.experiment, tmp_path / "not", not_so))
    assert not verdict.holds
    assert verdict.measured


def test_every_claim_has_its_case() -> None:
    assert {claim(beginning).claim for beginning, _, _ in CASES} == {claim.claim for claim in CLAIMS}
