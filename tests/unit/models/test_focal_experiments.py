"""The experiments of chapter 7 on data that are made here: what they measure, and that their claims can be wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from sklearn.metrics import log_loss
from torch import nn

from epaas_models.datasets import Dataset, DataSettings, sst
from epaas_models.datasets.trees import Tree
from epaas_models.experiments import picture_data
from epaas_models.experiments.claims import Claim
from epaas_models.experiments.experiment import Experiment, RunContext
from epaas_models.experiments.focal import CLAIMS, EXPERIMENTS, data
from epaas_models.experiments.focal.data import Articles, Pictures, Source
from epaas_models.experiments.focal.linear import LinearModel, clusters
from epaas_models.experiments.focal.measurement import epoch_measures, head_gradient_norms
from epaas_models.experiments.focal.networks import BagOfWords, NetworkConfiguration, Published, SmallConvolutional
from epaas_models.experiments.focal.sentiment import SentimentTraining
from epaas_models.experiments.focal.training import CalibratedTraining
from epaas_models.experiments.learning import LearningConfiguration
from epaas_models.experiments.logs import Logs, RunLog
from epaas_models.experiments.picture_data import crop_and_mirror
from epaas_models.losses import CrossEntropy, Focal, LossConfiguration, SampleDependentFocal
from epaas_models.reliability.subject import softmax

_SETTINGS = DataSettings()


def pictures(_settings: DataSettings, _progress: object) -> Dataset:
    """Rows of 8 x 8 that are bright where their class says, and noise."""
    random = np.random.default_rng(4)
    labels = np.arange(180) % 3
    images = random.integers(0, 120, size=(180, 8, 8))
    for row, label in enumerate(labels):
        images[row, 2 * label : 2 * label + 2] += 100
    return Dataset("tiny", "made", "class", ("a", "b", "c"), {"image": images.astype(np.uint8)}, labels, None, (), 60)


def articles(_settings: DataSettings, _progress: object) -> Dataset:
    """Texts of words that tell the class and words that do not."""
    random = np.random.default_rng(5)
    labels = np.arange(120) % 2
    words = [
        " ".join([*random.choice(["of", "the", "and"], 6), *random.choice([["cat", "dog"], ["sun", "sky"]][label], 3)])
        for label in labels
    ]
    return Dataset("tiny", "made", "group", ("a", "b"), {"text": np.array(words, dtype=object)}, labels, None, (), 40)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    data._examples.cache_clear()
    monkeypatch.setitem(picture_data.PICTURES, "mnist", pictures)  # type: ignore[arg-type]
    monkeypatch.setattr(data.newsgroups, "load", articles)
    yield
    data._examples.cache_clear()


_PICTURES = Pictures(name="mnist", training=80, validation=30, test=50)
_ARTICLES = Articles(vocabulary=50, length=8, validation=20)
_RECIPE = LearningConfiguration(epochs=5, batch_size=20, learning_rate=0.05, clip_norm=2, summed_loss=True)


def run(
    folder: Path,
    source: Source = _PICTURES,
    network: NetworkConfiguration = SmallConvolutional(filters=(4,), hidden=16),  # noqa: B008
    loss: LossConfiguration = SampleDependentFocal(),  # noqa: B008
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    **others: Any,
) -> Mapping[str, Any]:
    configuration = CalibratedTraining(source=source, network=network, loss=loss, learning=_RECIPE, **others)  # type: ignore[arg-type]
    return configuration.run(7, RunContext(_SETTINGS, folder / "checkpoint", progress))


@pytest.mark.usefixtures("tiny")
def test_a_network_learns_pictures_and_is_measured(tmp_path: Path) -> None:
    measured = run(tmp_path)
    assert measured["error"] < 0.2
    assert measured["curve_test_error"][-1] == measured["error"]
    assert measured["curve_test_nll"][-1] == pytest.approx(measured["nll"])
    assert measured["curve_head_norm"][-1] == pytest.approx(measured["head_norm"])
    assert measured["curve_gradient_norm"][-1] == pytest.approx(measured["gradient_norm"])
    assert all(len(values) == 5 for name, values in measured.items() if name.startswith("curve_"))
    assert len(measured["gradient_norm_deciles"]) == 9
    best = measured["nll_epoch"]
    assert measured["nll_error"] == pytest.approx(measured["curve_test_error"][best])
    assert measured["ece_ece"] == pytest.approx(measured["curve_test_ece"][measured["ece_epoch"]])


@pytest.mark.usefixtures("tiny")
def test_a_network_learns_articles_by_their_words(tmp_path: Path) -> None:
    assert run(tmp_path, _ARTICLES, BagOfWords(dimensions=8, hidden=8))["error"] < 0.2


class Interrupted(Exception):
    pass


@pytest.mark.usefixtures("tiny")
def test_an_interrupted_run_measures_the_same(tmp_path: Path) -> None:
    def interrupted(done: int, _total: int) -> None:
        if done == 10:
            raise Interrupted

    (tmp_path / "whole").mkdir()
    whole = run(tmp_path / "whole", augmented=True)
    with pytest.raises(Interrupted):
        run(tmp_path, augmented=True, progress=interrupted)
    assert run(tmp_path, augmented=True) == whole


@pytest.mark.usefixtures("tiny")
def test_rows_follow_from_the_seed_and_test_rows_teach_nothing() -> None:
    first, again, other = (_PICTURES.examples(_SETTINGS, seed) for seed in (1, 1, 2))
    assert torch.equal(first.training, again.training)
    assert not torch.equal(first.training, other.training)
    assert [len(part) for part in (first.training, first.validation, first.test)] == [80, 30, 50]
    assert first.training.mean().item() == pytest.approx(0, abs=1e-6)
    assert first.training.std().item() == pytest.approx(1, abs=1e-6)
    rows = [row.numpy().tobytes() for part in (first.training, first.validation, first.test) for row in part]
    assert len(set(rows)) == 160
    texts = _ARTICLES.examples(_SETTINGS, 1)
    assert texts.words <= 9  # padding, unknown and seven words
    assert texts.training.shape == (60, 8)


@pytest.mark.parametrize("network", ["wide-resnet", "global-pooling-cnn"])
def test_the_networks_of_the_full_size_recipes_are_built_for_their_data(network: str) -> None:
    """On torch's meta device, which allocates nothing."""
    examples = data.Examples(*[torch.zeros(1, 3, 32, 32, device="meta"), torch.zeros(1)] * 3, classes=7, words=30)
    with torch.device("meta"):
        built = Published(kind=network).build(examples)  # type: ignore[arg-type]
        inputs = torch.zeros(2, 40, dtype=torch.long) if network == "global-pooling-cnn" else torch.zeros(2, 3, 32, 32)
        assert built(inputs).shape == (2, 7)


