"""Networks of this chapter: the thesis's by name, and two that are quick enough without a GPU."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from epaas_models.experiments.focal.data import Examples
from epaas_models.networks import (
    Classifier,
    densenet121,
    global_pooling_cnn,
    resnet50,
    resnet110_wide,
    wide_resnet,
)
from epaas_models.networks.classifier import normalised

_FOR_PICTURES = {
    "resnet50": resnet50,
    "resnet110": resnet110_wide,
    "wide-resnet": wide_resnet,
    "densenet121": densenet121,
}


class _Network(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Published(_Network):
    """Of thesis B.2; WideResNet is its 26-10, ResNet-110 that of the chapter's code."""

    kind: Literal["resnet50", "resnet110", "wide-resnet", "densenet121", "global-pooling-cnn"]

    def build(self, examples: Examples) -> Classifier:
        if self.kind == "global-pooling-cnn":
            return global_pooling_cnn(examples.words, examples.classes)
        return _FOR_PICTURES[self.kind](examples.classes, examples.training.shape[1])


class SmallConvolutional(_Network):
    """Convolutions of 3 x 3 with stride 2 and batch normalisation, then rectified units between dropout."""

    kind: Literal["small-convolutional"] = "small-convolutional"
    filters: tuple[int, ...] = (16, 32, 64)
    hidden: int = 128
    dropout: float = Field(default=0.0, ge=0, lt=1)

    def build(self, examples: Examples) -> Classifier:
        _, channels, height, width = examples.training.shape
        body = nn.Sequential()
        for filters in self.filters:
            body.extend((normalised(channels, filters, stride=2), nn.ReLU()))
            channels, height, width = filters, -(-height // 2), -(-width // 2)
        units = nn.Linear(channels * height * width, self.hidden)
        body.extend((nn.Flatten(), nn.Dropout(self.dropout), units, nn.ReLU(), nn.Dropout(self.dropout)))
        return Classifier(body, self.hidden, examples.classes)


class BagOfWords(_Network):
    """Rectified units on the sum of the learnt vectors of a text's words, whatever their order, with dropout."""

    kind: Literal["bag-of-words"] = "bag-of-words"
    dimensions: int = 64
    hidden: int = 128
    dropout: float = Field(default=0.3, ge=0, lt=1)

    def build(self, examples: Examples) -> Classifier:
        body = nn.Sequential(
            SummedVectors(examples.words, self.dimensions),
            nn.Dropout(self.dropout),
            nn.Linear(self.dimensions, self.hidden),
            nn.ReLU(),
            nn.Dropout(self.dropout),
        )
        return Classifier(body, self.hidden, examples.classes)


NetworkConfiguration: TypeAlias = Annotated[Published | SmallConvolutional | BagOfWords, Field(discriminator="kind")]


class SummedVectors(nn.Module):
    """From numbers of words (n, length), 0 for none, to the sum of their vectors over the root of how many, (n, dim).

    So texts of any length have sums of about the same size.
    """

    def __init__(self, words: int, dimensions: int) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag(words, dimensions, mode="sum", padding_idx=0)

    def forward(self, numbers: Tensor) -> Tensor:
        sums: Tensor = self.embedding(numbers)
        return sums / (numbers != 0).sum(dim=1, keepdim=True).clamp_min(1).sqrt()
