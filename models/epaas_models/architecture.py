"""What a network looks like: its layers and how fine their weights are. One description for training and for serving.

A configuration file names layers without their inputs, which follow from the input schema. :meth:`Architecture.specs`
gives the layer specs of the bundle format, from which torch, the plain reference and the encrypted engine all build
their layers. Knows neither torch nor data.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from epaas_shared.bundle import ConvolutionSpec, DenseSpec
from epaas_shared.errors import ConfigurationError
from epaas_shared.features import ImageFeature
from epaas_shared.schema import InputSchema

Weights = Literal["binary", "ternary"] | Annotated[int, Field(ge=2, le=63)]
"""``binary``: -1, 1; ``ternary``: -1, 0, 1; a number m: all integers from -m to m."""


class DenseConfiguration(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["dense"] = "dense"
    outputs: int = Field(ge=1, le=65536)
    weights: Weights = "ternary"


class ConvolutionConfiguration(BaseModel):
    """Square kernels; the image is that of the schema, its thresholds the channels, or that of the layer before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["convolution"] = "convolution"
    filters: int = Field(ge=1, le=4096)
    kernel: int = Field(ge=1)
    stride: int = Field(default=1, ge=1)
    padding: int = Field(default=0, ge=0)
    weights: Weights = "ternary"


LayerConfiguration = Annotated[DenseConfiguration | ConvolutionConfiguration, Field(discriminator="kind")]


class Architecture(BaseModel):
    """Hidden layers, and the weights of the last, which has one neuron for two classes and else one a class."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hidden: tuple[LayerConfiguration, ...] = ()
    output_weights: Weights = "ternary"

    @property
    def weights(self) -> tuple[Weights, ...]:
        """How fine the weights of each layer are, the last included."""
        return (*(layer.weights for layer in self.hidden), self.output_weights)

    def specs(self, schema: InputSchema) -> tuple[ConvolutionSpec | DenseSpec, ...]:
        """The layers for records of this schema. Raises :class:`ConfigurationError` for what does not fit."""
        image = _image(schema)
        inputs = schema.bits
        specs: list[ConvolutionSpec | DenseSpec] = []
        for number, layer in enumerate(self.hidden):
            if isinstance(layer, DenseConfiguration):
                spec: ConvolutionSpec | DenseSpec = DenseSpec(inputs=inputs, outputs=layer.outputs)
                image = None
            else:
                spec = _convolution(layer, image, number)
                image = (layer.filters, *spec.windows)
            specs.append(spec)
            inputs = spec.outputs
        classes = len(schema.classes)
        return (*specs, DenseSpec(inputs=inputs, outputs=1 if classes == 2 else classes))


def _image(schema: InputSchema) -> tuple[int, int, int] | None:
    """Channels, height and width of the schema's bits, if they are one image."""
    feature = schema.features[0]
    if len(schema.features) > 1 or not isinstance(feature, ImageFeature):
        return None
    return len(feature.thresholds), feature.height, feature.width


def _convolution(layer: ConvolutionConfiguration, image: tuple[int, int, int] | None, number: int) -> ConvolutionSpec:
    field = f"hidden[{number}]"
    if image is None:
        raise ConfigurationError(
            "a convolution needs an image before it", field=field, hint="begin with convolutions, or use a dense layer"
        )
    channels, height, width = image
    try:
        return ConvolutionSpec(
            channels=channels,
            height=height,
            width=width,
            filters=layer.filters,
            kernel=(layer.kernel, layer.kernel),
            stride=(layer.stride, layer.stride),
            padding=(layer.padding, layer.padding),
        )
    except ValueError as error:
        raise ConfigurationError(f"the convolution does not fit: {error}", field=field) from None
