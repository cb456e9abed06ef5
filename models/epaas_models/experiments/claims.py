"""Claims of the thesis and how logs judge them: whether the ordering that it reports holds here.

A claim is about an ordering, not about a number: networks and data here are smaller than the thesis's. Knows no
chapter; a chapter's module lists its claims.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from epaas_models.experiments.experiment import Experiment
from epaas_models.experiments.logs import Logs


@dataclass(frozen=True)
class Verdict:
    """What came out, in a line, and whether the claimed ordering holds."""

    measured: str
    holds: bool


Judge = Callable[[Logs], Verdict]
"""Reads logs and nothing else."""


@dataclass(frozen=True)
class Claim:
    """A sentence of the thesis that an experiment here can contradict."""

    section: str
    claim: str
    """The ordering, in one sentence."""
    thesis: str
    """The thesis's numbers or figure for it."""
    experiment: Experiment
    judge: Judge
    tried: str = ""
    """Where it does not hold: what was tried to make it."""


@dataclass(frozen=True)
class Judged:
    """A row of the table: a claim beside what was measured."""

    section: str
    claim: str
    data: str
    seeds: int
    thesis: str
    measured: str
    holds: bool


def judge(claim: Claim, logs: Logs) -> Judged:
    """The row of a claim. Raises LookupError where runs of its experiment have no log or another configuration's."""
    experiment = claim.experiment
    for arm, configuration in experiment.arms.items():
        found = {log.seed: log.digest for log in logs.of(experiment.name, arm)}
        for seed in experiment.seeds:
            if found.get(seed) != configuration.digest:
                raise LookupError(f"{experiment.name}: no log of {arm} with seed {seed} as it is configured now")
    verdict = claim.judge(logs)
    return Judged(
        section=claim.section,
        claim=claim.claim,
        data=experiment.data,
        seeds=len(experiment.seeds),
        thesis=claim.thesis,
        measured=verdict.measured + (f" Tried: {claim.tried}" if claim.tried and not verdict.holds else ""),
        holds=bool(verdict.holds),  # numpy has truths of its own, which JSON does not know
    )


def means(logs: Logs, experiment: Experiment, measure: str) -> dict[str, float]:
    """The mean over seeds of a measure, by arm."""
    return {arm: float(np.mean(logs.numbers(experiment.name, arm, measure))) for arm in experiment.arms}


def mean_and_spread(values: Sequence[float], digits: int = 3) -> str:
    """``0.912 ± 0.004``: mean and standard deviation over seeds."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return f"{float(np.mean(values)):.{digits}f} ± {deviation:.{digits}f}"
