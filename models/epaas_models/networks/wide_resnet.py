"""The wide residual network (Zagoruyko and Komodakis 2016) as the thesis counts its parameters (B.2).

Normalisation and activation come after each convolution, and shortcuts are normalised; in the paper they come before
it and shortcuts are not, which gives 2,240 parameters less.
"""

from __future__ import annotations

from epaas_models.networks.classifier import Classifier
from epaas_models.networks.resnet import basic, residual_network


def wide_resnet(classes: int, channels: int = 3, *, blocks: int = 4, widening: int = 10) -> Classifier:
    """Three stages of ``blocks`` blocks, 64 times ``widening`` features; 36,539,124 parameters for 100 classes.

    With four blocks this is the WideResNet-28-10 of chapter 4 and the WideResNet-26-10 of chapter 7, which are one
    network: the paper counts the 24 convolutions of blocks, the stem and three shortcuts, chapter 7's code the 24, the
    stem and the head.
    """
    stages = tuple((blocks, width * widening) for width in (16, 32, 64))
    return residual_network(basic, 16, stages, classes, channels)