def tree(words: str, label: int) -> Tree:
    """Of two words, the first of which has no sentiment."""
    first, second = words.split()
    return Tree((first, second, ""), ((-1, -1), (-1, -1), (0, 1)), (sst.NEUTRAL, label, label))


def test_a_tree_lstm_learns_the_sentiment_of_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = [
        tree(f"{how} {what}", label)
        for how in ("so", "very", "quite", "too")
        for what, label in (("good", sst.POSITIVE), ("bad", sst.NEGATIVE), ("fine", sst.POSITIVE))
    ]
    bank = sst.Treebank(tuple(sentences * 3), tuple(sentences), tuple(sentences))
    monkeypatch.setattr(sst, "load", lambda _settings, _progress: bank)
    training = SentimentTraining(loss=Focal(), epochs=8, batch_size=6, dimensions=12, memory=8)
    measured = training.run(1, RunContext(_SETTINGS, tmp_path / "checkpoint"))
    assert measured["error"] == 0
    assert 0 <= measured["best_epoch"] < 8  # type: ignore[operator]


def test_points_of_a_curve_are_what_they_are_called() -> None:
    random = np.random.default_rng(2)
    logits, labels = random.normal(scale=2, size=(40, 3)), random.integers(3, size=40)
    found = epoch_measures(logits[:10], labels[:10], logits, labels)
    p = softmax(logits)
    wrong = p.argmax(axis=1) != labels
    assert found["test_nll"] == pytest.approx(log_loss(labels, p))
    assert found["training_nll"] == pytest.approx(log_loss(labels[:10], p[:10], labels=range(3)))
    assert found["test_nll_wrong"] == pytest.approx(np.mean(-np.log(p[wrong, labels[wrong]])))
    assert found["test_entropy_wrong"] == pytest.approx(entropy(p[wrong], axis=1).mean())
    assert found["test_entropy_right"] == pytest.approx(entropy(p[~wrong], axis=1).mean())
    assert found["test_error"] == pytest.approx(wrong.mean())
    sure = epoch_measures(logits, labels, np.eye(3)[labels] * 1e4, labels)
    assert (sure["test_nll_wrong"], sure["test_entropy_right"]) == (0, 0)


def test_gradient_norms_are_those_of_a_row_at_a_time() -> None:
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    inputs, labels, loss = torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1]), Focal()
    expected = []
    for row in range(5):
        network.zero_grad()
        loss(network(inputs[row : row + 1]), labels[row : row + 1], 0).backward()  # type: ignore[no-untyped-call]
        expected.append(network[2].weight.grad.norm().item())  # type: ignore[union-attr, operator]
    assert head_gradient_norms(network, inputs, labels, loss, 0) == pytest.approx(expected, rel=1e-5)


