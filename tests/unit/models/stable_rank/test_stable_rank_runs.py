"""Runs of chapter 4 on tiny pictures, and the data that they draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from epaas_models.datasets import Dataset, DataSettings
from epaas_models.experiments.experiment import RunContext
from epaas_models.experiments.learning import LearningConfiguration
from epaas_models.experiments.picture_data import crop_and_mirror
from epaas_models.experiments.stable_rank.networks import cnn, mlp
from epaas_models.experiments.stable_rank.pictures import Pictures, pictures
from epaas_models.experiments.stable_rank.recipes import normalisations
from epaas_models.experiments.stable_rank.training import StableRankRun

VANILLA = StableRankRun(
    data="mnist",
    network="mlp",
    normalisation="none",
    learning=LearningConfiguration(epochs=4, batch_size=16),
    measured_rows=20,
)


def toy(rows: int = 60, tests: int = 20, colours: int = 0) -> Dataset:
    """Bright halves: class 0 above, class 1 below. Every picture has a level of its own."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, rows + tests)
    images = random.integers(0, 60, (rows + tests, 4, 4)).astype(np.uint8)
    images[labels == 0, :2] += 150
    images[labels == 1, 2:] += 150
    image = images if not colours else np.repeat(images[..., None], colours, axis=3)
    return Dataset("toy", "here", "half", ("above", "below"), {"image": image}, labels, published_test=tests)


def drawn(**how: object) -> Pictures:
    settings = {"rows": None, "test_rows": None, "shrink": 1, "random_labels": False, **how}
    return pictures(toy(), 0, **settings)  # type: ignore[arg-type]


def context(folder: Path) -> RunContext:
    folder.mkdir(exist_ok=True)
    return RunContext(DataSettings(), folder / "run.checkpoint")


def test_rows_are_drawn_by_the_seed_and_the_test_apart() -> None:
    dataset = toy()
    some = pictures(dataset, 1, rows=30, test_rows=10, shrink=1, random_labels=False)
    assert (len(some.inputs), len(some.labels), len(some.test_inputs), some.classes) == (30, 30, 10, 2)
    again = pictures(dataset, 1, rows=30, test_rows=10, shrink=1, random_labels=False)
    assert torch.equal(some.inputs, again.inputs)
    assert not torch.equal(
        some.inputs, pictures(dataset, 2, rows=30, test_rows=10, shrink=1, random_labels=False).inputs
    )
    everything = pictures(dataset, 1, rows=None, test_rows=None, shrink=1, random_labels=False)
    assert (len(everything.inputs), len(everything.test_inputs)) == (60, 20)
    assert torch.equal(everything.labels.bincount(), torch.from_numpy(np.bincount(dataset.labels[:60])))


def test_inputs_are_standardised_by_the_training_rows_and_squares_averaged() -> None:
    shrunk = drawn(shrink=2)
    assert shrunk.inputs.shape == (60, 1, 2, 2)
    assert float(shrunk.inputs.mean()) == pytest.approx(0, abs=1e-5)
    assert float(shrunk.inputs.std()) == pytest.approx(1, abs=1e-5)
    colour = pictures(toy(colours=3), 0, rows=None, test_rows=None, shrink=1, random_labels=False)
    assert colour.inputs.shape == (60, 3, 4, 4)
    assert torch.allclose(colour.inputs[:, 0], colour.inputs[:, 2], atol=1e-5)


def test_random_labels_know_nothing_of_the_pictures_and_the_test_stays_true() -> None:
    true, random = drawn(), drawn(random_labels=True)
    assert torch.equal(true.inputs, random.inputs)
    assert torch.equal(true.test_labels, random.test_labels)
    assert 0.3 < float((true.labels == random.labels).float().mean()) < 0.7


def test_crops_move_whole_pictures_and_mirror_half_of_them() -> None:
    torch.manual_seed(0)
    picture = torch.arange(1.0, 13).reshape(1, 1, 3, 4).repeat(400, 2, 1, 1)
    picture[:, 1] += 100
    changed = crop_and_mirror(picture, margin=1)
    padded = np.pad(picture[0].numpy(), ((0, 0), (1, 1), (1, 1)))
    windows = [padded[:, y : y + 3, x : x + 4] for y in range(3) for x in range(3)]
    possible = {window.tobytes() for window in windows} | {window[:, :, ::-1].tobytes() for window in windows}
    seen = [each.numpy().tobytes() for each in changed]
    assert set(seen) == possible
    straight = {window.tobytes() for window in windows}
    assert 0.4 < np.mean([each in straight for each in seen]) < 0.6


def test_small_networks_give_a_logit_a_class() -> None:
    assert mlp(3, 1, 6)(torch.zeros(2, 1, 6, 6)).shape == (2, 3)
    assert cnn(5, 3, 8)(torch.zeros(2, 3, 8, 8)).shape == (2, 5)


def test_a_run_measures_what_its_normalisation_did(tmp_path: Path) -> None:
    arms = normalisations(VANILLA, "srn-20")
    found = {arm: dict(how.train_and_measure(drawn(), 0, context(tmp_path / arm))) for arm, how in arms.items()}
    for measured in found.values():
        assert measured["test_accuracy"] > 0.9
        assert measured["epochs"] == 4
        assert np.isfinite([value for value in measured.values() if not isinstance(value, list)]).all()
    assert found["vanilla"]["spectral_norms"] != pytest.approx([1, 1, 1], rel=0.05)
    for arm in ("sn", "srn-20"):
        assert found[arm]["spectral_norms"] == pytest.approx([1, 1, 1], rel=1e-4)
    assert max(found["srn-20"]["stable_rank_shares"][:2]) <= 0.2 + 1e-4
    assert found["srn-20"]["stable_ranks"][2] == pytest.approx(1, rel=1e-4)


def test_training_stops_after_the_first_epoch_that_is_right_enough(tmp_path: Path) -> None:
    stopping = VANILLA.model_copy(update={"stop_at": 0.9, "learning": LearningConfiguration(epochs=9, batch_size=16)})
    measured = stopping.train_and_measure(drawn(), 0, context(tmp_path))
    assert measured["stopped_early"] == 1
    assert measured["epochs"] < 9
    assert dict(stopping.train_and_measure(drawn(), 0, context(tmp_path))) == dict(measured)  # from its checkpoint
    never = VANILLA.model_copy(update={"stop_at": 1.0, "random_labels": True})
    measured = never.train_and_measure(drawn(random_labels=True), 0, context(tmp_path / "other"))
    assert (measured["epochs"], measured["stopped_early"]) == (4, 0)


def test_random_labels_have_no_margins_to_measure(tmp_path: Path) -> None:
    measured = VANILLA.model_copy(update={"random_labels": True}).train_and_measure(
        drawn(random_labels=True), 0, context(tmp_path)
    )
    assert "jac_norm_p90" not in measured
    assert 0 < measured["train_accuracy"] <= 1  # type: ignore[operator]
