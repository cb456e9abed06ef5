"""Toy-MNIST (thesis 5.2.1): two pictures, a 0 and a 1, again and again under Gaussian noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def toy_mnist(
    pictures: NDArray[np.float32], rows: int, variance: float, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Rows (rows, pixels) and their classes (rows,), 0 or 1, each as likely.

    ``pictures`` (2, pixels) from 0 to 1 are the 0 and the 1; ``variance`` is that of the noise of each pixel. Noisy
    pixels are not brought back into [0, 1]: the thesis adds noise and no more.
    """
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, rows)
    noise = np.sqrt(variance) * random.standard_normal((rows, pictures.shape[1]))
    return (pictures[labels] + noise).astype(np.float32), labels
