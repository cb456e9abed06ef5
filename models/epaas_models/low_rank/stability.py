"""How much of a perturbation a network lets through (thesis 6.4.3): layer cushion, random pixels.

Knows no attacks: perturbed pictures come from elsewhere.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

PIXEL_NOISE = 128 / 255
"""The thesis's N(0, 128/255), taken as a standard deviation, where a pixel is from 0 to 1."""


@torch.no_grad()
def layer_cushion(layer: nn.Linear | nn.Conv2d, inputs: Tensor) -> Tensor:
    """||W x|| / (||W||_F ||x||) of the rows x of ``inputs`` that are not 0, each from 0 to 1 (Definition 14).

    W is the linear map without its bias, of a convolution the whole one: a filter counts in its norm at each place.
    The thesis's cushion is the least over rows; its figures show all of them.
    """
    if isinstance(layer, nn.Linear):
        images, squares = functional.linear(inputs, layer.weight), layer.weight.square().sum()
    else:

        def convolved(pictures: Tensor, weight: Tensor) -> Tensor:
            return functional.conv2d(pictures, weight, None, layer.stride, layer.padding, layer.dilation, layer.groups)

        images = convolved(inputs, layer.weight)
        squares = convolved(torch.ones_like(inputs[:1]), layer.weight.square()).sum()
    sizes = inputs.flatten(1).norm(dim=1)
    seen = sizes > 0
    cushion: Tensor = images.flatten(1).norm(dim=1)[seen] / (squares.sqrt() * sizes[seen])
    return cushion


def with_pixel_noise(pictures: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Pictures (n, channels, height, width) with Gaussian noise on each pixel with that probability (6.4.3)."""
    place = torch.rand((len(pictures), 1, *pictures.shape[2:]), generator=generator) < probability
    return pictures + place * PIXEL_NOISE * torch.randn(pictures.shape, generator=generator)


def relative_change(clean: Tensor, perturbed: Tensor) -> Tensor:
    """||x' - x|| / ||x|| (6.4.2, 6.4.3) of the rows x that are not 0, of pictures or of representations."""
    sizes = clean.flatten(1).norm(dim=1)
    seen = sizes > 0
    change: Tensor = (perturbed - clean).flatten(1).norm(dim=1)[seen] / sizes[seen]
    return change
