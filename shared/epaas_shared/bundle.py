"""The model bundle: what training hands to serving, as files, never as code.

A bundle is a folder:

    manifest.json        this module's :class:`BundleManifest`; its SHA-256 is the digest of the bundle and of the
                         model version
    weights.safetensors  ``layers.<i>.weights`` (int16) and ``layers.<i>.thresholds`` (int32, one an output or filter)
    schema.json          the task's input schema
    report.json          the reliability report

The manifest holds the digests of the other files, so one digest covers everything. This module owns the manifest and
the way from tensors to a :class:`~epaas_shared.network.Network`; reading and writing safetensors is left to the two
ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from epaas_shared.digest import Digest, canonical_json, digest_bytes
from epaas_shared.errors import InvalidBundle
from epaas_shared.heads import Scores
from epaas_shared.layers import ConvolutionLayer, DenseLayer, Integers, Layer, output_length
from epaas_shared.network import Network
from epaas_shared.scores import ScoreScale

MANIFEST_FILE = "manifest.json"
WEIGHTS_FILE = "weights.safetensors"
SCHEMA_FILE = "schema.json"
REPORT_FILE = "report.json"

MODEL_NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"


class DenseSpec(BaseModel):
    """A fully connected layer; its weights have the shape (outputs, inputs)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["dense"] = "dense"
    inputs: int = Field(ge=1)
    outputs: int = Field(ge=1)

    @property
    def weights_shape(self) -> tuple[int, ...]:
        return self.outputs, self.inputs

    def layer(self, weights: Integers, thresholds: Integers) -> Layer:
        return DenseLayer(weights, thresholds)


Positive = Annotated[int, Field(ge=1)]
NonNegative = Annotated[int, Field(ge=0)]


