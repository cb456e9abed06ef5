"""Wrong labels, put in on purpose: the two kinds of label noise of thesis 5.2.1, with what was done to which row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class NoisyLabels:
    """``labels`` (rows,) after the noise, ``drawn`` (rows,) those it was put on, ``wrong`` (rows,) those it changed."""

    labels: NDArray[np.int64]
    drawn: NDArray[np.bool_]
    wrong: NDArray[np.bool_]


def flip(labels: NDArray[np.int64], rate: float, classes: int, seed: int) -> NoisyLabels:
    """A share ``rate`` of the rows, rounded to whole rows, each get one of the other classes, all alike likely.

    With two classes that is the flip of toy-MNIST. Raises ValueError for a rate outside [0, 1] or fewer than 2 classes.
    """
    random, drawn = _drawn(labels, rate, classes, seed)
    moved = (labels + random.integers(1, classes, len(labels))) % classes
    return _noisy(labels, moved, drawn)


def randomise(labels: NDArray[np.int64], rate: float, classes: int, seed: int) -> NoisyLabels:
    """A share ``rate`` of the rows each get any class, all alike likely: one in ``classes`` stays right.

    The noise on MNIST and CIFAR-10 in 5.2. Raises as :func:`flip`.
    """
    random, drawn = _drawn(labels, rate, classes, seed)
    return _noisy(labels, random.integers(0, classes, len(labels)), drawn)


def _drawn(
    labels: NDArray[np.int64], rate: float, classes: int, seed: int
) -> tuple[np.random.Generator, NDArray[np.bool_]]:
    if not 0 <= rate <= 1 or classes < 2:
        raise ValueError(f"no noise of rate {rate} among {classes} classes")
    random = np.random.default_rng(seed)
    drawn = np.zeros(len(labels), dtype=np.bool_)
    drawn[random.permutation(len(labels))[: round(rate * len(labels))]] = True
    return random, drawn


def _noisy(labels: NDArray[np.int64], moved: NDArray[np.int64], drawn: NDArray[np.bool_]) -> NoisyLabels:
    noisy = np.where(drawn, moved, labels)
    return NoisyLabels(noisy, drawn, noisy != labels)
