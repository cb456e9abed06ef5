"""Examples of an epoch: the pupil's bits are those of the very pictures that its teacher sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from training_making import picture_dataset, picture_schema, table_dataset, table_schema

from epaas_models.augmentation import Augmentation, augment
from epaas_models.examples import COPIES, TaskExamples
from epaas_models.float_network import FloatConfiguration, FloatNetwork
from epaas_models.teacher import Teacher

AUGMENTATION = Augmentation(shift=1.5, rotation=0.2)
ROWS = np.array([7, 3, 11, 0, 5])
SCHEMA = picture_schema()


class Recorder(Teacher):
    """Says the sum of the grey levels, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(FloatNetwork(np.zeros((1, 4)), 2, FloatConfiguration()), Path())
        object.__setattr__(self, "asked", [])

    def logits(self, variant: int, inputs: NDArray[Any]) -> NDArray[np.float32]:
        asked: list[tuple[int, NDArray[Any]]] = vars(self)["asked"]
        asked.append((variant, inputs))
        return inputs.reshape(len(inputs), -1).sum(axis=1, keepdims=True).astype(np.float32)


def pictures(augmentation: Augmentation | None = AUGMENTATION, seed: int = 0) -> TaskExamples:
    return TaskExamples(picture_dataset(12), ROWS, SCHEMA, augmentation=augmentation, seed=seed)


def test_the_rows_are_those_that_were_asked_for() -> None:
    dataset, examples = picture_dataset(12), pictures()
    assert len(examples) == 5
    assert (examples.labels == dataset.labels[ROWS]).all()
    assert (examples.inputs == dataset.columns["image"][ROWS]).all()
    assert (examples.bits == SCHEMA.encode_columns(dataset.columns)[ROWS]).all()


@pytest.mark.parametrize("number", [0, 1, COPIES + 3])
def test_the_bits_of_an_epoch_are_those_of_its_changed_pictures(number: int) -> None:
    examples = pictures()
    images = examples.epoch_inputs(number)
    assert (images != examples.inputs).any()
    generator = torch.Generator().manual_seed(number % COPIES)
    assert (images == augment(picture_dataset(12).columns["image"][ROWS], AUGMENTATION, generator)).all()
    epoch = examples.epoch(number)
    assert (epoch.bits == SCHEMA.encode_columns({"image": images})).all()
    assert (epoch.labels == examples.labels).all()
    assert epoch.teacher is None


def test_copies_come_round_again_and_follow_the_seed() -> None:
    copies = [pictures().epoch_inputs(number) for number in range(COPIES + 1)]
    assert (copies[COPIES] == copies[0]).all()
    assert all((copies[0] != copy).any() for copy in copies[1:COPIES])
    others = [pictures(seed=1).epoch_inputs(number) for number in range(COPIES)]
    assert all((one != other).any() for one in copies for other in others)


def test_without_augmentation_every_epoch_is_the_rows_as_they_are() -> None:
    examples = pictures(None)
    assert (examples.epoch(0).bits == examples.bits).all()
    assert (examples.epoch_inputs(5) == examples.inputs).all()


def test_a_table_is_its_bits() -> None:
    dataset = table_dataset(20)
    schema = table_schema(10)
    examples = TaskExamples(dataset, np.arange(20), schema)
    assert (examples.inputs == schema.encode_columns(dataset.columns)).all()
    assert (examples.epoch(3).bits == examples.inputs).all()


@pytest.mark.parametrize("augmentation", [None, AUGMENTATION])
def test_the_teacher_sees_the_pictures_that_the_pupil_sees(augmentation: Augmentation | None) -> None:
    teacher, plain = Recorder(), pictures(augmentation)
    taught = plain.taught_by(teacher)
    for number in (0, 1, COPIES + 1):
        epoch = taught.epoch(number)
        variant, inputs = vars(teacher)["asked"].pop()
        assert variant == (number % COPIES if augmentation else 0)
        assert (SCHEMA.encode_columns({"image": inputs}) == epoch.bits).all()
        assert epoch.teacher is not None
        assert epoch.teacher[:, 0].tolist() == inputs.sum(axis=(1, 2)).tolist()
    assert plain.epoch(0).teacher is None
