"""Runs of chapter 5 on tiny data: they finish, and measure what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from epaas_models.datasets import Dataset, DataSettings
from epaas_models.experiments import picture_data
from epaas_models.experiments.experiment import RunContext
from epaas_models.experiments.label_noise import EXPERIMENTS
from epaas_models.experiments.label_noise.boundaries import Boundaries
from epaas_models.experiments.label_noise.fine_to_coarse import PicturesFineToCoarse, PlaneFineToCoarse
from epaas_models.experiments.label_noise.memorisation import Memorisation, strongest_influence
from epaas_models.experiments.label_noise.networks import NetworkName, network_named
from epaas_models.experiments.label_noise.noisy_training import NoisyTraining
from epaas_models.experiments.label_noise.pictures import pictures
from epaas_models.experiments.label_noise.toy_mnist import ToyMnist
from epaas_models.experiments.learning import LearningConfiguration
from epaas_models.label_noise.injection import randomise
from epaas_models.label_noise.pgd import Threat

LEARNING = LearningConfiguration(epochs=12, batch_size=20, optimiser="adam", learning_rate=5e-3, weight_decay=0)
THREAT = Threat(budget=0.1, step=0.05, steps=3)


def quarters(rows: int = 80, tests: int = 40) -> Dataset:
    """Four classes, each with a bright quarter; the coarse class says whether it is on the left."""
    random = np.random.default_rng(0)
    labels = np.arange(rows + tests) % 4
    images = random.integers(0, 90, (rows + tests, 8, 8)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4 * (label // 2) : 4 * (label // 2) + 4, 4 * (label % 2) : 4 * (label % 2) + 4] += 120
    coarse = np.array([("left", "right")[label % 2] for label in labels], dtype=object)
    columns = {"image": images, "superclass": coarse}
    return Dataset("quarters", "here", "quarter", ("a", "b", "c", "d"), columns, labels, published_test=tests)


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunContext:
    monkeypatch.setitem(picture_data.PICTURES, "mnist", lambda _settings, _progress: quarters())
    torch.manual_seed(0)
    return RunContext(DataSettings(), tmp_path / "run.checkpoint")


def noisy(**differs: Any) -> NoisyTraining:
    given = {"source": "mnist", "network": "perceptron", "noise": 0.25, "learning": LEARNING, "budgets": (0.0, 0.1)}
    return NoisyTraining.model_validate({**given, **differs})


def test_pictures_are_drawn_from_either_part(context: RunContext) -> None:
    data, dataset = pictures("mnist", context.data, 30, 10, seed=3), quarters()
    assert data.training.shape == (30, 1, 8, 8)
    assert (data.classes, data.coarse) == (4, (0, 1, 0, 1))
    own = {image.tobytes(): label for image, label in zip(dataset.columns["image"][:80], dataset.labels, strict=False)}
    drawn = (data.training[:, 0] * 255).round().numpy().astype(np.uint8)
    assert [own[image.tobytes()] for image in drawn] == data.labels.tolist()
    assert len({image.tobytes() for image in drawn}) == 30
    assert not {image.tobytes() for image in (data.test[:, 0] * 255).round().numpy().astype(np.uint8)} & set(own)
    assert torch.equal(data.training, pictures("mnist", context.data, 30, 10, seed=3).training)


def test_a_network_on_wrong_labels_is_measured_against_them_and_tested_on_true_ones(context: RunContext) -> None:
    measured = noisy().run(0, context)
    wrong = randomise(pictures("mnist", context.data, None, None, 0).labels, 0.25, 4, 0).wrong.sum()
    assert measured["wrong_labels"] == wrong
    assert measured["train_error"] == pytest.approx(measured["misclassified"] / 80)  # type: ignore[operator]
    fitted = wrong - measured["misclassified_with_wrong_label"]  # type: ignore[operator]
    assert measured["wrong_labels_fitted"] == pytest.approx(fitted / wrong)
    assert measured["natural_error"] == measured["adversarial_error_at_0"]
    assert measured["natural_error"] <= measured["adversarial_error_at_0.1"]  # type: ignore[operator]
    assert measured["natural_error"] < 0.3  # type: ignore[operator]


@pytest.mark.parametrize("method", ["adversarial-training", "trades"])
def test_robust_training_is_measured_in_the_same_way(context: RunContext, method: str) -> None:
    measured = noisy(noise=0, rows=40, tests=20, method=method, trained_against=THREAT).run(0, context)
    assert measured["wrong_labels_fitted"] is None
    assert measured["train_error"] == pytest.approx(1 - measured["true_labels_fitted"])  # type: ignore[operator]
    assert measured["natural_error"] <= measured["adversarial_error_at_0.1"]  # type: ignore[operator]
    with pytest.raises(ValueError, match="threat"):
        noisy(method=method).run(0, context)


def test_toy_mnist_is_followed_epoch_by_epoch_and_resumed(context: RunContext, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = ToyMnist(variance=0.05, noise=0.2, rows=60, tests=20, hidden=(16,), learning=LEARNING, attack=THREAT, early=2)
    measured = toy.run(0, context)
    assert len(measured["train_error_by_epoch"]) == 12  # type: ignore[arg-type]
    assert measured["train_error"] == measured["train_error_by_epoch"][-1]  # type: ignore[index]
    assert measured["natural_error_early"] == measured["natural_error_by_epoch"][1]  # type: ignore[index]
    assert measured["natural_error"] <= measured["adversarial_error"]  # type: ignore[operator]
    kinds = {int(kind) for _, _, kind in measured["projected"]}  # type: ignore[misc, union-attr]
    assert {0, 1, 2, 3} <= kinds <= set(range(6))
    assert toy.run(0, context) == measured  # from the checkpoint, without training
    clean = toy.model_copy(update={"noise": 0.0}).run(0, RunContext(context.data, context.checkpoint.with_name("b")))
    assert clean["turned_next_to_wrong_labels"] is None


def test_memorisation_is_measured_on_what_robust_training_loses(context: RunContext) -> None:
    run = Memorisation(
        source="mnist",
        rows=40,
        tests=20,
        network="perceptron",
        learning=LEARNING,
        threat=THREAT,
        trainings=4,
        share=0.5,
    )
    measured = run.run(0, context)
    for method in ("adversarial_training", "trades"):
        fallen = measured["natural_train_accuracy"] - measured[f"{method}_train_accuracy"]  # type: ignore[operator]
        assert fallen <= measured[f"{method}_lost"] / 40 + 1e-9  # type: ignore[operator]
        if not measured[f"{method}_lost"]:
            assert measured[f"self_influence_lost_by_{method}"] is None
    assert -1 <= measured["self_influence_of_all"] <= 1  # type: ignore[operator]
    assert len(list(context.checkpoint.parent.glob("run.checkpoint.*"))) == 7


def test_the_strongest_influence_is_that_of_a_row_of_the_same_class() -> None:
    """Test row 0 is right exactly where row 1 was in; row 2, of another class, is always in when row 1 is."""
    inside = np.array([[1, 1, 1], [0, 0, 0], [0, 1, 1], [1, 0, 0]] * 2, dtype=np.bool_)
    right = np.column_stack([inside[:, 1], np.ones(8, dtype=np.bool_)])
    found = strongest_influence(inside, right, np.array([0, 0, 1]), np.array([0, 1]))
    assert found.tolist() == [1, 0]


@pytest.mark.parametrize("labels", ["coarse", "fine"])
def test_both_answer_with_coarse_classes(context: RunContext, labels: str) -> None:
    given = {
        "source": "mnist", "trained_on": labels, "aggregation": "sum", "network": "small-cnn",
        "learning": LEARNING, "attack": THREAT, "budgets": (0.1,),
    }  # fmt: skip
    measured = PicturesFineToCoarse.model_validate(given).run(0, context)
    assert measured["natural_error"] < 0.2  # type: ignore[operator]
    assert measured["natural_error"] <= measured["adversarial_error_at_0.1"]  # type: ignore[operator]


@pytest.mark.parametrize("labels", ["coarse", "fine"])
def test_parity_balls_are_learnt_from_classes_and_from_balls(context: RunContext, labels: str) -> None:
    given = {
        "balls": 2, "radius": 0.1, "rows": 200, "tests": 40, "hidden": (32,), "trained_on": labels,
        "learning": LEARNING.model_copy(update={"learning_rate": 0.02}), "budgets": (0.0, 1.0),
    }  # fmt: skip
    measured = PlaneFineToCoarse.model_validate(given).run(0, context)
    assert measured["natural_error"] == measured["adversarial_error_at_0"] == 0
    assert measured["adversarial_error_at_1"] == 1  # the next ball is of the other class
    assert np.shape(measured["decision_map"]) == (40, 40)


def test_the_nearest_neighbour_keeps_its_distance(context: RunContext) -> None:
    """And a network is measured in the same way."""
    given = {"side": 2, "radius": 0.2, "jitter": 0.05, "rows": 200, "tests": 40, "budgets": (0.2, 1.0)}
    nearest = Boundaries.model_validate({**given, "learning": LEARNING}).run(0, context)
    assert nearest["adversarial_error_at_0.2"] == 0  # discs are 0.5 apart
    assert nearest["adversarial_error_at_1"] == 1
    network = Boundaries.model_validate({**given, "hidden": (32,), "learning": LEARNING}).run(0, context)
    assert network["natural_error"] <= network["adversarial_error_at_0.2"]  # type: ignore[operator]


@pytest.mark.parametrize("name", ["perceptron", "small-cnn", "cnn4", "resnet18"])
def test_networks_by_name_take_pictures(name: NetworkName) -> None:
    assert name in get_args(NetworkName)
    network = network_named(name, 10, 1, 28).eval()
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_experiments_have_names_of_their_own_and_full_size_ones_need_a_gpu() -> None:
    names = [experiment.name for experiment in EXPERIMENTS]
    assert len(set(names)) == len(names)
    for experiment in EXPERIMENTS:
        assert len(experiment.seeds) >= 3
        assert experiment.needs_gpu == any(
            getattr(arm, "network", "") in ("cnn4", "resnet18", "resnet50", "densenet121", "vgg19")
            for arm in experiment.arms.values()
        )
