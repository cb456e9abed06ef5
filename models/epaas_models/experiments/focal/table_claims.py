"""Claims of tables 7.2 to 7.5, of networks at the end of training: judged on articles and on pictures alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from epaas_models.experiments.claims import Claim, Judge, Verdict, mean_and_spread, means
from epaas_models.experiments.experiment import Experiment
from epaas_models.experiments.focal.small import TABLE_LOSSES
from epaas_models.experiments.logs import Logs

FOCAL: Final = ("focal-3", "flsd-53")
_BASELINES: Final = tuple(name for name in TABLE_LOSSES if name not in FOCAL)
_ERROR_MARGIN: Final = 0.03
"""The thesis's focal losses have an error of up to 2.6 points more than cross-entropy (20 Newsgroups)."""
_NEAR_1: Final = 1.5
"""Up to which factor a temperature counts as near 1; the thesis's focal losses are at 1.5 on 20 Newsgroups."""


def spreads(logs: Logs, experiment: Experiment, measure: str, arms: tuple[str, ...], digits: int = 3) -> str:
    """``cross-entropy 0.100 ± 0.010, focal-3 ...``: a measure of some arms over seeds."""
    return ", ".join(f"{arm} {mean_and_spread(logs.numbers(experiment.name, arm, measure), digits)}" for arm in arms)


@dataclass(frozen=True)
class ThesisNumbers:
    """What the thesis's tables have for the claims."""

    ece: str
    temperature: str
    error: str
    before: str
    after: str
    baselines: str
    other_measures: str


@dataclass(frozen=True)
class Tables:
    """The judges of an experiment whose arms are the columns of the tables."""

    experiment: Experiment

    def halved(self, logs: Logs) -> Verdict:
        ece = means(logs, self.experiment, "ece")
        return Verdict(
            f"ECE {spreads(logs, self.experiment, 'ece', ('cross-entropy', *FOCAL))}",
            all(ece[arm] <= ece["cross-entropy"] / 2 for arm in FOCAL),
        )

    def temperatures(self, logs: Logs) -> Verdict:
        def logarithms(arm: str) -> np.ndarray:  # type: ignore[type-arg]
            return np.log(logs.numbers(self.experiment.name, arm, "temperature_by_ece"))

        nearer = all((np.abs(logarithms(arm)) < np.abs(logarithms("cross-entropy"))).all() for arm in FOCAL)
        near = all(abs(logarithms(arm).mean()) <= np.log(_NEAR_1) for arm in FOCAL)
        arms = ("cross-entropy", *FOCAL)
        return Verdict(
            f"T by validation ECE {spreads(logs, self.experiment, 'temperature_by_ece', arms, 1)};"
            f" by NLL {spreads(logs, self.experiment, 'temperature_by_nll', arms, 2)}",
            nearer and near and logarithms("cross-entropy").mean() > 0,
        )

    def errors(self, logs: Logs) -> Verdict:
        error = means(logs, self.experiment, "error")
        return Verdict(
            f"test error {spreads(logs, self.experiment, 'error', ('cross-entropy', *FOCAL))}",
            all(error[arm] <= error["cross-entropy"] + _ERROR_MARGIN for arm in FOCAL),
        )

    def lowest_before(self, logs: Logs) -> Verdict:
        return self._lowest(logs, "ece")

    def lowest_after(self, logs: Logs) -> Verdict:
        return self._lowest(logs, "ece_scaled")

    def _lowest(self, logs: Logs, measure: str) -> Verdict:
        ece = means(logs, self.experiment, measure)
        return Verdict(
            f"ECE {spreads(logs, self.experiment, measure, tuple(TABLE_LOSSES))}",
            max(ece[arm] for arm in FOCAL) < min(ece[arm] for arm in _BASELINES),
        )

    def baselines(self, logs: Logs) -> Verdict:
        ece, heat = (means(logs, self.experiment, measure) for measure in ("ece", "temperature_by_ece"))
        between = all(ece[arm] < ece["cross-entropy"] for arm in ("brier", "label-smoothing"))
        nearer = all(
            abs(np.log(heat[arm])) < min(abs(np.log(heat[other])) for other in ("cross-entropy", "mmce"))
            for arm in ("brier", "label-smoothing")
        )
        return Verdict(
            f"ECE {spreads(logs, self.experiment, 'ece', _BASELINES)};"
            f" T {spreads(logs, self.experiment, 'temperature_by_ece', _BASELINES, 1)}",
            between and nearer,
        )

    def other_measures(self, logs: Logs) -> Verdict:
        measured = {name: means(logs, self.experiment, name) for name in ("adaptive_ece", "classwise_ece")}
        return Verdict(
            f"AdaECE {spreads(logs, self.experiment, 'adaptive_ece', ('cross-entropy', *FOCAL))};"
            f" classwise {spreads(logs, self.experiment, 'classwise_ece', ('cross-entropy', *FOCAL), 4)}",
            all(found[arm] < found["cross-entropy"] for found in measured.values() for arm in FOCAL),
        )

    def claims(self, thesis: ThesisNumbers, tried: dict[str, str]) -> tuple[Claim, ...]:
        """``tried`` is by the name of the judge."""
        judged: tuple[tuple[str, str, str, Judge], ...] = (
            (
                "7.5.1",
                "focal loss (gamma 3) and FLSD-53 at least halve the ECE of cross-entropy before scaling",
                thesis.ece,
                self.halved,
            ),
            (
                "7.5.2",
                "with focal loss and FLSD-53 the temperature is nearer to 1 than with cross-entropy, which is above 1,"
                f" for every seed, and within a factor of {_NEAR_1} of 1",
                thesis.temperature,
                self.temperatures,
            ),
            (
                "7.5.1",
                "the test error of focal loss and FLSD-53 is at most 3 points above that of cross-entropy",
                thesis.error,
                self.errors,
            ),
            (
                "7.5.1",
                "focal loss and FLSD-53 have the lowest ECE of the six losses before scaling",
                thesis.before,
                self.lowest_before,
            ),
            (
                "7.5.1",
                "focal loss and FLSD-53 have the lowest ECE of the six losses after scaling",
                thesis.after,
                self.lowest_after,
            ),
            (
                "7.5.2",
                "Brier loss and label smoothing are better calibrated than cross-entropy, at temperatures nearer to 1"
                " than those of cross-entropy and MMCE",
                thesis.baselines,
                self.baselines,
            ),
            (
                "7.5.1",
                "focal loss and FLSD-53 have a lower AdaECE and classwise ECE than cross-entropy before scaling",
                thesis.other_measures,
                self.other_measures,
            ),
        )
        return tuple(
            Claim(section, claim, numbers, self.experiment, judge, tried.get(judge.__name__, ""))
            for section, claim, numbers, judge in judged
        )
