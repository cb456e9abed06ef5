"""What networks learn from, epoch by epoch: rows of a data set, changed if the task's images may be, and encoded.

A teacher sees the same changed image that its pupil sees as bits. Knows no training.
"""

from __future__ import annotations

from copy import copy
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from epaas_models.augmentation import Augmentation, augment
from epaas_models.datasets import Dataset
from epaas_models.objective import Examples
from epaas_models.teacher import Teacher
from epaas_shared.features import Bits, ImageFeature
from epaas_shared.schema import InputSchema

COPIES = 12
"""Differently changed copies of the images; epochs beyond them see the same ones again, so that a teacher can rest."""


class TaskExamples:
    """Some rows of a data set as bits for a binary network and as inputs for a network of real numbers.

    Those inputs are grey levels (rows, height, width) for an image task, else the bits.
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: NDArray[np.int64],
        schema: InputSchema,
        *,
        augmentation: Augmentation | None = None,
        seed: int = 0,
    ) -> None:
        self.labels = dataset.labels[rows]
        self._columns = {feature.name: dataset.columns[feature.name][rows] for feature in schema.features}
        self._schema, self._augmentation, self._seed = schema, augmentation, seed
        self._teacher: Teacher | None = None
        feature = schema.features[0]
        self._image = feature.name if len(schema.features) == 1 and isinstance(feature, ImageFeature) else None
        self._bits = schema.encode_columns(self._columns)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def bits(self) -> Bits:
        """The rows as they are, (rows, inputs)."""
        return self._bits

    @property
    def encoding(self) -> str | None:
        """Digest of the schema if :attr:`inputs` are its bits; None if they are pictures, whatever the schema."""
        return self._schema.digest if self._image is None else None

    @property
    def inputs(self) -> NDArray[np.generic]:
        """The rows as they are, for a network of real numbers."""
        return self._bits if self._image is None else self._columns[self._image]

    def taught_by(self, teacher: Teacher) -> Self:
        """The same examples with what a teacher says of them."""
        taught = copy(self)
        taught._teacher = teacher
        return taught

    def epoch(self, number: int) -> Examples:
        """The examples of an epoch, for a binary network."""
        inputs = self.epoch_inputs(number)
        variant = number % COPIES if self._augmentation else 0
        taught = self._teacher.logits(variant, inputs) if self._teacher else None
        bits = self._bits if inputs is self.inputs else self._schema.encode_columns({self._image_name: inputs})
        return Examples(bits, self.labels, taught)

    def epoch_inputs(self, number: int) -> NDArray[Any]:
        """The examples of an epoch, for a network of real numbers."""
        if self._augmentation is None or self._image is None:
            return self.inputs
        generator = torch.Generator().manual_seed(self._seed * COPIES + number % COPIES)
        return augment(self._columns[self._image], self._augmentation, generator)

    @property
    def _image_name(self) -> str:
        assert self._image is not None
        return self._image
