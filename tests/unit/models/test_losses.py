"""Losses of chapter 7 against what the formulas give in plain numpy, and their gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from scipy.special import log_softmax, softmax
from scipy.stats import entropy
from sklearn.metrics import brier_score_loss, log_loss

from epaas_models.losses import (
    Brier,
    ClassificationLoss,
    CrossEntropy,
    DualFocal,
    Focal,
    LabelSmoothing,
    LossConfiguration,
    MaximumMeanCalibrationError,
    NeutralFocal,
    SampleDependentFocal,
    ScheduledFocal,
)
from epaas_models.losses.gamma import gradient_ratio, neutral_gamma
from epaas_models.losses.mmce import squared_mmce

Reals = NDArray[np.float64]
Labels = NDArray[np.int64]
Batch = tuple[Reals, Labels]

ALL: tuple[ClassificationLoss, ...] = (
    CrossEntropy(),
    Focal(gamma=0.5),
    Focal(),
    ScheduledFocal(),
    SampleDependentFocal(),
    NeutralFocal(),
    DualFocal(),
    DualFocal(gamma=0.5),
    Brier(),
    LabelSmoothing(),
    MaximumMeanCalibrationError(),
)
each_loss = pytest.mark.parametrize("loss", ALL, ids=lambda loss: f"{loss.kind}-{getattr(loss, 'gamma', '')}")


few = settings(max_examples=40)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    seed, rows, classes = draw(st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(2, 6)))
    source = np.random.default_rng(seed)
    return source.normal(scale=2, size=(rows, classes)), source.integers(classes, size=rows)


def value(loss: Callable[..., torch.Tensor], batch: Batch, share: float = 0.5) -> float:
    return loss(torch.from_numpy(batch[0]), torch.from_numpy(batch[1]), share).item()


def true_probabilities(batch: Batch) -> Reals:
    found: Reals = softmax(batch[0], axis=1)[np.arange(len(batch[1])), batch[1]]
    return found


def focal(batch: Batch, gamma: float | Reals) -> float:
    p = true_probabilities(batch)
    return float(np.mean(-((1 - p) ** gamma) * np.log(p)))


def logits_of(p: float) -> torch.Tensor:
    """Of one row and three classes, with the probability p for the first."""
    return torch.tensor([[p, (1 - p) / 2, (1 - p) / 2]], dtype=torch.float64).log()


@few
@given(batches())
def test_cross_entropy_is_the_log_loss(batch: Batch) -> None:
    expected = log_loss(batch[1], softmax(batch[0], axis=1), labels=range(batch[0].shape[1]))
    assert value(CrossEntropy(), batch) == pytest.approx(expected)


@few
@given(batches(), st.floats(0, 8))
def test_focal_loss_is_its_formula(batch: Batch, gamma: float) -> None:
    assert value(Focal(gamma=gamma), batch) == pytest.approx(focal(batch, gamma), abs=1e-12)


@few
@given(batches())
def test_without_gamma_focal_losses_are_cross_entropy(batch: Batch) -> None:
    expected = value(CrossEntropy(), batch)
    assert value(Focal(gamma=0), batch) == pytest.approx(expected)
    assert value(DualFocal(gamma=0), batch) == pytest.approx(expected)
    assert value(SampleDependentFocal(gammas=(0, 0)), batch) == pytest.approx(expected)


@few
@given(batches(), st.floats(1, 8))
def test_focal_loss_bounds_cross_entropy_less_gamma_entropies(batch: Batch, gamma: float) -> None:
    """Theorem 5, whose proof uses Bernoulli's inequality and so wants gamma >= 1."""
    entropies = entropy(softmax(batch[0], axis=1), axis=1).mean()
    assert value(Focal(gamma=gamma), batch) >= value(CrossEntropy(), batch) - gamma * entropies - 1e-12


@pytest.mark.parametrize(
    ("share", "gamma"), [(0, 5), (0.2857, 5), (100 / 350, 3), (0.7142, 3), (250 / 350, 1), (1.0, 1)]
)
def test_the_schedule_changes_gamma_at_epochs_100_and_250_of_350(share: float, gamma: float) -> None:
    batch = np.random.default_rng(1).normal(size=(20, 4)), np.arange(20) % 4
    assert value(ScheduledFocal(), batch, share) == pytest.approx(focal(batch, gamma))


def test_gamma_of_flsd_53_is_5_below_0_2_and_else_3() -> None:
    probabilities = torch.tensor([0.01, 0.1999, 0.2, 0.4999, 0.5, 0.99], dtype=torch.float64)
    assert SampleDependentFocal().gammas_of(probabilities).tolist() == [5, 5, 3, 3, 3, 3]


