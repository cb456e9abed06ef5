"""Compression of representations, and of the weights that read them, by a low-rank affine map (thesis 6.4.5)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from epaas_models.low_rank.layer import LowRankLayer


@dataclass(frozen=True)
class AffineSubspace:
    """Points ``centre`` + ``basis`` c: what representations of m numbers are squeezed into as c of r numbers."""

    basis: Tensor
    """Orthonormal columns, (m, r)."""
    centre: Tensor
    """Shape (m,)."""

    def encode(self, representations: Tensor) -> Tensor:
        """(n, m) to the (n, r) numbers to keep."""
        return (representations - self.centre) @ self.basis

    def decode(self, codes: Tensor) -> Tensor:
        """(n, r) to the (n, m) of least squared distance to what was encoded."""
        return codes @ self.basis.T + self.centre

    def folded_into(self, head: nn.Linear) -> nn.Sequential:
        """Two layers, m to r to k, for ``head`` (m to k): the same outputs on the subspace.

        The first encodes, the second is the head with the decoding folded into its weights. They have r (m + k + 1) + k
        parameters in place of (m + 1) k: fewer only where r is well below both.
        """
        dimensions, rank = self.basis.shape
        encoder = nn.Linear(dimensions, rank, dtype=self.basis.dtype)
        reader = nn.Linear(rank, head.out_features, dtype=self.basis.dtype)
        with torch.no_grad():
            encoder.weight.copy_(self.basis.T)
            encoder.bias.copy_(-self.centre @ self.basis)
            reader.weight.copy_(head.weight @ self.basis)
            reader.bias.copy_(head(self.centre))
        return nn.Sequential(encoder, reader)


@torch.no_grad()
def principal_subspace(representations: Tensor, rank: int) -> AffineSubspace:
    """The subspace of that ``rank`` nearest to representations (n, m); ``rank`` of at most n and m."""
    centre = representations.mean(dim=0)
    _, _, directions = torch.linalg.svd(representations - centre, full_matrices=False)
    return AffineSubspace(directions[:rank].T, centre)


@torch.no_grad()
def subspace_of(layer: LowRankLayer) -> AffineSubspace:
    """The subspace into which a low-rank layer drew activations: the range of its W, moved by -b."""
    _, vectors = torch.linalg.eigh(layer.weight)
    return AffineSubspace(vectors[:, -layer.rank :], -layer.bias.detach())
