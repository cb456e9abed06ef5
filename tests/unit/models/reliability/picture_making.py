"""Networks of pictures: random ones with every head, a trained one of signs, and how their gradients are taken away."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from epaas_models.architecture import Architecture, DenseConfiguration
from epaas_models.binary_network import BinaryNetwork
from epaas_models.objective import Examples
from epaas_models.reliability.robustness.attacked_pictures import AttackedPictures
from epaas_models.reliability.subject import Subject
from epaas_models.training import FixedExamples, train
from epaas_models.training_configuration import TrainingConfiguration
from epaas_shared.features import ImageFeature
from epaas_shared.heads import Head, Scores
from epaas_shared.layers import ConvolutionLayer, DenseLayer, Integers, Layer
from epaas_shared.network import Network
from epaas_shared.schema import InputSchema
from epaas_shared.scores import ScoreScale

SIDE = 8
QUADRANTS = ("top left", "top right", "bottom left", "bottom right")
HeadName = Literal["bit", "argmax", "scores"]


def schema(classes: int, thresholds: tuple[float, ...] = (64.0, 128.0), standardised: bool = False) -> InputSchema:
    image = ImageFeature(
        name="image", height=SIDE, width=SIDE, thresholds=thresholds, standardised=standardised, framing="whole"
    )
    return InputSchema(
        task="toy", version=1, title="Toy", target="answer", classes=QUADRANTS[:classes], features=(image,)
    )


def random_subject(seed: int, head: HeadName, *, convolution: bool = False, standardised: bool = False) -> Subject:
    """Small weights, so that sums are often equal to one another and to their thresholds."""
    random = np.random.default_rng(seed)
    thresholds = (-0.625, 0.114) if standardised else (64.0, 128.0)
    classes = 2 if head == "bit" else 4

    def ternary(*shape: int) -> Integers:
        return random.integers(-1, 2, shape)

    first: Layer
    if convolution:
        first = ConvolutionLayer(ternary(3, 2, 3, 3), random.integers(-2, 3, 3), SIDE, SIDE, (2, 2), (1, 1))
    else:
        first = DenseLayer(ternary(12, 2 * SIDE**2), random.integers(-5, 5, 12))
    outputs = 1 if head == "bit" else classes
    last = DenseLayer(ternary(outputs, first.outputs), random.integers(-1, 2, outputs))
    made: Head | None = Scores(classes, ScoreScale(bits=2, minimum=-2, step=2)) if head == "scores" else None
    network = Network((first, last), made)
    return Subject(network, schema(classes, thresholds, standardised), float(random.uniform(0.3, 30)))


def random_levels(rows: int, seed: int) -> NDArray[np.float64]:
    """Whole grey levels, many of them at thresholds; the first picture is of a single colour."""
    random = np.random.default_rng(seed)
    levels = random.integers(0, 256, (rows, SIDE, SIDE)).astype(np.float64)
    levels[random.random(levels.shape) < 0.2] = 64.0
    levels[0] = 64.0
    return levels


def quadrants(rows: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Grey noise with one brighter quadrant, which is the class."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, rows)
    levels = random.integers(0, 140, (rows, SIDE, SIDE)).astype(np.float64)
    half = SIDE // 2
    for image, label in zip(levels, labels, strict=True):
        y, x = divmod(int(label), 2)
        image[half * y : half * (y + 1), half * x : half * (x + 1)] += 90
    return levels, labels


@cache
def sign_subject() -> Subject:
    """A network of signs with a hidden layer, trained on quadrants for a second."""
    task = schema(4)
    levels, labels = quadrants(800, seed=0)
    torch.manual_seed(0)
    architecture = Architecture(hidden=(DenseConfiguration(outputs=24),))
    network = BinaryNetwork(architecture.specs(task), architecture.weights)
    examples = Examples(task.encode_columns({"image": levels}), labels)
    train(network, FixedExamples(examples), TrainingConfiguration(epochs=8, batch_size=50, learning_rate=0.01), 0)
    return Subject(network.export(), task, unit=1.0)


def reference(subject: Subject) -> NDArray[np.uint8]:
    return subject.schema.encode_columns({"image": quadrants(200, seed=1)[0]})


def attacked(rows: int = 60, seed: int = 2) -> AttackedPictures:
    """Rows that the trained network has not seen."""
    levels, labels = quadrants(rows, seed)
    return AttackedPictures(sign_subject(), levels, labels)


class Smooth(nn.Module):
    """A network with gradients everywhere, of random weights."""

    def __init__(self, classes: int = 4, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 20), nn.Softplus(), nn.Linear(20, classes))

    def forward(self, pictures: Tensor) -> Tensor:
        logits: Tensor = self.body(pictures)
        return logits