def test_gamma_of_the_reference_code_with_its_default_option_is_5_3_1() -> None:
    """Which its script calls FLSD-53 as well, though it is not."""
    loss = SampleDependentFocal(gammas=(5, 3, 1), thresholds=(0.2, 0.5))
    assert loss.gammas_of(torch.tensor([0.1999, 0.2, 0.4999, 0.5])).tolist() == [5, 3, 3, 1]


@few
@given(batches())
def test_sample_dependent_focal_loss_is_its_formula(batch: Batch) -> None:
    gammas = np.where(true_probabilities(batch) < 0.2, 5.0, 3.0)
    assert value(SampleDependentFocal(), batch) == pytest.approx(focal(batch, gammas))


@few
@given(batches())
def test_neutral_focal_loss_is_its_formula(batch: Batch) -> None:
    gammas = neutral_gamma(np.clip(true_probabilities(batch), 0.2, 0.25))
    assert value(NeutralFocal(), batch) == pytest.approx(focal(batch, gammas))


@pytest.mark.parametrize("p", [0.1, 0.19, 0.2, 0.22, 0.25, 0.3, 0.6])
def test_neutral_focal_loss_has_the_gradients_that_its_policy_says(p: float) -> None:
    """Of cross-entropy: more below 0.2, the same up to 0.25, less above. Fails if gamma is differentiated."""
    gradients = []
    for loss in (NeutralFocal(), CrossEntropy()):
        logits = logits_of(p).requires_grad_()
        loss(logits, torch.tensor([0]), 0.0).backward()
        assert logits.grad is not None
        gradients.append(logits.grad)
    ratio = gradients[0].norm() / gradients[1].norm()
    expected = gradient_ratio(p, neutral_gamma(min(max(p, 0.2), 0.25)))
    assert ratio.item() == pytest.approx(float(expected))
    assert (ratio > 1.005) == (p < 0.2)
    assert (ratio < 0.995) == (p > 0.25)


@few
@given(st.lists(st.floats(0.01, 0.97), min_size=2, max_size=5), st.floats(0, 6))
def test_dual_focal_loss_is_its_formula(weights: list[float], gamma: float) -> None:
    p = np.array(weights) / np.sum(weights)
    less = p[p < p[0]]
    expected = -((1 - p[0] + less.max(initial=0)) ** gamma) * np.log(p[0])
    batch = np.log(p)[None, :], np.array([0])
    assert value(DualFocal(gamma=gamma), batch) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_dual_focal_loss_by_hand() -> None:
    """Classes 0.5, 0.3 and 0.2: behind the true second one is the third, behind the true third one is none."""
    logits = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64).log()
    assert DualFocal(gamma=2)(logits, torch.tensor([1]), 0).item() == pytest.approx(-(0.9**2) * np.log(0.3))
    assert DualFocal(gamma=2)(logits, torch.tensor([2]), 0).item() == pytest.approx(-(0.8**2) * np.log(0.2))


@few
@given(batches())
def test_brier_loss_is_the_brier_score(batch: Batch) -> None:
    probabilities = softmax(batch[0], axis=1)
    classes = range(batch[0].shape[1])
    expected = sum(brier_score_loss(batch[1] == label, probabilities[:, label]) for label in classes)
    assert value(Brier(), batch) == pytest.approx(expected)


@few
@given(batches(), st.floats(0.01, 0.9))
def test_label_smoothing_is_divergence_from_the_smoothed_label_and_its_entropy(batch: Batch, smoothing: float) -> None:
    logits, labels = batch
    classes = logits.shape[1]
    smoothed = np.full(logits.shape, smoothing / (classes - 1))
    smoothed[np.arange(len(labels)), labels] = 1 - smoothing
    divergence = np.sum(smoothed * (np.log(smoothed) - log_softmax(logits, axis=1)), axis=1)
    expected = np.mean(divergence + entropy(smoothed, axis=1))
    assert value(LabelSmoothing(smoothing=smoothing), batch) == pytest.approx(expected)
    torch_says = torch.nn.functional.cross_entropy(
        torch.from_numpy(logits), torch.from_numpy(labels), label_smoothing=min(1, smoothing * classes / (classes - 1))
    )
    if smoothing * classes / (classes - 1) <= 1:
        assert torch_says.item() == pytest.approx(expected)


