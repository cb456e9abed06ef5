"""How logs of the small experiments judge what chapter 4 claims.

An ordering holds where the means over seeds are in order and its two ends are in every seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from epaas_models.experiments.claims import Verdict, mean_and_spread
from epaas_models.experiments.experiment import Experiment
from epaas_models.experiments.logs import Logs
from epaas_models.experiments.stable_rank.recipes import NO_DECAY, RANDOM
from epaas_models.experiments.stable_rank.small import DECAY, LOW_RATE, MNIST, STOPPING

MARGIN = 0.01
"""Accuracies that differ by no more are about equal: one and a half standard errors of 5,000 test rows, or less."""

_LEAST_LOSS = 0.1
"""Of accuracy, before a network is said to have lost its capacity."""


def clean_accuracy(logs: Logs, experiment: Experiment) -> Verdict:
    """Whether SRN's mean test accuracies are at least vanilla's and SN's, within the margin."""
    found = {arm: logs.numbers(experiment.name, arm, "test_accuracy") for arm in _compared("srn-50", "srn-30")}
    average = {arm: float(np.mean(values)) for arm, values in found.items()}
    best = max(average["vanilla"], average["sn"])
    return Verdict(
        f"test accuracy: {_listed(found)}", all(average[arm] >= best - MARGIN for arm in ("srn-50", "srn-30"))
    )


def shattering(logs: Logs, experiment: Experiment) -> Verdict:
    """Whether random labels are learnt less by SRN than by SN and less by SN than by vanilla, clean accuracy equal."""
    memorised = falling(logs, experiment, "train_accuracy", _compared("srn-30"), suffix=RANDOM)
    equal = clean_accuracy(logs, experiment)
    return Verdict(
        f"random labels, {memorised.measured}; true labels, {equal.measured}", memorised.holds and equal.holds
    )


def falling(
    logs: Logs, experiment: Experiment, measure: str, arms: Sequence[str], *, suffix: str = "", digits: int = 3
) -> Verdict:
    """Whether a measure falls from each arm to the next."""
    found = {arm: logs.numbers(experiment.name, arm + suffix, measure) for arm in arms}
    averages = [float(np.mean(values)) for values in found.values()]
    ends = [first > last for first, last in zip(found[arms[0]], found[arms[-1]], strict=True)]
    in_order = all(before > after for before, after in pairwise(averages))
    measured = (
        f"{measure.replace('_', ' ')}: {_listed(found, digits)}; its ends in order in {sum(ends)} of {len(ends)} seeds"
    )
    return Verdict(measured, in_order and all(ends))


def stopping(logs: Logs) -> Verdict:
    """Whether SRN's test accuracy, once its training accuracy is reached, is at least vanilla's and SN's."""
    verdict = clean_accuracy(logs, STOPPING)
    arms = _compared("srn-50", "srn-30")
    epochs = {arm: logs.numbers(STOPPING.name, arm, "epochs") for arm in arms}
    stopped = all(all(logs.numbers(STOPPING.name, arm, "stopped_early")) for arm in arms)
    return Verdict(f"{verdict.measured}; epochs: {_listed(epochs, 1)}", verdict.holds and stopped)


def spectral_measures(logs: Logs, experiment: Experiment, arms: Sequence[str]) -> Verdict:
    """Whether both measures that are made of the weights' spectra fall from each arm to the next."""
    both = [falling(logs, experiment, measure, arms, digits=2) for measure in ("spec_l1_p90", "spec_fro_p90")]
    return Verdict("; ".join(each.measured for each in both), all(each.holds for each in both))


def decay_helps(logs: Logs) -> Verdict:
    """Whether weight decay raises the test accuracy of every arm, and that of all arms together in every seed."""
    gains = _gains(logs, DECAY, "test_accuracy", _compared("srn-50", "srn-30"))
    return Verdict(f"gain of test accuracy by decay: {_listed(gains)}", _everywhere(gains))


def decay_and_memorisation(logs: Logs) -> Verdict:
    """Whether SRN learns fewer random labels with weight decay than without, by either c and in every seed."""
    gains = _gains(logs, LOW_RATE, "train_accuracy", ("srn-50", "srn-30"))
    losses = {arm: [-gain for gain in values] for arm, values in gains.items()}
    return Verdict(f"loss of training accuracy on random labels by decay: {_listed(losses)}", _everywhere(losses))


def _gains(logs: Logs, experiment: Experiment, measure: str, arms: Sequence[str]) -> dict[str, list[float]]:
    """How much greater a measure is with weight decay than without, by arm, a number a seed."""

    def numbers(arm: str) -> list[float]:
        return logs.numbers(experiment.name, arm, measure)

    return {arm: np.subtract(numbers(arm), numbers(arm + NO_DECAY)).tolist() for arm in arms}


def _everywhere(gains: dict[str, list[float]]) -> bool:
    by_arm_and_seed = np.array(list(gains.values()))
    return bool((by_arm_and_seed.mean(axis=1) > 0).all() and (by_arm_and_seed.mean(axis=0) > 0).all())


def too_little(logs: Logs) -> Verdict:
    """Whether accuracy is lost at the least stable rank and not at the one before."""
    found = {arm: logs.numbers(MNIST.name, arm, "test_accuracy") for arm in ("sn", "srn-20", "srn-10")}
    average = {arm: float(np.mean(values)) for arm, values in found.items()}
    holds = average["srn-20"] >= average["sn"] - MARGIN and average["srn-10"] < average["sn"] - _LEAST_LOSS
    return Verdict(f"test accuracy: {_listed(found)}", holds)


def _compared(*stable_rank: str) -> tuple[str, ...]:
    return ("vanilla", "sn", *stable_rank)


def _listed(found: dict[str, list[float]], digits: int = 3) -> str:
    return ", ".join(f"{arm} {mean_and_spread(values, digits)}" for arm, values in found.items())