def test_crops_and_flips_are_of_the_padded_picture() -> None:
    pictures = torch.arange(1, 1 + 40 * 2 * 5 * 6, dtype=torch.float32).reshape(40, 2, 5, 6)
    torch.manual_seed(0)
    padded, seen = np.pad(pictures.numpy(), ((0, 0), (0, 0), (4, 4), (4, 4))), set()
    for row, found in enumerate(crop_and_mirror(pictures).numpy()):
        places = [
            (top, left, mirrored)
            for top in range(9)
            for left in range(9)
            for mirrored in (False, True)
            if np.array_equal(padded[row, :, top : top + 5, left : left + 6][..., :: -1 if mirrored else 1], found)
        ]
        assert len(places) == 1
        seen.add(places[0])
    assert len({(top, left) for top, left, _ in seen}) > 20
    assert {mirrored for *_, mirrored in seen} == {False, True}


def test_clusters_lie_around_a_square_and_a_tenth_of_the_labels_is_flipped() -> None:
    plain = clusters(4000, 0.0, False, np.random.default_rng(3))
    flipped = clusters(4000, 0.1, False, np.random.default_rng(3))
    assert np.array_equal(plain.points, flipped.points)
    assert np.sum(plain.labels != flipped.labels) == 400
    for label, side in ((0, -2), (1, 2)):
        for upper in (False, True):
            cluster = plain.points[(plain.labels == label) & ((plain.points[:, 1] > 0) == upper)]
            assert cluster.mean(axis=0) == pytest.approx([side, 2 if upper else -2], abs=0.35)
    separable = clusters(4000, 0.0, True, np.random.default_rng(3))
    assert np.array_equal(separable.points[:, 0] > 0, separable.labels == 1)


def test_a_linear_model_learns_the_direction_and_less_norm_with_focal_loss(tmp_path: Path) -> None:
    recipe = LearningConfiguration(epochs=4, batch_size=100, learning_rate=0.5, momentum=0, weight_decay=0)
    found = []
    for number, loss in enumerate((CrossEntropy(), Focal(gamma=1))):
        model = LinearModel(loss=loss, learning=recipe, training=1000, test=400)
        found.append(model.run(1, RunContext(_SETTINGS, tmp_path / str(number))))
    entropy_run, focal_run = found
    assert len(focal_run["curve_weight_norm"]) == 4  # type: ignore[arg-type]
    for measured in found:
        assert 0.05 < measured["error"] < 0.2  # type: ignore[operator]
        assert abs(measured["angle"]) < 15  # type: ignore[arg-type]
    for name in ("weight_norm", "logit_norm", "confidence_wrong"):
        assert focal_run[name] < entropy_run[name]  # type: ignore[operator]


def log(experiment: Experiment, arm: str, seed: int, measured: Mapping[str, Any]) -> RunLog:
    return RunLog(
        experiment=experiment.name,
        arm=arm,
        seed=seed,
        digest="",
        configuration={},
        measured=dict(measured),
        seconds=0,
        machine="",
        versions={},
        created="",
    )


class Same(dict[str, Any]):
    """Every measure that a judge asks for, the same number: nothing is better than anything."""

    def __missing__(self, name: str) -> object:
        return [0.5, 0.5, 0.5] if name.startswith("curve_") else 0.5


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim.experiment.name}-{claim.claim[:40]}")
def test_no_claim_holds_where_all_arms_are_the_same(claim: Claim) -> None:
    """But those that only bound a difference, of errors and of gammas, from above."""

    class Made(Logs):
        def of(self, experiment: str, arm: str) -> list[RunLog]:
            assert experiment == claim.experiment.name
            assert arm in claim.experiment.arms
            logs = [log(claim.experiment, arm, seed, {}) for seed in claim.experiment.seeds]
            return [found.model_copy(update={"measured": Same()}) for found in logs]

    only_bounds = ("the test error of focal loss" in claim.claim) or ("at least as well" in claim.claim)
    assert claim.judge(Made(Path())).holds == only_bounds


def test_experiments_have_arms_that_differ_and_names_of_folders() -> None:
    for experiment in EXPERIMENTS:
        assert len({arm.digest for arm in experiment.arms.values()}) == len(experiment.arms)
        assert experiment.name.replace("-", "").isalnum()
        assert len(experiment.seeds) >= 3
    assert len({experiment.name for experiment in EXPERIMENTS}) == len(EXPERIMENTS)
    assert all(claim.experiment in EXPERIMENTS and not claim.experiment.needs_gpu for claim in CLAIMS)