@few
@given(batches())
def test_mmce_is_the_formula_of_the_paper(batch: Batch) -> None:
    probabilities, labels = softmax(batch[0], axis=1), batch[1]
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    parts = {(True, True): [0.0], (False, False): [0.0], (True, False): [0.0]}
    for r, is_right in zip(confidence, right, strict=True):
        for other, other_right in zip(confidence, right, strict=True):
            kernel = np.exp(-abs(r - other) / 0.4)
            weight = ((1 - r) if is_right else r) * ((1 - other) if other_right else other)
            parts.setdefault((bool(is_right), bool(other_right)), []).append(weight * kernel)
    rows, good = len(labels), right.sum()
    if good in (0, rows):
        expected = 0.0
    else:
        expected = (
            sum(parts[True, True]) / good**2
            + sum(parts[False, False]) / (rows - good) ** 2
            - 2 * sum(parts[True, False]) / (good * (rows - good))
        )
    found = squared_mmce(torch.from_numpy(batch[0]), torch.from_numpy(labels)).item()
    assert found == pytest.approx(expected, abs=1e-12)
    total = value(CrossEntropy(), batch) + 2 * np.sqrt(max(expected, 1e-10))
    assert value(MaximumMeanCalibrationError(), batch) == pytest.approx(total)


@few
@given(batches())
def test_mmce_does_not_depend_on_how_often_a_batch_is_repeated(batch: Batch) -> None:
    """As it does in the thesis's code."""
    repeated = torch.from_numpy(np.tile(batch[0], (3, 1))), torch.from_numpy(np.tile(batch[1], 3))
    once = squared_mmce(torch.from_numpy(batch[0]), torch.from_numpy(batch[1]))
    assert squared_mmce(*repeated).item() == pytest.approx(once.item(), abs=1e-12)


@each_loss
def test_gradients_are_those_of_finite_differences(loss: ClassificationLoss) -> None:
    """At rows that are neither near a step of gamma nor where Theorem 7's gamma changes with p."""
    source = np.random.default_rng(3)
    logits, labels = (
        torch.from_numpy(source.normal(scale=2, size=(20, 4))),
        torch.from_numpy(source.integers(4, size=20)),
    )
    chances = torch.softmax(logits, 1)[torch.arange(20), labels]
    kept = (chances < 0.19) | (chances > 0.26)
    assert (chances[kept] < 0.19).any()
    assert (chances[kept] > 0.5).any()
    logits, labels = logits[kept].requires_grad_(), labels[kept]
    assert torch.autograd.gradcheck(lambda outputs: loss(outputs, labels, 0.5), (logits,))


@each_loss
@pytest.mark.parametrize("scale", [30, 1e4])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_saturated_logits_have_finite_losses_and_gradients(
    loss: ClassificationLoss, scale: float, kind: torch.dtype
) -> None:
    """Right rows, wrong ones, and some of each in a batch; two classes and three; equal logits."""
    for rows, labels in (
        ([[1, -1]], [0]),
        ([[1, -1]], [1]),
        ([[0, 0]], [0]),
        ([[1, -1], [1, -1]], [0, 1]),
        ([[1, 0, -1], [1, 1, -1], [-1, 0, 1]], [0, 1, 0]),
    ):
        logits = (torch.tensor(rows, dtype=kind) * scale).requires_grad_()
        found = loss(logits, torch.tensor(labels), 1.0)
        found.backward()
        assert torch.isfinite(found)
        assert logits.grad is not None
        assert torch.isfinite(logits.grad).all()


def test_a_confident_mistake_still_teaches() -> None:
    """Focal losses must not lose the gradient of cross-entropy where p is 0 to the last digit."""
    for loss in (Focal(), SampleDependentFocal(), NeutralFocal(), DualFocal(), MaximumMeanCalibrationError()):
        logits = torch.tensor([[200.0, -200.0], [3.0, 0.0]]).requires_grad_()
        loss(logits, torch.tensor([1, 0]), 0.0).backward()
        assert logits.grad is not None
        assert logits.grad[0, 1].item() == pytest.approx(-0.5, rel=0.2)


@each_loss
def test_a_configuration_is_read_back(loss: ClassificationLoss) -> None:
    adapter: TypeAdapter[ClassificationLoss] = TypeAdapter(LossConfiguration)
    assert adapter.validate_python(loss.model_dump(mode="json")) == loss


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "focal", "gamma": -1},
        {"kind": "focal-scheduled", "gammas": (5, 3), "thresholds": (0.2, 0.3)},
        {"kind": "focal-sample-dependent", "gammas": (5, 3, 1), "thresholds": (0.3, 0.2)},
        {"kind": "focal-neutral", "low": 0.3, "high": 0.2},
        {"kind": "label-smoothing", "smoothing": 1},
        {"kind": "hinge"},
    ],
)
def test_configurations_that_are_none_are_refused(document: dict[str, object]) -> None:
    adapter: TypeAdapter[ClassificationLoss] = TypeAdapter(LossConfiguration)
    with pytest.raises(ValidationError):
        adapter.validate_python(document)
