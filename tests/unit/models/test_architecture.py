"""Architectures: each layer takes what the one before gives, and what does not fit is refused by name."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from training_making import picture_schema, table_schema

from epaas_models.architecture import Architecture, ConvolutionConfiguration, DenseConfiguration
from epaas_shared.bundle import ConvolutionSpec, DenseSpec
from epaas_shared.errors import ConfigurationError

CONVOLUTION = ConvolutionConfiguration(filters=3, kernel=3, stride=2, padding=1)
DENSE = DenseConfiguration(outputs=5)


def test_the_layers_for_a_picture_are_as_worked_out_by_hand() -> None:
    """9 by 7 in two channels, padded to 11 by 9: 5 by 4 windows of 3 at every other place, then 4 by 3 of 2."""
    architecture = Architecture(hidden=(CONVOLUTION, ConvolutionConfiguration(filters=2, kernel=2), DENSE))
    assert architecture.specs(picture_schema(9, 7, classes=3)) == (
        ConvolutionSpec(channels=2, height=9, width=7, filters=3, kernel=(3, 3), stride=(2, 2), padding=(1, 1)),
        ConvolutionSpec(channels=3, height=5, width=4, filters=2, kernel=(2, 2)),
        DenseSpec(inputs=24, outputs=5),
        DenseSpec(inputs=5, outputs=3),
    )


@given(st.integers(1, 20), st.lists(st.integers(1, 9), max_size=4), st.integers(2, 4))
def test_the_layers_for_a_table_chain_from_its_bits_to_its_classes(bits: int, widths: list[int], classes: int) -> None:
    architecture = Architecture(hidden=tuple(DenseConfiguration(outputs=width) for width in widths))
    specs = architecture.specs(table_schema(bits, classes))
    assert [spec.outputs for spec in specs[:-1]] == widths
    assert specs[0].inputs == bits
    assert all(before.outputs == after.inputs for before, after in pairwise(specs))
    assert specs[-1].outputs == (1 if classes == 2 else classes)


def test_the_last_layer_has_its_own_weights() -> None:
    architecture = Architecture(hidden=(CONVOLUTION, DenseConfiguration(outputs=2, weights=7)), output_weights="binary")
    assert architecture.weights == ("ternary", 7, "binary")


@pytest.mark.parametrize(
    ("hidden", "field", "words"),
    [
        ((DENSE, CONVOLUTION), "hidden[1]", "needs an image"),
        ((CONVOLUTION, DENSE, CONVOLUTION), "hidden[2]", "needs an image"),
        ((ConvolutionConfiguration(filters=1, kernel=9),), "hidden[0]", "does not fit"),
        ((CONVOLUTION, ConvolutionConfiguration(filters=1, kernel=5)), "hidden[1]", "does not fit"),
        ((ConvolutionConfiguration(filters=1, kernel=2, padding=2),), "hidden[0]", "padding"),
    ],
)
def test_a_convolution_that_does_not_fit_is_refused_by_name(
    hidden: tuple[DenseConfiguration | ConvolutionConfiguration, ...], field: str, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        Architecture(hidden=hidden).specs(picture_schema(6, 8))
    assert caught.value.field == field


def test_a_convolution_of_a_table_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="needs an image") as caught:
        Architecture(hidden=(CONVOLUTION,)).specs(table_schema(48))
    assert caught.value.field == "hidden[0]"
    assert caught.value.hint


@pytest.mark.parametrize("weights", [1, 64, -3, "quaternary"])
def test_weights_are_named_or_have_a_sensible_bound(weights: int | str) -> None:
    with pytest.raises(ValidationError):
        DenseConfiguration.model_validate({"outputs": 3, "weights": weights})
