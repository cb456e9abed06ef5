"""Early stopping: which epoch is kept, when training ends, and that an interruption changes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torch import Tensor, nn

from epaas_models.datasets import DataSettings
from epaas_models.experiments.early_stopping import CRITERIA, Criterion, EarlyStopping, at_best
from epaas_models.experiments.experiment import RunContext
from epaas_models.experiments.learning import LearningConfiguration, learn
from epaas_models.losses import CrossEntropy
from epaas_models.reliability.subject import softmax

_LABELS = np.array([0, 1, 1, 0])


def logits(scale: float) -> np.ndarray:  # type: ignore[type-arg]
    """Right in three rows of four, the surer the greater the scale."""
    return np.array([[1.0, -1], [-1, 1], [-1, 1], [-1, 1]]) * scale


class Constant(nn.Module):
    """Answers every row with its two weights."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.weight.expand(len(inputs), 2)


def test_the_criteria_are_what_they_are_called() -> None:
    given = logits(0.7)
    assert CRITERIA["nll"](given, _LABELS) == pytest.approx(log_loss(_LABELS, softmax(given)))
    assert CRITERIA["error"](given, _LABELS) == 0.25
    # All four rows have the confidence of a sigmoid of 1.4 and are in one bin.
    assert CRITERIA["ece"](given, _LABELS) == pytest.approx(abs(0.75 - 1 / (1 + np.exp(-1.4))))


@pytest.mark.parametrize(("criterion", "best"), [("nll", 2), ("ece", 2), ("error", 0)])
def test_the_first_epoch_with_the_least_criterion_is_kept(criterion: Criterion, best: int) -> None:
    """Confidence is closest to the accuracy of 3/4 at the scale log(3) / 2; the error is the same at all."""
    network, stopping = Constant(), EarlyStopping(criterion)
    for epoch, scale in enumerate([0.1, 2.0, np.log(3) / 2, np.log(3) / 2, 0.3]):
        with torch.no_grad():
            network.weight.fill_(epoch)
        assert not stopping.observe(epoch, network, logits(scale), _LABELS)
    assert stopping.epoch == best
    assert at_best(stopping, network, torch.zeros(3, 1)).tolist() == [[best, best]] * 3
    assert network.weight.tolist() == [4, 4]
    stopping.restore(network)
    assert network.weight.tolist() == [best, best]


def test_patience_ends_training_so_many_epochs_after_the_best() -> None:
    stopping = EarlyStopping("nll", patience=2)
    scales = [0.2, 0.45, 0.4, 0.55, 0.9, 1.2, 1.5]  # the NLL is least at log(3) / 2 = 0.55
    said = [stopping.observe(epoch, Constant(), logits(scale), _LABELS) for epoch, scale in enumerate(scales)]
    assert stopping.epoch == 3
    assert said == [False] * 5 + [True, True]


def test_nothing_is_restored_before_an_epoch() -> None:
    with pytest.raises(LookupError, match="no epoch"):
        EarlyStopping("ece").restore(Constant())


class Interrupted(Exception):
    pass


def test_an_interrupted_training_keeps_the_same_epoch(tmp_path: Path) -> None:
    """By a rate at which the error of a linear network goes up and down."""
    random = torch.Generator().manual_seed(1)
    inputs = torch.randn(60, 3, generator=random)
    labels = (inputs[:, 0] + torch.randn(60, generator=random) > 0).long()
    loss = CrossEntropy()

    def trained(path: Path, interrupted_at: int | None) -> EarlyStopping:
        torch.manual_seed(0)
        network, stopping = nn.Linear(3, 2), EarlyStopping("nll")

        def progress(done: int, _total: int) -> None:
            if done == interrupted_at:
                raise Interrupted

        learn(
            network,
            inputs[:40],
            labels[:40],
            LearningConfiguration(epochs=8, batch_size=10, learning_rate=0.5),
            lambda learner, batch, known, _epoch: loss(learner(batch), known, 0),
            3,
            RunContext(DataSettings(), path, progress),
            after_epoch=stopping.watch(inputs[40:], labels[40:]),
            parts={"stopping": stopping},
        )
        return stopping

    whole = trained(tmp_path / "whole", None)
    with pytest.raises(Interrupted):
        trained(tmp_path / "resumed", 31)
    resumed = trained(tmp_path / "resumed", None)
    assert (resumed.epoch, resumed.value) == (whole.epoch, whole.value)
    assert 0 <= whole.epoch < 7  # found before the interruption, so that it had to be kept
    left, right = nn.Linear(3, 2), nn.Linear(3, 2)
    whole.restore(left)
    resumed.restore(right)
    assert torch.equal(left.weight, right.weight)
