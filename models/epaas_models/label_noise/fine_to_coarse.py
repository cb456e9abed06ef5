"""Fine2Coarse (thesis 5.4.2): a network of fine classes that answers with the coarse classes that they belong to.

Differentiable from end to end, so that attacks on the coarse answer go through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

Aggregation = Literal["sum", "max"]


class FineToCoarse(nn.Module):
    """From inputs to coarse logits (rows, coarse classes) by way of a network of fine logits (rows, fine classes).

    ``coarse`` says the coarse class of each fine one, from 0 on. A coarse logit is the ``sum`` of its fine ones, as on
    CIFAR-100, or their ``max``, which is to report the coarse class of the likeliest fine one, as on synthetic data.
    Raises ValueError where a coarse class has no fine one, and for sums where they have not all the same number: a
    constant that is added to all logits changes no fine answer and must change no coarse one.
    """

    members: Tensor

    def __init__(self, network: nn.Module, coarse: Sequence[int], aggregation: Aggregation = "sum") -> None:
        super().__init__()
        sizes = [list(coarse).count(group) for group in range(max(coarse) + 1)]
        if min(sizes) == 0 or (aggregation == "sum" and len(set(sizes)) > 1):
            raise ValueError(f"no {aggregation} over groups of {sizes} fine classes")
        self.network, self.aggregation = network, aggregation
        members = torch.tensor(coarse)[:, None] == torch.arange(len(sizes))
        self.register_buffer("members", members)

    def forward(self, inputs: Tensor) -> Tensor:
        fine: Tensor = self.network(inputs)
        if self.aggregation == "sum":
            return fine @ self.members.to(fine.dtype)
        return fine[:, :, None].masked_fill(~self.members, -torch.inf).amax(dim=1)
