"""A run of chapter 4: a network trained with its spectra normalised or not, on true or random labels, and measured."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from epaas_models.experiments.experiment import Measured, RunConfiguration, RunContext
from epaas_models.experiments.learning import LearningConfiguration, learn, share_right
from epaas_models.experiments.picture_data import crop_and_mirror, load_pictures
from epaas_models.experiments.stable_rank.measures import (
    jacobian_norms,
    layer_spectra,
    log_complexity,
    noise_sensitivity,
    pair_lipschitz,
)
from epaas_models.experiments.stable_rank.networks import NETWORKS, NetworkName
from epaas_models.experiments.stable_rank.pictures import Pictures, pictures
from epaas_models.stable_rank.parametrisation import normalise_spectra, settle

Source = Literal["mnist", "cifar10-jpeg75", "cifar10", "cifar100"]


class StableRankRun(RunConfiguration):
    """Trains by cross-entropy; measures accuracy, spectra and, of true labels, sensitivity and complexity."""

    data: Source
    rows: int | None = Field(default=None, ge=2)
    """Training rows drawn, None for all; so with ``test_rows``."""
    test_rows: int | None = Field(default=None, ge=2)
    shrink: int = Field(default=1, ge=1)
    """Side of the squares of pixels that become one."""
    augmented: bool = False
    """Random crops with a margin of 4 pixels, and mirroring."""
    random_labels: bool = False
    network: NetworkName
    normalisation: Literal["none", "spectral", "stable-rank"]
    stable_rank_share: float | None = Field(default=None, gt=0, lt=1)
    """c of thesis 4.4, with normalisation of the stable rank."""
    learning: LearningConfiguration
    stop_at: float | None = Field(default=None, gt=0, le=1)
    """Training accuracy after whose first epoch training stops, though epochs are left."""
    measured_rows: int = Field(default=500, ge=2)
    """Of the test (sensitivity) and of training (complexity)."""

    def run(self, seed: int, context: RunContext) -> Measured:
        dataset = load_pictures(self.data, context.data)
        drawn = pictures(
            dataset,
            seed,
            rows=self.rows,
            test_rows=self.test_rows,
            shrink=self.shrink,
            random_labels=self.random_labels,
        )
        return self.train_and_measure(drawn, seed, context)

    def train_and_measure(self, drawn: Pictures, seed: int, context: RunContext) -> Measured:
        """What :meth:`run` gives, of rows that were drawn already."""
        torch.manual_seed(seed)
        channels, side = drawn.inputs.shape[1], drawn.inputs.shape[-1]
        network = NETWORKS[self.network](drawn.classes, channels, side)
        if self.normalisation != "none":
            normalise_spectra(network, self.stable_rank_share)
        epochs, stopped = self._learn(network, drawn, seed, context)
        settle(network)
        device = context.device
        spectra = layer_spectra(network)
        measured: dict[str, float | int | list[float]] = {
            "epochs": epochs,
            "stopped_early": int(stopped),
            "train_accuracy": share_right(network, drawn.inputs, drawn.labels, device=device),
            "test_accuracy": share_right(network, drawn.test_inputs, drawn.test_labels, device=device),
            "spectral_norms": [each.spectral_norm for each in spectra],
            "stable_ranks": [each.stable_rank for each in spectra],
            "stable_rank_shares": [each.stable_rank / len(each.singular_values) for each in spectra],
        }
        if not self.random_labels:
            measured |= _sensitivity(network, drawn.test_inputs[: self.measured_rows], device)
            part = slice(self.measured_rows)
            complexity = log_complexity(network, drawn.inputs[part], drawn.labels[part], spectra, device=device)
            measured |= {f"{name}_p90": float(np.percentile(values, 90)) for name, values in vars(complexity).items()}
        return measured

    def _learn(self, network: nn.Module, drawn: Pictures, seed: int, context: RunContext) -> tuple[int, bool]:
        """How many epochs there were, and whether the training accuracy ended them."""
        progress = _Epochs()

        def ended(epoch: int, evaluated: nn.Module) -> bool:
            progress.done = epoch + 1
            if self.stop_at is not None:
                accuracy = share_right(evaluated, drawn.inputs, drawn.labels, device=context.device)
                progress.stopped = accuracy >= self.stop_at
            return progress.stopped

        learn(
            network,
            drawn.inputs,
            drawn.labels,
            self.learning,
            cross_entropy,
            seed,
            context,
            augment=crop_and_mirror if self.augmented else None,
            after_epoch=ended,
            parts={"stopping": progress},
        )
        return progress.done, progress.stopped


class _Epochs:
    """How far a training has come; a part of its checkpoint."""

    def __init__(self) -> None:
        self.done = 0
        self.stopped = False

    def state_dict(self) -> dict[str, object]:
        return {"done": self.done, "stopped": self.stopped}

    def load_state_dict(self, state: dict[str, object]) -> None:
        self.done, self.stopped = int(str(state["done"])), bool(state["stopped"])


def cross_entropy(network: nn.Module, inputs: Tensor, labels: Tensor, _epoch: int) -> Tensor:
    """Mean over a batch."""
    return functional.cross_entropy(network(inputs), labels)


def _sensitivity(network: nn.Module, inputs: Tensor, device: str) -> dict[str, float]:
    """By the definitions of 4.2.2 and 4.3.1, of test rows (n, ...)."""
    noise = noise_sensitivity(network, inputs, device=device)
    pairs = pair_lipschitz(network, inputs, device=device)
    slopes = jacobian_norms(network, inputs, device=device)
    return {
        "noise_sensitivity_median": float(np.median(noise)),
        "noise_sensitivity_greatest": float(noise.max()),
        "lipschitz_pairs_p95": float(np.percentile(pairs, 95)),
        "lipschitz_pairs_greatest": float(pairs.max()),
        "lipschitz_local_median": float(np.median(slopes)),
        "lipschitz_local_greatest": float(slopes.max()),
    }
