"""Batch normalisation folded into integer thresholds (thesis 8.4.1), exactly as torch decides."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from epaas_shared.layers import Integers


def fold(weights: Tensor, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[Integers, Integers]:
    """Weights and thresholds that decide as ``[norm(W x) >= 0]`` in evaluation mode does, for every x in {0,1}^d.

    ``weights`` are integers of shape (outputs, inputs), or (filters, channels, height, width) for a convolution; the
    first axis is that of the norm. Where the scale is negative the neuron's weights change sign. The threshold is found
    by asking torch for every integer sum, so that rounding in floating point, and ties at zero, cannot make the two
    differ. A neuron that is constant gets a threshold just outside its sums.
    """
    norm.eval()
    rows = weights.flatten(1)
    signs = torch.where(norm.weight < 0, -1.0, 1.0).detach()
    folded = (signs[:, None] * rows).to(torch.int64)
    fan_in = int(folded.abs().sum(dim=1).max())
    sums = torch.arange(-fan_in, fan_in + 1, dtype=torch.float32)[:, None] * signs[None, :]
    with torch.no_grad():
        fires = norm(sums.reshape(*sums.shape, *[1] * (weights.ndim - 2))).reshape(sums.shape) >= 0
    if not bool((fires[1:] >= fires[:-1]).all()):
        raise ArithmeticError("batch normalisation is not monotonic in the sum")
    thresholds = (~fires).sum(dim=0) - fan_in
    low = torch.clamp(folded, max=0).sum(dim=1)
    high = torch.clamp(folded, min=0).sum(dim=1)
    thresholds = torch.minimum(torch.maximum(thresholds, low), high + 1)
    return _integers(folded.reshape(weights.shape)), _integers(thresholds)


def _integers(tensor: Tensor) -> Integers:
    array: NDArray[np.int64] = tensor.to(torch.int64).numpy()
    return array
