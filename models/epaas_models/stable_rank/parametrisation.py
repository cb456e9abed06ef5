"""Weights whose spectrum is normalised at every forward pass while a network trains (thesis Algorithm 5).

The parameter that the optimiser moves is free; what the layer computes with is made of it, by one power iteration a
pass (Miyato et al. 2018). Works on any parameter with at least two axes: latent weights of binary networks too. Knows
no data and no training. Save and load such a network by its ``state_dict``; a pickle does not hold it.

Three things follow from the method and are measured rather than mended here. Singular vectors are constants in the
backward pass, so that the gradient leaves out how they turn with the weights. In training they lag behind the weights,
so that norm and stable rank are only nearly what was asked for: call :func:`settle` before measuring or exporting. And
the flattened kernel is not the operator of a convolution, nor does a layer keep its norm if batch normalisation
rescales its outputs: what is bounded is the weights, not the network's Lipschitz constant.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from epaas_models.stable_rank.spectral import power_iteration, power_step

_LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class NormalisedSpectrum(nn.Module):
    """A parametrisation: the weight divided by its spectral norm, its other singular values cut down together where
    its stable rank is above ``stable_rank``.

    The matrix is the weight with ``axis`` as its rows, everything else flattened into columns. ``left``, (rows,), and
    ``right``, (columns,), are its first singular vectors, as far as they are known.
    """

    left: Tensor
    right: Tensor

    def __init__(
        self, weight: Tensor, stable_rank: float | None, spectral_norm: float | None, axis: int, iterations: int
    ) -> None:
        super().__init__()
        self.stable_rank = stable_rank
        self.spectral_norm = spectral_norm
        self.axis = axis
        self.iterations = iterations
        rows, columns = self._matrix(weight).shape
        self.register_buffer("left", weight.new_zeros(rows))
        self.register_buffer("right", weight.new_zeros(columns))

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.axis, 0).flatten(1)

    @torch.no_grad()
    def right_inverse(self, weight: Tensor) -> Tensor:
        """The free parameter is the weight itself; its singular vectors are found anew, to full precision."""
        if not torch.isfinite(weight).all() or not weight.any():
            raise ValueError("weights that are all zero, or not finite, have no spectrum to normalise")
        self._remember(*power_iteration(self._matrix(weight)))
        return weight

    @torch.no_grad()
    def settle(self, weight: Tensor) -> None:
        """Go on from the vectors that are known until they are exact for this free parameter."""
        self._remember(*power_iteration(self._matrix(weight), self.right))

    def _remember(self, left: Tensor, right: Tensor) -> None:
        self.left.copy_(left)
        self.right.copy_(right)

    @torch.no_grad()
    def _follow(self, matrix: Tensor) -> None:
        for _ in range(self.iterations):
            self._remember(*power_step(matrix, self.right))

    def forward(self, weight: Tensor) -> Tensor:
        """The normalised weight, of the same shape. In training mode the vectors follow the weight first."""
        matrix = self._matrix(weight)
        if self.training:
            self._follow(matrix)
        # Copies, since a second pass before a backward one moves the buffers in place.
        left, right = self.left.clone(), self.right.clone()
        norm = left @ matrix @ right
        made = matrix / norm
        if self.stable_rank is not None:
            top = torch.outer(left, right)
            rest = made - top
            most = (self.stable_rank - 1) ** 0.5
            # No less than what is allowed, so that a rest within it is left alone; never 0, which a rank of 1 allows.
            over = torch.linalg.vector_norm(rest).clamp(min=max(most, torch.finfo(rest.dtype).tiny))
            made = top + rest * (most / over)
        made = made * (norm if self.spectral_norm is None else self.spectral_norm)
        return made.reshape(weight.movedim(self.axis, 0).shape).movedim(0, self.axis)

    def extra_repr(self) -> str:
        return f"stable_rank={self.stable_rank}, spectral_norm={self.spectral_norm}, axis={self.axis}"


def register(
    module: nn.Module,
    name: str,
    stable_rank_share: float | None,
    *,
    spectral_norm: float | None = 1.0,
    axis: int = 0,
    iterations: int = 1,
) -> None:
    """Normalise the parameter ``name`` of a module, of at least two axes, from now on (Algorithm 5).

    ``stable_rank_share`` is c in (0, 1]: of a matrix (m, n) the stable rank is at most ``c * min(m, n)``, but never
    asked to be below 1. None, or 1, is spectral normalisation alone. ``spectral_norm`` is the norm that is given to the
    weights; None leaves them theirs, for layers whose scale means something (latent weights with thresholds).
    ``iterations`` of the power method are made a pass in training. An optimiser made before goes on moving the same
    parameter, which is now ``module.parametrizations[name].original``: weights are clipped there.

    Raises ValueError for a share outside (0, 1], where nothing would be normalised, and for weights that are all zero.
    """
    if stable_rank_share is not None and not 0 < stable_rank_share <= 1:
        raise ValueError("the share of the greatest stable rank is above 0 and at most 1")
    stable_rank = None
    weight = getattr(module, name)
    if stable_rank_share is not None and stable_rank_share < 1:
        rows = weight.shape[axis]
        stable_rank = max(1.0, stable_rank_share * min(rows, weight.numel() // rows))
    if stable_rank is None and spectral_norm is None:
        raise ValueError("neither the spectral norm nor the stable rank would be normalised")
    if spectral_norm is not None and spectral_norm <= 0:
        raise ValueError("a spectral norm is positive")
    parametrisation = NormalisedSpectrum(weight, stable_rank, spectral_norm, axis, iterations)
    parametrize.register_parametrization(module, name, parametrisation)


def normalise_spectra(
    module: nn.Module,
    stable_rank_share: float | None,
    *,
    spectral_norm: float | None = 1.0,
    iterations: int = 1,
) -> nn.Module:
    """:func:`register` for the weight of every linear and convolution layer in a module, which is returned.

    A kernel is flattened to (outputs, the rest), thesis Remark 3; that of a transposed convolution too.
    """
    for layer in list(module.modules()):
        if isinstance(layer, _LINEAR + _TRANSPOSED):
            axis = 1 if isinstance(layer, _TRANSPOSED) else 0
            register(layer, "weight", stable_rank_share, spectral_norm=spectral_norm, axis=axis, iterations=iterations)
    return module


@torch.no_grad()
def settle(module: nn.Module) -> None:
    """Make the singular vectors of all normalised weights in a module exact for what they are now."""
    for parametrisation, original in _normalised(module):
        parametrisation.settle(original)


def _normalised(module: nn.Module) -> Iterator[tuple[NormalisedSpectrum, Tensor]]:
    for owner in module.modules():
        if isinstance(owner, parametrize.ParametrizationList):
            for parametrisation in owner:
                if isinstance(parametrisation, NormalisedSpectrum):
                    yield parametrisation, owner.original
