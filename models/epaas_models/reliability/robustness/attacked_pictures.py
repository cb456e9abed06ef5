"""Pictures under attack, and the judge of every attack: the whole way of a record, never the twin of gradients.

Knows neither attacks nor their libraries.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from epaas_models.reliability.straight_through import levels_of, pictures_of
from epaas_models.reliability.subject import Columns, Subject
from epaas_shared.features import WHITE, ImageFeature


@dataclass(frozen=True)
class AttackedPictures:
    """Rows with their true classes. ``levels`` (n, height, width), 0 to 255, in double; ``labels`` (n,)."""

    subject: Subject
    levels: NDArray[np.float64]
    labels: NDArray[np.int64]

    @classmethod
    def sample(
        cls, subject: Subject, columns: Columns, labels: NDArray[Any], rows: int, random: np.random.Generator
    ) -> AttackedPictures:
        """At most ``rows`` rows, drawn without replacement, in random order."""
        chosen = random.permutation(len(labels))[:rows]
        levels = columns[picture_feature(subject).name][chosen].astype(np.float64)
        return cls(subject, levels, labels[chosen].astype(np.int64))

    def first(self, rows: int) -> AttackedPictures:
        return AttackedPictures(self.subject, self.levels[:rows], self.labels[:rows])

    def only(self, chosen: NDArray[np.bool_]) -> AttackedPictures:
        return AttackedPictures(self.subject, self.levels[chosen], self.labels[chosen])

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def pictures(self) -> Tensor:
        """For attacks: (n, 1, height, width), 0 (black) to 1 (white)."""
        return pictures_of(self.levels)

    @cached_property
    def clean(self) -> NDArray[np.int64]:
        """What is predicted of the rows as they are, (n,)."""
        return self.predicted(self.levels)

    def predicted(self, levels: NDArray[np.float64]) -> NDArray[np.int64]:
        return self.subject.predict_columns({picture_feature(self.subject).name: levels})

    def judged(self, attacked: Tensor, budget: float) -> NDArray[np.int64]:
        """Predictions (n,) of attacked pictures, brought into the ball around the rows whatever an attack returns."""
        return self.predicted(self.within(attacked, budget))

    def within(self, attacked: Tensor, budget: float) -> NDArray[np.float64]:
        """Grey levels of attacked pictures, from black to white and within ``budget`` (a share of that range)."""
        reach = budget * WHITE
        levels: NDArray[np.float64] = np.clip(
            np.clip(levels_of(attacked), self.levels - reach, self.levels + reach), 0, WHITE
        )
        return levels


def picture_feature(subject: Subject) -> ImageFeature:
    """The only column of a task of pictures."""
    (feature,) = subject.schema.features
    assert isinstance(feature, ImageFeature)
    return feature
