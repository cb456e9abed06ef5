"""What networks of this chapter learn from: pictures, or articles as numbers of their words. Knows no networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from epaas_models.datasets import Dataset, DataSettings, newsgroups
from epaas_models.datasets.text import Vocabulary, words_of
from epaas_models.experiments.picture_data import load_pictures

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Examples:
    """Inputs (rows, ...) and class indices (rows,) to train on, to fit temperatures with, and to test with."""

    training: Tensor
    training_labels: Tensor
    validation: Tensor
    validation_labels: Tensor
    test: Tensor
    test_labels: Tensor
    classes: int
    words: int = 0
    """How many numbers of words there are, where inputs are texts."""


class Source(BaseModel, ABC):
    """Random rows of a data set: of the published training part for training and validation, of the test part."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    training: int | None = Field(default=None, ge=2)
    """How many rows; None for all that validation leaves."""
    validation: int = Field(default=5000, ge=1)
    test: int | None = Field(default=None, ge=1)

    def examples(self, settings: DataSettings, seed: int) -> Examples:
        """The rows that follow from the seed: arms that are run with one seed have the same."""
        return _examples(self, seed, settings.data_dir, settings.data_cache_dir)

    @abstractmethod
    def load(self, settings: DataSettings) -> Dataset: ...

    @abstractmethod
    def inputs(self, dataset: Dataset, parts: tuple[Rows, Rows, Rows]) -> tuple[list[Tensor], int]:
        """Inputs of training, validation and test rows, made with what training rows alone tell; number of words."""


class Pictures(Source):
    """(rows, channels, height, width), of mean 0 and deviation 1 in each channel over training rows."""

    kind: Literal["pictures"] = "pictures"
    name: Literal["mnist", "cifar10-jpeg75", "cifar10", "cifar100", "tiny-imagenet"]

    def load(self, settings: DataSettings) -> Dataset:
        return load_pictures(self.name, settings)

    def inputs(self, dataset: Dataset, parts: tuple[Rows, Rows, Rows]) -> tuple[list[Tensor], int]:
        images = dataset.columns["image"]
        images = images if images.ndim == 4 else images[..., None]
        levels = [torch.from_numpy(images[rows]).permute(0, 3, 1, 2).float() for rows in parts]
        deviation, mean = torch.std_mean(levels[0], dim=(0, 2, 3), keepdim=True)
        return [(part - mean) / deviation for part in levels], 0


class Articles(Source):
    """20 Newsgroups by date, as numbers of the commonest words of the training rows, int64 (rows, length)."""

    kind: Literal["articles"] = "articles"
    vocabulary: int = Field(default=20_000, ge=1)
    length: int = Field(default=1000, ge=1)

    def load(self, settings: DataSettings) -> Dataset:
        return newsgroups.load(settings, _silent)

    def inputs(self, dataset: Dataset, parts: tuple[Rows, Rows, Rows]) -> tuple[list[Tensor], int]:
        texts = [[words_of(dataset.columns["text"][row]) for row in rows] for rows in parts]
        vocabulary = Vocabulary.learnt(texts[0], self.vocabulary)
        return [torch.from_numpy(vocabulary.sequences(part, self.length)) for part in texts], len(vocabulary)


SourceConfiguration: TypeAlias = Annotated[Pictures | Articles, Field(discriminator="kind")]


@lru_cache(maxsize=1)  # arms of a seed are run one after another, and reading takes as long as training
def _examples(source: Source, seed: int, data_dir: Path | None, cache: Path) -> Examples:
    dataset = source.load(DataSettings(data_dir=data_dir, data_cache_dir=cache))
    assert dataset.published_test is not None
    random, first_test = np.random.default_rng(seed), len(dataset) - dataset.published_test
    order = random.permutation(first_test)
    validation, rest = order[: source.validation], order[source.validation :]
    test = first_test + random.permutation(dataset.published_test)[: source.test]
    parts = rest[: source.training], validation, test
    (training, held_out, tested), words = source.inputs(dataset, parts)
    labels = torch.from_numpy(dataset.labels)
    return Examples(
        training,
        labels[parts[0]],
        held_out,
        labels[parts[1]],
        tested,
        labels[parts[2]],
        classes=len(dataset.classes),
        words=words,
    )


def _silent(_what: str, _done: int, _of: int) -> None: ...
