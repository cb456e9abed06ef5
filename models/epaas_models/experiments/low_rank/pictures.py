"""Pictures of an experiment: training and test rows of a data set as tensors. Knows no networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from epaas_models.datasets import Dataset
from epaas_models.experiments.picture_data import as_levels


@dataclass(frozen=True)
class Pictures:
    """Levels from 0 to 1, (n, channels, height, width), and two kinds of labels, (n,), which may be the same."""

    training: Tensor
    training_labels: Tensor
    """What the network learns."""
    training_fine: Tensor
    test: Tensor
    test_labels: Tensor
    test_fine: Tensor

    @property
    def classes(self) -> int:
        return int(self.training_labels.max()) + 1


def pictures_of(
    dataset: Dataset, rows: int | None, test_rows: int | None, seed: int, coarse: Sequence[int] | None = None
) -> Pictures:
    """Random ``rows`` for training and ``test_rows`` of the published test set, all of them if None.

    ``coarse`` gives the label to learn in place of each class of the data set.
    """
    assert dataset.published_test is not None
    random = np.random.default_rng(seed)
    first_test = len(dataset) - dataset.published_test
    chosen = random.permutation(first_test)[:rows]
    tested = first_test + random.permutation(dataset.published_test)[:test_rows]
    images = dataset.columns["image"]
    fine = torch.from_numpy(dataset.labels)
    learnt = fine if coarse is None else torch.tensor(coarse)[fine]
    training, test = as_levels(images[chosen]), as_levels(images[tested])
    return Pictures(training, learnt[chosen], fine[chosen], test, learnt[tested], fine[tested])
