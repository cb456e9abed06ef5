"""A parity and a union of intervals on the same wrong labels (thesis 5.3.2, Theorem 4)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from epaas_models.experiments.experiment import Experiment, Measured, RunConfiguration, RunContext
from epaas_models.label_noise.injection import flip
from epaas_models.label_noise.intervals import Parity, Union, parity_intervals

Learner = Literal["parity", "union"]
_LEARNERS: tuple[Learner, ...] = ("parity", "union")


class Intervals(RunConfiguration):
    """Either learner on numbers near ``intervals`` random integers of ``bits`` bits."""

    learner: Learner
    bits: int
    intervals: int
    noise: float
    rows: int
    tests: int
    budget: float

    def run(self, seed: int, context: RunContext) -> Measured:
        random = np.random.default_rng(seed)
        support = 1 + random.permutation(2**self.bits - 1)[: self.intervals]
        mask = random.integers(0, 2, self.bits)
        rows, true = parity_intervals(self.rows, support, mask, seed)
        tests, test_labels = parity_intervals(self.tests, support, mask, seed + 2**16)
        labels = flip(true, self.noise, 2, seed).labels
        learnt = Parity.fitted(rows, labels, self.bits) if self.learner == "parity" else Union.fitted(rows, labels)
        natural = learnt.predict(tests) != test_labels
        # a parity is the same all over an interval and 1/4 around it
        attacked = learnt.errors_within(tests, test_labels, self.budget) if isinstance(learnt, Union) else natural
        context.progress(1, 1)
        return {
            "train_error": float(np.mean(learnt.predict(rows) != labels)),
            "natural_error": float(natural.mean()),
            "adversarial_error": float(attacked.mean()),
        }


INTERVALS = Experiment(
    name="parity-intervals",
    section="5.3.2",
    title="A representation that cannot fit label noise, and one that can",
    data="parity intervals of appendix D.2, 10 bits, 20 intervals, 2,000 rows, 20% flipped",
    arms={
        learner: Intervals(learner=learner, bits=10, intervals=20, noise=0.2, rows=2000, tests=2000, budget=0.02)
        for learner in _LEARNERS
    },
)
