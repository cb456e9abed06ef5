"""Figures 5.7 and 5.8(a)-(b): decision boundaries in the plane."""

from __future__ import annotations

from epaas_models.experiments.experiment import Experiment
from epaas_models.experiments.label_noise.boundaries import Boundaries
from epaas_models.experiments.label_noise.fine_to_coarse import PlaneFineToCoarse
from epaas_models.experiments.learning import LearningConfiguration

BALL_BUDGETS = (0.05, 0.1, 0.15, 0.2, 0.25)
BLOB_BUDGETS = (0.05, 0.1, 0.15)

_LEARNING = LearningConfiguration(epochs=60, batch_size=64, optimiser="adam", learning_rate=1e-3, weight_decay=0)

PARITY_BALLS = Experiment(
    name="parity-balls-fine-to-coarse",
    section="5.4.2",
    title="Parity balls, learnt from classes and from balls",
    data="parity balls of appendix D.1, 2 x 6 of radius 1/4, 1,200 rows, 3 x 100 units",
    arms={
        labels: PlaneFineToCoarse(
            balls=6,
            radius=0.25,
            rows=1200,
            tests=500,
            hidden=(100, 100, 100),
            trained_on=labels,
            learning=_LEARNING,
            budgets=BALL_BUDGETS,
        )
        for labels in ("coarse", "fine")
    },
)

BOUNDARIES = Experiment(
    name="decision-boundaries",
    section="5.4.1",
    title="Decision boundaries of networks and of the nearest neighbour",
    data="25 blobs of radius 1/4 on a jittered 5 x 5 lattice, 500 rows",
    arms={
        name: Boundaries(
            hidden=hidden,
            side=5,
            radius=0.25,
            jitter=0.1,
            rows=500,
            tests=200,
            learning=_LEARNING.model_copy(
                update={"epochs": 200}
            ),  # after 60 the shallow ones have not fitted every row
            budgets=BLOB_BUDGETS,
        )
        for name, hidden in {
            "shallow": (100, 100),
            "shallow-wide": (1000, 1000),
            "deep": (100, 100, 100, 100),
            "nearest-neighbour": (),
        }.items()
    },
)
