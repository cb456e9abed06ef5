"""The low-rank layer (LR layer, thesis 6.3, Algorithm 6): a penalty that draws activations into few dimensions.

The layer is virtual: its W and b take part in the loss and in nothing else, so that a network predicts without them.
Only W has its rank cut, which works on mini-batches because W is one for all data. Knows no network and no optimiser.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from epaas_models.low_rank.nystrom import best_factor, ensembled_nystrom_factor, truncated
from epaas_models.low_rank.penalised import ActivationPenalty


class LowRankLayer(ActivationPenalty):
    """Auxiliary parameters W (m, m) of bounded rank and b (m,), which are to map activations a to W (a + b) = a + b.

    ``stored`` is the thesis's W_s, to which gradients go; W is its symmetric part (6.3.2). At first W projects onto a
    random subspace and b is 0; the thesis does not say where it begins.
    """

    steps: Tensor

    def __init__(
        self,
        dimensions: int,
        rank: int,
        *,
        reconstruction: float = 1.0,
        norm: float = 1.0,
        every: int = 10,
        sampled: int | None = None,
        runs: int = 2,
    ) -> None:
        """For activations of so many ``dimensions``, at least ``rank``.

        ``reconstruction`` and ``norm`` are lambda_1 and lambda_2 of Equation (6.2). The rank is cut ``every`` so many
        steps, by ``runs`` ensembled Nyström approximations of ``sampled`` columns each (the thesis's l; it sets twice
        the rank), or exactly if ``sampled`` is None.
        """
        super().__init__()
        if not 1 <= rank <= dimensions:
            raise ValueError(f"a rank from 1 to {dimensions}, not {rank}")
        self.rank = rank
        self.reconstruction = reconstruction
        self.norm = norm
        self.every = every
        self.sampled = sampled
        self.runs = runs
        basis = torch.linalg.qr(torch.randn(dimensions, rank)).Q
        self.stored = nn.Parameter(basis @ basis.T)
        self.bias = nn.Parameter(torch.zeros(dimensions))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def begin_at(self, activations: Tensor) -> None:
        """W becomes the projection onto the principal subspace of activations (n, m), b their mean times -1.

        For a network that learnt without the penalty at first, as the thesis's do: activations that have next to
        nothing to do with W cost far more than all there is to learn.
        """
        mean = activations.mean(dim=0)
        moved = activations - mean
        if len(moved) < moved.shape[1]:  # m may be so great that no covariance can be decomposed
            basis = torch.linalg.svd(moved, full_matrices=False).Vh[: self.rank].T
        else:
            basis = best_factor(moved.T @ moved, self.rank)
            basis = basis / basis.norm(dim=0).clamp(min=torch.finfo(basis.dtype).tiny)
        self.stored.copy_(basis @ basis.T)
        self.bias.copy_(-mean)

    @property
    def weight(self) -> Tensor:
        """W, symmetric, (m, m)."""
        return (self.stored + self.stored.T) / 2

    def penalty(self, activations: Tensor) -> Tensor:
        """lambda_1 L_c + lambda_2 L_n (Equation (6.2)) of activations (n, m): what is added to the training loss.

        L_n wants activations of norm 1. Where normalisation gives every unit a variance of 1, give it activations over
        the root of m.
        """
        return self.reconstruction * self.reconstruction_loss(activations) + self.norm * norm_loss(activations)

    def reconstruction_loss(self, activations: Tensor) -> Tensor:
        """L_c: the mean over rows of ||W^T (a + b) - (a + b)||^2."""
        moved = activations + self.bias
        return (moved @ self.weight - moved).square().sum(dim=1).mean()

    def after_step(self) -> None:
        """To be called after each step of the optimiser: cuts the rank of W where it is time to."""
        self.steps += 1
        if int(self.steps) % self.every == 0:
            self.cut()

    @torch.no_grad()
    def cut(self) -> None:
        """W to a symmetric positive semidefinite matrix of at most its rank.

        A mean of several Nyström approximations has several times the rank; the thesis passes over it, here it is
        truncated, so that the bound on the rank holds.
        """
        if self.sampled is None:
            factor = best_factor(self.weight, self.rank)
        else:
            mean = ensembled_nystrom_factor(self.weight, self.rank, sampled=self.sampled, runs=self.runs)
            factor = truncated(mean, self.rank)
        self.stored.copy_(factor @ factor.T)


def norm_loss(activations: Tensor) -> Tensor:
    """L_n of Equation (6.2): the mean over rows of |1 - ||a|||, which keeps activations (n, m) from shrinking to 0."""
    sizes: Tensor = torch.linalg.vector_norm(activations, dim=1)
    return (1 - sizes).abs().mean()
