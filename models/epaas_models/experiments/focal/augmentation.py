"""Random crops and flips of pictures, as is usual for CIFAR (thesis B.1). Knows no data set."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

_MARGIN = 4


def crop_and_flip(pictures: Tensor) -> Tensor:
    """Of pictures (n, channels, height, width): each moved by up to 4 pixels over zeros, half of them mirrored."""
    rows, _, height, width = pictures.shape
    device = pictures.device
    padded = pad(pictures, (_MARGIN,) * 4)
    top, left = torch.randint(2 * _MARGIN + 1, (2, rows, 1)).to(device)
    across = torch.arange(width).to(device) + left
    mirrored = (torch.rand(rows, 1) < 0.5).to(device)
    across = torch.where(mirrored, across.flip(1), across)
    down = torch.arange(height).to(device) + top
    row = torch.arange(rows).to(device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[row, down[:, :, None], across[:, None, :]].permute(0, 3, 1, 2).contiguous()
