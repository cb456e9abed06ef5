"""Networks of this chapter's experiments: where their representations are, and a small one that trains in seconds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from torch import Tensor, nn

from epaas_models.low_rank.alternatives import Bottleneck
from epaas_models.low_rank.penalised import inputs_of
from epaas_models.networks import resnet18, resnet50

Position: TypeAlias = Literal["head", "block"]
POSITIONS: tuple[Position, ...] = ("head", "block")


@dataclass
class Parts:
    """A network and the names of some of its modules. What comes into ``block`` and ``head`` is a representation.

    ``block`` is the last block before the last layer, ``head``: the places of the two LR layers of thesis 6.4.
    """

    network: nn.Module
    block: str
    head: str
    last_of_block: str
    """The last linear or convolution layer before the head."""
    example: Tensor
    """A few pictures that the network takes."""
    rectifier: str | None = None
    """The rectified linear unit whose output is what comes into the head, where there is such a one."""

    def place(self, position: Position) -> str:
        """The module's name for the position ``block`` or ``head``."""
        return self.head if position == "head" else self.block

    def dimensions(self, position: Position) -> int:
        """How many numbers the representation there has."""
        return inputs_of(self.network, self.place(position), self.example).flatten(1).shape[1]

    def put_bottleneck(self, rank: int) -> None:
        """A bottleneck of that rank before the head, which takes its output from now on."""
        bottleneck = Bottleneck(self.dimensions("head"), rank)
        parent, _, name = self.head.rpartition(".")
        head = self.network.get_submodule(self.head)
        setattr(self.network.get_submodule(parent), name, nn.Sequential(bottleneck, head))
        self.head = f"{self.head}.1"


def small_network(pictures: Tensor, filters: Sequence[int], units: int, classes: int) -> Parts:
    """Convolutions of 3 x 3 with stride 2, a hidden layer of ``units`` and a linear head, with batch normalisation.

    For ``pictures`` of shape (n, channels, side, side).
    """
    _, channels, side, _ = pictures.shape
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, outputs in enumerate(filters):
        convolution = nn.Conv2d(channels, outputs, 3, 2, 1, bias=False)
        layers[f"convolution{number}"] = nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())
        channels, side = outputs, -(-side // 2)
    layers["flatten"] = nn.Flatten()
    features = channels * side * side
    layers["block"] = nn.Sequential(nn.Linear(features, units, bias=False), nn.BatchNorm1d(units), nn.ReLU())
    layers["head"] = nn.Linear(units, classes)
    return Parts(nn.Sequential(layers), "block", "head", "block.0", pictures[:2], rectifier="block.2")


def residual_network(layers: Literal[18, 50], pictures: Tensor, classes: int) -> Parts:
    """The thesis's ResNet-18 or ResNet-50; the fourth stage takes 16,384 or 65,536 numbers of a picture of 32 x 32."""
    if layers == 18:
        return Parts(resnet18(classes), "body.5", "head", "body.5.1.residual.2.0", pictures[:2])
    return Parts(resnet50(classes), "body.5", "head", "body.5.2.residual.4.0", pictures[:2])