class ConvolutionSpec(BaseModel):
    """A convolution of an image (channels, height, width); its weights have the shape (filters, channels, *kernel).

    ``kernel``, ``stride`` and ``padding`` are (vertical, horizontal).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["convolution"] = "convolution"
    channels: Positive
    height: Positive
    width: Positive
    filters: Positive
    kernel: tuple[Positive, Positive]
    stride: tuple[Positive, Positive] = (1, 1)
    padding: tuple[NonNegative, NonNegative] = (0, 0)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if any(padding >= kernel for padding, kernel in zip(self.padding, self.kernel, strict=True)):
            raise ValueError("the padding must be less than the kernel, or neurons would see nothing")
        if min(self.windows) < 1:
            raise ValueError(f"a kernel of {self.kernel} does not fit an image of {(self.height, self.width)}")
        return self

    @property
    def windows(self) -> tuple[int, int]:
        return (
            output_length(self.height, self.kernel[0], self.stride[0], self.padding[0]),
            output_length(self.width, self.kernel[1], self.stride[1], self.padding[1]),
        )

    @property
    def inputs(self) -> int:
        return self.channels * self.height * self.width

    @property
    def outputs(self) -> int:
        return self.filters * self.windows[0] * self.windows[1]

    @property
    def weights_shape(self) -> tuple[int, ...]:
        return self.filters, self.channels, *self.kernel

    def layer(self, weights: Integers, thresholds: Integers) -> Layer:
        return ConvolutionLayer(weights, thresholds, self.height, self.width, self.stride, self.padding)


LayerSpec = Annotated[DenseSpec | ConvolutionSpec, Field(discriminator="kind")]
"""What a manifest says of a layer: its kind and shape."""


class MeasuredRange(BaseModel):
    """The least and greatest sum around its threshold of any neuron of an evaluated layer, over so many records."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    minimum: int
    maximum: int
    records: int = Field(ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.minimum > self.maximum:
            raise ValueError("the minimum is greater than the maximum")
        return self


class Provenance(BaseModel):
    """Where a model comes from, enough to make it again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: str
    seed: int
    data: str
    data_digest: Digest
    split: str
    configuration: dict[str, Any]
    versions: dict[str, str]
    threads: int | None = None
    """Of torch: sums of floating-point numbers depend on how they are split."""
    created: str


class BundleManifest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["epaas-bundle/1"] = "epaas-bundle/1"
    name: str = Field(pattern=MODEL_NAME)
    title: str
    profile: Digest
    input_schema: Digest
    output: Literal["label", "scores"] = "label"
    """What the client learns (P2): ``label``, the class and nothing else; ``scores``, each class's score in levels."""
    scores: ScoreScale | None = None
    layers: tuple[LayerSpec, ...] = Field(min_length=1)
    logit_unit: float | None = Field(None, gt=0, allow_inf_nan=False)
    """How much of the last layer's sums is one logit, as the network was trained; its confidence before any scaling."""
    measured_ranges: tuple[MeasuredRange, ...] | None = None
    """How far sums reached in training, one for each of ``Network.evaluated_layers``; not bounds for every record."""
    files: dict[Annotated[str, Field(pattern=r"^[a-z]+\.(safetensors|json)$")], Digest]
    provenance: Provenance

    @model_validator(mode="after")
    def _scale_of_scores(self) -> Self:
        if (self.output == "scores") != (self.scores is not None):
            raise ValueError("a scale of scores is there if and only if the output is scores")
        return self

    def to_bytes(self) -> bytes:
        """Canonical; what is not given is left out, so that manifests of release 0.1.0 stay as they are."""
        return canonical_json(self.model_dump(mode="json", exclude_none=True))

    @property
    def digest(self) -> str:
        return digest_bytes(self.to_bytes())


def specs_of(network: Network) -> tuple[DenseSpec | ConvolutionSpec, ...]:
    """The ``layers`` of the network's manifest."""
    return tuple(_spec_of(layer) for layer in network.layers)


def _spec_of(layer: Layer) -> DenseSpec | ConvolutionSpec:
    if isinstance(layer, ConvolutionLayer):
        return ConvolutionSpec(
            channels=layer.channels,
            height=layer.height,
            width=layer.width,
            filters=layer.filters,
            kernel=layer.kernel,
            stride=layer.stride,
            padding=layer.padding,
        )
    return DenseSpec(inputs=layer.inputs, outputs=layer.outputs)


def network_to_tensors(network: Network) -> dict[str, NDArray[np.generic]]:
    """The tensors of a bundle. Raises :class:`InvalidBundle` where a number is beyond the types of the format."""
    tensors: dict[str, NDArray[np.generic]] = {}
    for index, layer in enumerate(network.layers):
        for part, values, dtype in (("weights", layer.weights, np.int16), ("thresholds", layer.thresholds, np.int32)):
            name = f"layers.{index}.{part}"
            tensors[name] = values.astype(dtype)
            if (tensors[name] != values).any():
                raise InvalidBundle(f"has numbers beyond {np.dtype(dtype)}", field=name)
    return tensors


def network_from_tensors(
    specs: Sequence[DenseSpec | ConvolutionSpec],
    tensors: Mapping[str, NDArray[np.generic]],
    scores: ScoreScale | None = None,
) -> Network:
    """The network that a manifest describes by its ``layers`` and ``scores``.

    Raises :class:`InvalidBundle` naming the tensor that does not fit.
    """
    expected = {f"layers.{index}.{part}" for index in range(len(specs)) for part in ("weights", "thresholds")}
    if unknown := sorted(set(tensors) ^ expected):
        raise InvalidBundle("the tensor is missing or has no place in the manifest", field=unknown[0])
    layers = []
    for index, spec in enumerate(specs):
        weights = _integers(tensors, f"layers.{index}.weights", spec.weights_shape, np.int16)
        thresholds = _integers(tensors, f"layers.{index}.thresholds", spec.weights_shape[:1], np.int32)
        layers.append(spec.layer(weights, thresholds))
    return Network(tuple(layers), Scores(layers[-1].outputs, scores) if scores else None)


def _integers(
    tensors: Mapping[str, NDArray[np.generic]], name: str, shape: tuple[int, ...], dtype: type[np.signedinteger[Any]]
) -> Integers:
    tensor = tensors[name]
    if tensor.dtype != dtype or tensor.shape != shape:
        raise InvalidBundle(
            f"is {tensor.dtype} of shape {tensor.shape}; the manifest wants {np.dtype(dtype)} of shape {shape}",
            field=name,
        )
    return tensor.astype(np.int64)
