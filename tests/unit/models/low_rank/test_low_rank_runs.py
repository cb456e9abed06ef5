"""Runs of chapter 6 on tiny pictures: what they draw, train and measure, and how claims judge it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from epaas_models.datasets import Dataset, DataSettings
from epaas_models.experiments.experiment import RunContext
from epaas_models.experiments.learning import LearningConfiguration
from epaas_models.experiments.logs import Logs, RunLog
from epaas_models.experiments.low_rank import CLAIMS, EXPERIMENTS
from epaas_models.experiments.low_rank.claims import above, below, both
from epaas_models.experiments.low_rank.measures import Measuring
from epaas_models.experiments.low_rank.networks import residual_network, small_network
from epaas_models.experiments.low_rank.pictures import Pictures, pictures_of
from epaas_models.experiments.low_rank.regularisers import BottleneckLayer, LowRank, Nuclear, Plain, Regulariser
from epaas_models.experiments.low_rank.run import LowRankRun
from epaas_models.experiments.low_rank.small import MAIN
from epaas_models.low_rank.layer import LowRankLayer


def toy(rows: int = 80, tests: int = 30) -> Dataset:
    """Four classes: which quarter of the picture is bright."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, rows + tests)
    images = random.integers(0, 60, (rows + tests, 4, 4)).astype(np.uint8)
    for label in range(4):
        down, across = 2 * (label // 2), 2 * (label % 2)
        images[labels == label, down : down + 2, across : across + 2] += 150
    return Dataset("toy", "here", "quarter", tuple("abcd"), {"image": images}, labels, published_test=tests)


def configuration(regulariser: Regulariser, **changed: Any) -> LowRankRun:
    plain = LowRankRun(
        data="mnist",
        filters=(4,),
        units=8,
        learning=LearningConfiguration(epochs=12, batch_size=16, learning_rate=0.1, clip_norm=1.0),
        pretraining=1,
        measuring=Measuring(
            budgets=(0.1,), steps=(2,), attacked=20, deepfool_rows=5, spectrum_rows=40, rank_of_sums=2, dimensions=(2,)
        ),
    )
    return plain.model_copy(update={"regulariser": regulariser, **changed})


def context(folder: Path) -> RunContext:
    return RunContext(DataSettings(), folder / "run.checkpoint")


def drawn(**how: Any) -> Pictures:
    return pictures_of(toy(), how.get("rows"), how.get("test_rows"), how.get("seed", 0), how.get("coarse"))


def test_rows_are_drawn_by_the_seed_and_the_test_apart() -> None:
    some = drawn(rows=30, test_rows=10, seed=1)
    assert some.training.shape == (30, 1, 4, 4)
    assert some.test.shape == (10, 1, 4, 4)
    assert torch.equal(some.training, drawn(rows=30, test_rows=10, seed=1).training)
    assert not torch.equal(some.training, drawn(rows=30, test_rows=10, seed=2).training)
    assert float(some.training.max()) <= 1
    everything, dataset = drawn(), toy()
    assert torch.equal(everything.test_fine.bincount(), torch.from_numpy(np.bincount(dataset.labels[80:])))
    assert everything.classes == 4


def test_coarse_labels_are_learnt_and_fine_ones_kept() -> None:
    pictures = drawn(coarse=(0, 0, 1, 1))
    assert pictures.classes == 2
    assert torch.equal(pictures.training_labels, pictures.training_fine // 2)
    assert torch.equal(pictures.test_labels, pictures.test_fine // 2)


@pytest.mark.parametrize(
    "regulariser",
    [
        Plain(),
        LowRank(ranks={"head": 4, "block": 4}, reconstruction=0.1, norm=0.1, every=2),
        LowRank(ranks={"head": 4}, sampled_per_rank=None),
        BottleneckLayer(rank=2),
        Nuclear(weight=0.01),
    ],
    ids=lambda regulariser: regulariser.kind,
)
def test_a_run_learns_and_measures_finite_numbers(regulariser: Regulariser, tmp_path: Path) -> None:
    measured = configuration(regulariser).measured_on(drawn(), 0, context(tmp_path))
    assert all(math.isfinite(number) for number in measured.values())
    shares = [value for name, value in measured.items() if name.split()[0] in {"accuracy", "noise", "hybrid"}]
    assert all(0 <= share <= 1 for share in shares)
    assert measured["accuracy"] > 0.5
    assert measured["white box FGSM 0.1"] <= measured["accuracy"] + 0.2
    if isinstance(regulariser, BottleneckLayer):
        assert measured["variance leakage head 2"] == pytest.approx(0, abs=1e-6)


def test_a_run_is_the_same_again(tmp_path: Path) -> None:
    run = configuration(LowRank(ranks={"head": 2}), groups=("ranks", "black box"))
    first, second = (run.measured_on(drawn(), 3, context(tmp_path / name)) for name in "ab")
    assert first == second


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()


def test_penalties_wait_for_the_pretraining_and_begin_at_the_data(tmp_path: Path) -> None:
    """A run that is all pretraining is a plain one, but for what the random start of the layer took."""
    pictures, regulariser = drawn(), LowRank(ranks={"head": 2})
    late = configuration(regulariser, pretraining=12).train(pictures, 0, context(tmp_path / "a"), regulariser)
    plain = configuration(Plain()).train(pictures, 0, context(tmp_path / "b"), Plain())
    assert all(torch.equal(a, b) for a, b in zip(late.network.parameters(), plain.network.parameters(), strict=True))


def test_places_are_where_the_thesis_has_its_layers() -> None:
    parts = residual_network(18, torch.zeros(2, 3, 32, 32), 10)
    assert (parts.dimensions("block"), parts.dimensions("head")) == (16_384, 512)
    assert isinstance(parts.network.get_submodule(parts.last_of_block), torch.nn.Conv2d)
    small = small_network(torch.zeros(2, 1, 8, 8), (3, 4), 6, 5)
    assert (small.dimensions("block"), small.dimensions("head")) == (16, 6)
    penalised = LowRank(ranks={"head": 2, "block": 5}).applied(small)
    layers = [layer for layer in penalised.by_module.values() if isinstance(layer, LowRankLayer)]
    assert [layer.rank for layer in layers] == [2, 5]
    assert layers[1].sampled == 10


def logged(folder: Path, **numbers: list[float]) -> Logs:
    """Logs of the main experiment with one measure, by arm."""
    logs = Logs(folder)
    for arm, values in numbers.items():
        for seed, value in enumerate(values):
            log = RunLog(
                experiment=MAIN.name, arm=arm, seed=seed, digest="", configuration={}, measured={"m": value},
                seconds=0, machine="", versions={}, created="",
            )  # fmt: skip
            logs.write(log)
    return logs


@pytest.mark.parametrize(
    ("less", "more", "by", "holds"),
    [
        ([0.1, 0.2, 0.3], [0.2, 0.3, 0.4], 0.0, True),
        ([0.1, 0.2, 0.3], [0.2, 0.3, 0.4], 0.11, False),
        ([0.1, 0.2, 0.3], [0.9, 0.1, 0.2], 0.0, False),
        ([0.5, 0.5, 0.5], [0.6, 0.6, 0.0], 0.0, False),
        ([0.5, 0.5, 0.5], [0.49, 0.49, 0.49], -0.02, True),
    ],
)
def test_a_claim_holds_in_the_mean_and_with_most_seeds(
    less: list[float], more: list[float], by: float, holds: bool, tmp_path: Path
) -> None:
    logs = logged(tmp_path, a=less, b=more)
    assert above(["m"], "a", ["b"], by=by)(logs).holds == holds
    mirrored = below(["m"], "b", ["a"])(logs).holds
    assert mirrored == (holds if not by else above(["m"], "a", ["b"])(logs).holds)
    assert not both(above(["m"], "a", ["b"]), above(["m"], "b", ["a"]))(logs).holds
    assert "a 0." in above(["m"], "a", ["b"])(logs).measured


def test_experiments_have_names_of_their_own_and_claims_are_of_what_runs_here() -> None:
    assert len({experiment.name for experiment in EXPERIMENTS}) == len(EXPERIMENTS)
    assert {claim.experiment.name for claim in CLAIMS} == {e.name for e in EXPERIMENTS if not e.needs_gpu}
    assert len({claim.claim for claim in CLAIMS}) == len(CLAIMS)
