"""Networks of real numbers: they learn, and as teachers they are trained once and kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_making import picture_dataset, picture_schema, table_dataset, table_schema

from epaas_models import float_network, teacher
from epaas_models.augmentation import Augmentation
from epaas_models.examples import TaskExamples
from epaas_models.float_network import FloatConfiguration, FloatNetwork, logits_of, train_float
from epaas_models.teacher import Teacher, teacher_for

CONVOLUTIONAL = FloatConfiguration(convolutions=((4, 2),), hidden=(8,), epochs=3, batch_size=32, learning_rate=0.02)
DENSE = FloatConfiguration(hidden=(16,), epochs=8, batch_size=32, learning_rate=0.02)
TINY = FloatConfiguration(epochs=1, batch_size=64)
ROWS = np.arange(60)


def pictures(rows: int, seed: int = 0) -> TaskExamples:
    return TaskExamples(picture_dataset(rows, seed), np.arange(rows), picture_schema())


def table(rows: int, seed: int = 0) -> TaskExamples:
    return TaskExamples(table_dataset(rows, seed=seed), np.arange(rows), table_schema(10))


@pytest.mark.parametrize(
    ("learn", "held_out", "configuration"),
    [(pictures(300), pictures(300, 1), CONVOLUTIONAL), (table(500), table(300, 1), DENSE)],
)
def test_it_learns_pictures_and_tables(
    learn: TaskExamples, held_out: TaskExamples, configuration: FloatConfiguration
) -> None:
    steps: list[tuple[int, int]] = []
    network = train_float(learn, 2, configuration, 0, lambda *step: steps.append(step))
    logits = logits_of(network, held_out.inputs)
    assert logits.shape == (300, 2)
    assert float((logits.argmax(axis=1) == held_out.labels).mean()) >= 0.95
    assert [done for done, _ in steps] == list(range(1, steps[0][1] + 1))


def test_the_seed_decides_the_network() -> None:
    learn = pictures(60)
    one, same, other = (logits_of(train_float(learn, 2, TINY, seed), learn.inputs) for seed in (0, 0, 1))
    assert (one == same).all()
    assert (one != other).any()


def test_logits_do_not_depend_on_how_many_are_asked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    learn = table(50)
    network = FloatNetwork(learn.inputs, 3, DENSE).eval()
    whole = logits_of(network, learn.inputs)
    monkeypatch.setattr(float_network, "_BATCH", 7)
    assert logits_of(network, learn.inputs) == pytest.approx(whole, abs=1e-5)
    assert whole.shape == (50, 3)


def test_pictures_are_brought_to_mean_0_and_deviation_1() -> None:
    inputs = np.random.default_rng(0).integers(0, 256, (50, 6, 8), dtype=np.uint8)
    network = FloatNetwork(inputs, 2, FloatConfiguration())
    assert (float(network.mean), float(network.deviation)) == pytest.approx((inputs.mean(), inputs.std()), rel=1e-3)
    bits = FloatNetwork(table(50).inputs, 2, FloatConfiguration())
    assert bits.mean.tolist() == pytest.approx(table(50).bits.mean(axis=0).tolist())
    assert bool((bits.deviation > 0).all())


@dataclass
class Kept:
    """The folder of teachers and how often one was trained."""

    folder: Path
    trained: list[int] = field(default_factory=list)

    def teacher(self, **changes: Any) -> Teacher:
        options: dict[str, Any] = {
            "augmentation": None,
            "data_digest": "0" * 64,
            "rows": ROWS,
            "seed": 0,
            "configuration": TINY,
        }
        options.update(changes)
        return teacher_for(pictures(60), 2, folder=self.folder, progress=lambda *_: None, **options)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    found = Kept(tmp_path)

    def counted(*arguments: Any) -> FloatNetwork:
        found.trained.append(arguments[3])
        return train_float(*arguments)

    monkeypatch.setattr(teacher, "train_float", counted)
    return found


def test_a_kept_teacher_is_not_trained_again(kept: Kept) -> None:
    images = picture_dataset(20, seed=5).columns["image"]
    first, again = kept.teacher(), kept.teacher()
    assert kept.trained == [0]
    assert (logits_of(first.network, images) == logits_of(again.network, images)).all()
    assert not again.network.training


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"rows": ROWS[:50]},
        {"rows": ROWS[::-1]},
        {"data_digest": "1" * 64},
        {"augmentation": Augmentation(shift=1.0)},
        {"configuration": TINY.model_copy(update={"weight_decay": 0.5})},
    ],
    ids=str,
)
def test_another_origin_is_another_teacher(kept: Kept, change: dict[str, Any]) -> None:
    kept.teacher()
    kept.teacher(**change)
    assert len(kept.trained) == 2


def test_an_interrupted_training_leaves_no_teacher(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(teacher, "save_file", interrupted)
        with pytest.raises(KeyboardInterrupt):
            kept.teacher()
    kept.teacher()
    assert kept.trained == [0, 0]


def test_predictions_are_kept_by_variant(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = picture_dataset(30, seed=1).columns["image"], picture_dataset(30, seed=2).columns["image"]
    asked = kept.teacher()
    first, second = asked.logits(0, one), asked.logits(1, other)
    assert (first == logits_of(asked.network, one)).all()
    assert (second == logits_of(asked.network, other)).all()
    monkeypatch.setattr(teacher, "logits_of", lambda *_: pytest.fail("computed again"))
    assert (kept.teacher().logits(0, one) == first).all()
    assert (kept.teacher().logits(1, other) == second).all()


def test_a_teacher_follows_from_its_origin_alone(kept: Kept) -> None:
    """Not from the state of torch's generator."""
    torch.manual_seed(123)
    one = kept.teacher()
    torch.manual_seed(321)
    other = Kept(kept.folder / "elsewhere").teacher()
    states = one.network.state_dict(), other.network.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_teacher_of_bits_belongs_to_their_encoding(kept: Kept) -> None:
    """Of the same rows in another encoding it would be the wrong network, silently where the widths are the same."""
    rows = {"data_digest": "0" * 64, "rows": ROWS, "seed": 0, "augmentation": None}
    schemas = [table_schema(10), table_schema(10).model_copy(update={"version": 2})]
    for schema in (*schemas, schemas[0]):
        examples = TaskExamples(table_dataset(60), ROWS, schema)
        teacher_for(examples, 2, TINY, folder=kept.folder, progress=lambda *_: None, **rows)
    assert len(kept.trained) == 2
