"""Norms and ranks of a layer's weights, by full singular value decomposition. Knows no rows and no torch.

They are of the integers that a server evaluates, not of the real weights that were trained. A training that constrains
norms only by power iteration need not have reached what it aimed at, which is why nothing is approximated here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from epaas_shared.layers import Layer


@dataclass(frozen=True)
class Spectrum:
    """What the complexity measures want to know of one weight matrix W (neurons or filters, inputs)."""

    singular_values: NDArray[np.float64]
    """All of them, greatest first, shape (min(neurons, inputs),)."""
    frobenius: float
    """||W||_F, thesis Equation (A.3)."""
    two_one: float
    """||W^T||_{2,1}, the sum over neurons of the Euclidean norm of their weights (Equation (A.4), Bartlett et al.)."""
    longer_side: int

    @property
    def spectral_norm(self) -> float:
        """||W||_2, the greatest singular value."""
        return float(self.singular_values[0])

    @property
    def stable_rank(self) -> float:
        """||W||_F^2 / ||W||_2^2 (Definition 18), at least 1 and at most the rank; 0 if all weights are."""
        return (self.frobenius / self.spectral_norm) ** 2 if self.spectral_norm else 0.0

    @property
    def rank(self) -> int:
        """Singular values above what rounding leaves of a zero, as numpy.linalg.matrix_rank tells them."""
        least = self.spectral_norm * self.longer_side * np.finfo(np.float64).eps
        return int((self.singular_values > least).sum())


def spectrum(weights: NDArray[np.float64]) -> Spectrum:
    """Of a matrix (neurons, inputs), neither of which is 0."""
    return Spectrum(
        singular_values=np.linalg.svd(weights, compute_uv=False),
        frobenius=float(np.linalg.norm(weights)),
        two_one=float(np.linalg.norm(weights, axis=1).sum()),
        longer_side=max(weights.shape),
    )


def weight_matrix(layer: Layer) -> NDArray[np.float64]:
    """The weights as a matrix, (outputs, inputs) of a dense layer, (filters, channels * height * width) of filters.

    Filters are flattened as in the thesis (4.4) and in spectral normalisation. The norm of that matrix is not the
    operator norm of the convolution, in which a pixel is seen by several windows; it may be smaller or larger.
    """
    matrix: NDArray[np.float64] = layer.weights.reshape(len(layer.weights), -1).astype(np.float64)
    return matrix
