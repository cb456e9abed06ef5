"""How much logits move when a record does: under noise, between records, and by the slopes of the twin.

Distances are Euclidean, of bits on the one side and of logits in the subject's units on the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from epaas_models.reliability.generalisation.complexity import ROWS_AT_ONCE
from epaas_models.reliability.straight_through import Twin
from epaas_models.reliability.subject import Columns, Subject
from epaas_shared.features import WHITE, Bits, ImageFeature
from epaas_shared.schema import InputSchema

DRAWS = 5
"""How often noise is drawn a row."""


def noisy(columns: Columns, schema: InputSchema, share: float, random: np.random.Generator) -> Columns:
    """The records with a ``share`` (0 to 1) of noise, as values that the schema takes.

    A picture gets Gaussian noise on every pixel, whose standard deviation is that share of the range from black to
    white, cut off at both. Any other value is replaced, with that probability, by the same column's of another row:
    what a column holds stays plausible, what goes with what does not.
    """
    changed = {}
    for feature in schema.features:
        column = columns[feature.name]
        if isinstance(feature, ImageFeature):
            changed[feature.name] = np.clip(column + random.normal(0, share * WHITE, column.shape), 0, WHITE)
        else:
            rows = len(column)
            others = (np.arange(rows) + random.integers(1, max(2, rows), rows)) % rows
            changed[feature.name] = np.where(random.random(rows) < share, column[others], column)
    return changed


def noise_response(
    subject: Subject, columns: Columns, share: float, random: np.random.Generator, draws: int = DRAWS
) -> tuple[float, float]:
    """Noise sensitivity of the logits, and the share of predictions that flip, under a ``share`` of noise.

    The first is thesis Equation (4.6), E ||f(x + noise) - f(x)||^2 / ||f(x)||^2, as the ratio of two means over rows
    instead of the greatest ratio of any row: that one is of the record whose logits happen to be nearest to zero.
    """
    logits = subject.logits(subject.schema.encode_columns(columns))
    moved, flipped = [], []
    for _ in range(draws):
        found = subject.logits(subject.schema.encode_columns(noisy(columns, subject.schema, share, random)))
        moved.append(((found - logits) ** 2).sum(axis=1).mean())
        flipped.append(np.mean(found.argmax(axis=1) != logits.argmax(axis=1)))
    return float(np.mean(moved) / (logits**2).sum(axis=1).mean()), float(np.mean(flipped))


def empirical_lipschitz(inputs: NDArray[Any], logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """||f(x) - f(y)|| / ||x - y|| of all pairs of different rows (thesis Equation (4.1) on data), at most n(n-1)/2.

    ``inputs`` of shape (n, inputs) and their ``logits`` (n, classes).
    """
    apart = pdist(inputs.astype(np.float64))
    different = apart > 0
    found: NDArray[np.float64] = pdist(logits)[different] / apart[different]
    return found


def jacobians(twin: Twin, bits: Bits) -> torch.Tensor:
    """d logits / d bits by the twin's slopes, rows (n, inputs) to (n, classes, inputs)."""
    inputs = torch.from_numpy(bits).float().requires_grad_()
    logits = twin(inputs)
    # One pass a class, since the vectorised way needs more of a custom backward pass than it is worth.
    by_class = [torch.autograd.grad(column.sum(), inputs, retain_graph=True)[0] for column in logits.unbind(dim=1)]
    return torch.stack(by_class, dim=1)


def local_lipschitz(
    twin: Twin, bits: Bits, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> NDArray[np.float64]:
    """Spectral norm of the Jacobian of each row, (n, inputs) to (n,) (thesis Equation (4.3) with p = q = 2)."""
    found = []
    for start in range(0, len(bits), ROWS_AT_ONCE):
        progress(start, len(bits))
        found.append(torch.linalg.matrix_norm(jacobians(twin, bits[start : start + ROWS_AT_ONCE]), ord=2))
    norms: NDArray[np.float64] = torch.cat(found).double().numpy()
    return norms
