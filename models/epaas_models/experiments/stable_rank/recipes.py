"""Arms that differ in normalisation alone, and small recipes for them.

The small recipes were chosen on pilots with seed 7, which no experiment uses: so that no network fails to learn true
labels, and that vanilla networks nearly learn random ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from epaas_models.experiments.learning import LearningConfiguration
from epaas_models.experiments.stable_rank.training import StableRankRun

SHARES: Mapping[str, float] = MappingProxyType({"srn-50": 0.5, "srn-30": 0.3, "srn-20": 0.2, "srn-10": 0.1})
"""c of thesis 4.4 by the arm's name: 0.3 and 0.5 in the thesis's experiments, 0.1 where it is too little (4.5.2)."""

RANDOM = "-random"
"""Ends the names of arms that learn random labels, for twice as many epochs as their clean neighbours (4.4.2)."""

NO_DECAY = "-no-decay"
"""Ends the names of arms without weight decay."""


def small_learning(
    epochs: int, *, batch_size: int = 128, learning_rate: float = 0.1, weight_decay: float = 5e-4
) -> LearningConfiguration:
    """Stochastic gradient descent as in 4.4; the learning rate falls after half and after four fifths of the epochs."""
    return LearningConfiguration(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        milestones=(epochs // 2, 4 * epochs // 5),
    )


def mnist(learning: LearningConfiguration) -> StableRankRun:
    """2,000 digits of 14 x 14, learnt by two hidden layers of 128 units."""
    return StableRankRun(
        data="mnist", rows=2000, test_rows=5000, shrink=2, network="mlp", normalisation="none", learning=learning
    )


def cifar10(learning: LearningConfiguration) -> StableRankRun:
    """1,000 pictures of 16 x 16, learnt by three convolutions."""
    return StableRankRun(
        data="cifar10-jpeg75",
        rows=1000,
        test_rows=5000,
        shrink=2,
        network="cnn",
        normalisation="none",
        learning=learning,
    )


def normalisations(vanilla: StableRankRun, *shares: str, suffix: str = "") -> dict[str, StableRankRun]:
    """Arms ``vanilla``, ``sn`` and those of SHARES that are named, each name with a suffix."""
    spectral = vanilla.model_copy(update={"normalisation": "spectral"})
    stable_rank = {
        name: vanilla.model_copy(update={"normalisation": "stable-rank", "stable_rank_share": SHARES[name]})
        for name in shares
    }
    return {name + suffix: arm for name, arm in {"vanilla": vanilla, "sn": spectral, **stable_rank}.items()}
