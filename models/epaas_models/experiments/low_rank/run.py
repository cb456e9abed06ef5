"""A run of this chapter: a network trained with a regulariser on its representations, and what is measured of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from epaas_models.experiments.experiment import Measured, RunConfiguration, RunContext
from epaas_models.experiments.learning import LearningConfiguration, learn, share_right
from epaas_models.experiments.low_rank import measures
from epaas_models.experiments.low_rank.networks import Parts, residual_network, small_network
from epaas_models.experiments.low_rank.pictures import Pictures, pictures_of
from epaas_models.experiments.low_rank.regularisers import AnyRegulariser, Plain
from epaas_models.experiments.picture_data import crop_and_mirror, load_pictures
from epaas_models.low_rank.layer import LowRankLayer
from epaas_models.low_rank.penalised import Penalised, inputs_of

Group = Literal["ranks", "cushions", "noise", "white box", "black box", "deepfool", "compression"]

Source = Literal["mnist", "cifar10-jpeg75", "cifar10", "cifar100"]

_SEEDS_APART = 1_000_000
"""Between the seed of a run and that of the network on which its transferred attacks are made."""
_ROWS_AT_BEGIN = 1000


class LowRankRun(RunConfiguration):
    """Train on the plain loss first, then with the regulariser as well, as thesis 6.4 does."""

    data: Source
    rows: int | None = None
    test_rows: int | None = None
    coarse: tuple[int, ...] | None = None
    """The label to learn for each class of the data; None for the class itself."""
    architecture: Literal["small", "resnet18", "resnet50"] = "small"
    filters: tuple[int, ...] = (8, 16, 16)
    """Of the small network."""
    units: int = Field(default=128, ge=1)
    """Of the small network's representation."""
    augmented: bool = False
    """Whether pictures are cropped and mirrored at random in training."""
    learning: LearningConfiguration
    pretraining: int = Field(default=2, ge=0)
    """Epochs on the plain loss."""
    regulariser: AnyRegulariser = Plain()
    measuring: measures.Measuring = measures.Measuring()
    groups: tuple[Group, ...] = ("ranks", "cushions", "noise", "white box", "black box", "deepfool", "compression")

    def run(self, seed: int, context: RunContext) -> Measured:
        pictures = pictures_of(load_pictures(self.data, context.data), self.rows, self.test_rows, seed, self.coarse)
        return self.measured_on(pictures, seed, context)

    def measured_on(self, pictures: Pictures, seed: int, context: RunContext) -> measures.Numbers:
        """A network trained and tested on these ``pictures``, in numbers."""
        parts = self.train(pictures, seed, context, self.regulariser)
        network, device = parts.network, context.device
        measured = {
            "accuracy": share_right(network, pictures.test, pictures.test_labels, device=device),
            "training accuracy": share_right(network, pictures.training, pictures.training_labels, device=device),
        }
        if "ranks" in self.groups:
            measured |= measures.ranks(parts, pictures, self.measuring, device)
        if "cushions" in self.groups:
            measured |= measures.cushions(parts, pictures, self.measuring, device)
        if "noise" in self.groups:
            measured |= measures.noise(parts, pictures, self.measuring, seed, device)
        if "compression" in self.groups:
            measured |= measures.compression(parts, pictures, self.measuring, seed, device)
        if "deepfool" in self.groups:
            measured |= measures.deepfool(parts, pictures, self.measuring, device)
        if "white box" in self.groups:
            measured |= measures.attacks("white box", parts, network, pictures, self.measuring, device)
        if "black box" in self.groups:
            source = self.train(pictures, seed + _SEEDS_APART, context, Plain()).network
            measured |= measures.attacks("black box", parts, source, pictures, self.measuring, device)
        return measured

    def train(self, pictures: Pictures, seed: int, context: RunContext, regulariser: AnyRegulariser) -> Parts:
        """A network trained with one ``regulariser``, in evaluation mode on the context's device."""
        torch.manual_seed(seed)
        parts = self._network(pictures)
        penalised = regulariser.applied(parts)

        def objective(network: nn.Module, inputs: Tensor, labels: Tensor, epoch: int) -> Tensor:
            loss = functional.cross_entropy(network(inputs), labels)
            return loss + penalised.penalty if epoch >= self.pretraining else loss

        def after_epoch(epoch: int, _network: nn.Module) -> bool:
            if epoch + 1 == self.pretraining:
                begin(penalised, pictures.training[:_ROWS_AT_BEGIN], context.device)
            return False

        learn(
            penalised,
            pictures.training,
            pictures.training_labels,
            self.learning,
            objective,
            seed,
            replace(context, checkpoint=context.checkpoint.with_name(f"{context.checkpoint.name}-{seed}")),
            augment=crop_and_mirror if self.augmented else None,
            after_step=penalised.after_step,
            after_epoch=after_epoch,
        )
        return parts

    def _network(self, pictures: Pictures) -> Parts:
        if self.architecture == "small":
            return small_network(pictures.training, self.filters, self.units, pictures.classes)
        return residual_network(18 if self.architecture == "resnet18" else 50, pictures.training, pictures.classes)


def begin(penalised: Penalised, rows: Tensor, device: str) -> None:
    """Low-rank layers begin at the principal subspaces of what the network makes of ``rows`` by now."""
    for name, penalty in penalised.by_module.items():
        if isinstance(penalty, LowRankLayer):
            penalty.begin_at(inputs_of(penalised.network, name, rows, device=device).flatten(1).to(device))
