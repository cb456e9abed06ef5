"""Images changed as writing and cameras change them: small affine maps, elastic distortion, mirroring.

Works on grey images before they are encoded, so that every network of a task sees what a client's record could be.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

_BATCH = 4096
_ELASTIC_GRID = 5


class Augmentation(BaseModel):
    """Each image is changed by amounts drawn evenly up to these, either way."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: float = Field(default=1.0, ge=0, le=1)
    """Of the images of an epoch; the others stay as they are."""
    rotation: float = Field(default=0.0, ge=0)
    """Radians."""
    scale: float = Field(default=0.0, ge=0, lt=1)
    shear: float = Field(default=0.0, ge=0)
    shift: float = Field(default=0.0, ge=0)
    """Pixels."""
    elastic: float = Field(default=0.0, ge=0)
    """Standard deviation, in pixels, of displacements drawn on a coarse grid (Simard et al. 2003)."""
    mirror: bool = False
    """Left and right swapped in half of the images."""


def augment(images: NDArray[np.uint8], how: Augmentation, generator: torch.Generator) -> NDArray[np.uint8]:
    """Changed copies of grey images (n, height, width)."""
    changed = images.copy()
    chosen = torch.nonzero(torch.rand(len(images), generator=generator) < how.share)[:, 0].numpy()
    for start in range(0, len(chosen), _BATCH):
        rows = chosen[start : start + _BATCH]
        batch = torch.from_numpy(images[rows]).float()[:, None]
        moved = functional.grid_sample(batch, _grid(batch, how, generator), align_corners=False)
        changed[rows] = moved[:, 0].round().clamp(0, 255).to(torch.uint8).numpy()
    return changed


def _grid(batch: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Where each pixel of the changed images comes from, (n, height, width, 2)."""
    n, _, height, width = batch.shape

    def drawn(most: float) -> Tensor:
        return (torch.rand(n, generator=generator) * 2 - 1) * most

    angle, wide, high, shear = drawn(how.rotation), 1 + drawn(how.scale), 1 + drawn(how.scale), drawn(how.shear)
    if how.mirror:
        wide = wide * torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    maps = torch.zeros(n, 2, 3)
    maps[:, 0, 0], maps[:, 0, 1] = angle.cos() * wide, -angle.sin() * high + shear
    maps[:, 1, 0], maps[:, 1, 1] = angle.sin() * wide, angle.cos() * high
    maps[:, 0, 2], maps[:, 1, 2] = drawn(2 * how.shift / width), drawn(2 * how.shift / height)
    grid = functional.affine_grid(maps, list(batch.shape), align_corners=False)
    if how.elastic:
        coarse = torch.randn(n, 2, _ELASTIC_GRID, _ELASTIC_GRID, generator=generator)
        fine = functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)
        grid = grid + fine.permute(0, 2, 3, 1) * torch.tensor([2 * how.elastic / width, 2 * how.elastic / height])
    return grid
