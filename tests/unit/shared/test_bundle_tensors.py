"""From a network to the tensors of a bundle and back; what does not fit is named."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from epaas_shared.bundle import (
    BundleManifest,
    ConvolutionSpec,
    DenseSpec,
    network_from_tensors,
    network_to_tensors,
    specs_of,
)
from epaas_shared.digest import digest_bytes
from epaas_shared.errors import InvalidBundle
from epaas_shared.heads import LabelArgmax, Scores
from epaas_shared.layers import ConvolutionLayer, DenseLayer
from epaas_shared.network import Network
from epaas_shared.scores import ScoreScale

INT16, INT32 = np.iinfo(np.int16), np.iinfo(np.int32)


def example() -> tuple[tuple[DenseSpec | ConvolutionSpec, ...], dict[str, NDArray[np.generic]]]:
    network = Network(
        (
            ConvolutionLayer(np.array([[[[1], [-1]]]]), np.array([-1]), height=3, width=1),
            DenseLayer(np.array([[INT16.min, INT16.max]]), np.array([INT32.min])),
        )
    )
    return specs_of(network), network_to_tensors(network)


@given(st.lists(st.integers(1, 5), min_size=2, max_size=4), st.data())
def test_a_network_comes_back_from_its_tensors(widths: list[int], data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 2**32))
    random = np.random.default_rng(seed)
    network = Network(
        tuple(
            DenseLayer(
                random.integers(INT16.min, INT16.max, (p, d), endpoint=True),
                random.integers(INT32.min, INT32.max, p, endpoint=True),
            )
            for d, p in pairwise(widths)
        )
    )
    tensors = network_to_tensors(network)
    assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.int16), np.dtype(np.int32)}
    again = network_from_tensors(specs_of(network), tensors)
    for before, after in zip(network.layers, again.layers, strict=True):
        assert after.weights.dtype == after.thresholds.dtype == np.int64
        assert (after.weights == before.weights).all()
        assert (after.thresholds == before.thresholds).all()


SCALE = ScoreScale(bits=2, minimum=-3, step=2)


@given(
    channels=st.integers(1, 3), filters=st.integers(1, 3), height=st.integers(2, 5), width=st.integers(2, 5),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)), padding=st.tuples(st.integers(0, 1), st.integers(0, 1)),
    scale=st.none() | st.just(SCALE), seed=st.integers(0, 2**32),
)  # fmt: skip
def test_a_convolution_comes_back_from_its_tensors(
    channels: int, filters: int, height: int, width: int,
    stride: tuple[int, int], padding: tuple[int, int], scale: ScoreScale | None, seed: int,
) -> None:  # fmt: skip
    random = np.random.default_rng(seed)
    weights, thresholds = random.integers(-3, 4, (filters, channels, 2, 2)), random.integers(-3, 4, filters)
    convolution = ConvolutionLayer(weights, thresholds, height, width, stride, padding)
    dense = DenseLayer(random.integers(-3, 4, (3, convolution.outputs)), random.integers(-3, 4, 3))
    head = Scores(3, scale) if scale else LabelArgmax(3)
    network = Network((convolution, dense), head)
    specs = specs_of(network)
    for spec, layer in zip(specs, network.layers, strict=True):
        assert (spec.inputs, spec.outputs) == (layer.inputs, layer.outputs)
    document = manifest(
        layers=[spec.model_dump(mode="json") for spec in specs], output="scores" if scale else "label", scores=scale
    )
    read = BundleManifest.model_validate_json(document.to_bytes())
    again = network_from_tensors(read.layers, network_to_tensors(network), read.scores)
    bits = random.integers(0, 2, (5, network.inputs)).astype(np.uint8)
    assert again.head == head
    assert again.evaluate(bits).tolist() == network.evaluate(bits).tolist()


@pytest.mark.parametrize(("part", "value"), [("weights", 2**15), ("weights", -(2**15) - 1), ("thresholds", 2**31)])
def test_a_number_beyond_the_format_is_not_written(part: str, value: int) -> None:
    parts = {"weights": np.array([[1, 0]]), "thresholds": np.array([0])}
    parts[part].flat[0] = value
    with pytest.raises(InvalidBundle) as caught:
        network_to_tensors(Network((DenseLayer(**parts),)))
    assert caught.value.field == f"layers.0.{part}"


NAMES = sorted(example()[1])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16, np.uint32, np.float32, np.bool_])
def test_a_tensor_of_another_type_is_named(name: str, dtype: type[Any]) -> None:
    layers, tensors = example()
    with pytest.raises(InvalidBundle) as caught:
        network_from_tensors(layers, {**tensors, name: tensors[name].astype(dtype)})
    assert caught.value.field == name


@pytest.mark.parametrize("name", NAMES)
def test_a_tensor_of_another_shape_is_named(name: str) -> None:
    layers, tensors = example()
    tensor = tensors[name]
    for wrong in (np.concatenate([tensor, tensor]), tensor[None], tensor.reshape(-1)[:1], tensor[:0]):
        if wrong.shape != tensor.shape:
            with pytest.raises(InvalidBundle) as caught:
                network_from_tensors(layers, {**tensors, name: wrong})
            assert caught.value.field == name


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_tensor_is_named(name: str) -> None:
    layers, tensors = example()
    del tensors[name]
    with pytest.raises(InvalidBundle) as caught:
        network_from_tensors(layers, tensors)
    assert caught.value.field == name


@pytest.mark.parametrize("name", ["layers.2.weights", "layers.0.bias", "x"])
def test_a_tensor_without_a_place_is_named(name: str) -> None:
    layers, tensors = example()
    with pytest.raises(InvalidBundle) as caught:
        network_from_tensors(layers, {**tensors, name: np.zeros(1, np.int16)})
    assert caught.value.field == name


def manifest(**changes: Any) -> BundleManifest:
    document = {
        "name": "toy",
        "title": "toy",
        "profile": "0" * 64,
        "input_schema": "1" * 64,
        "layers": [{"kind": "dense", "inputs": 1, "outputs": 1}],
        "files": {"weights.safetensors": "2" * 64},
        "provenance": {
            "command": "c", "seed": 0, "data": "d", "data_digest": "3" * 64, "split": "s",
            "configuration": {"hidden": []}, "versions": {"epaas": "0"}, "created": "now",
        },
    }  # fmt: skip
    return BundleManifest.model_validate({**document, **changes})


CONVOLUTION = {
    "kind": "convolution", "channels": 1, "height": 3, "width": 2, "filters": 1,
    "kernel": [2, 2], "stride": [1, 1], "padding": [0, 0],
}  # fmt: skip


def test_what_a_manifest_leaves_open_is_not_written() -> None:
    assert not {"scores", "measured_ranges"} & json.loads(manifest().to_bytes()).keys()
    ranges = [{"minimum": -1, "maximum": 1, "records": 5}]
    full = manifest(layers=[CONVOLUTION], output="scores", scores=SCALE, measured_ranges=ranges)
    written = json.loads(full.to_bytes())
    assert (written["layers"], written["measured_ranges"]) == ([CONVOLUTION], ranges)
    assert written["scores"] == {"bits": 2, "minimum": -3, "step": 2}
    assert BundleManifest.model_validate_json(full.to_bytes()) == full


def test_nothing_that_a_configuration_holds_is_left_out() -> None:
    origin = {**manifest().provenance.model_dump(), "configuration": {"schedule": None}}
    written = json.loads(manifest(provenance=origin).to_bytes())
    assert written["provenance"]["configuration"] == {"schedule": None}


def test_a_manifest_is_named_by_the_digest_of_its_bytes() -> None:
    one = manifest()
    assert one.digest == digest_bytes(one.to_bytes())
    assert BundleManifest.model_validate_json(one.to_bytes()) == one
    assert manifest(title="other").digest != one.digest


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../etc"},
        {"name": "Upper"},
        {"name": "-a"},
        {"name": "a\n"},
        {"files": {"../x.json": "2" * 64}},
        {"files": {"x.pkl": "2" * 64}},
        {"files": {"report.json": "2" * 63}},
        {"layers": []},
        {"layers": [{"kind": "dense", "inputs": 0, "outputs": 1}]},
        {"layers": [{"inputs": 1, "outputs": 1, "kind": "pickle"}]},
        {"layers": [{**CONVOLUTION, "kernel": [4, 1]}]},
        {"layers": [{**CONVOLUTION, "kernel": [1, 3]}]},
        {"layers": [{**CONVOLUTION, "kernel": [1]}]},
        {"layers": [{**CONVOLUTION, "kernel": [0, 1]}]},
        {"layers": [{**CONVOLUTION, "stride": [0, 1]}]},
        {"layers": [{**CONVOLUTION, "padding": [2, 0]}]},
        {"layers": [{**CONVOLUTION, "padding": [-1, 0]}]},
        {"layers": [{**CONVOLUTION, "filters": 0}]},
        {"layers": [{**CONVOLUTION, "inputs": 6}]},
        {"format": "epaas-bundle/2"},
        {"output": "scores"},
        {"scores": {"bits": 1, "minimum": 0, "step": 1}},
        {"output": "scores", "scores": {"bits": 7, "minimum": 0, "step": 1}},
        {"output": "scores", "scores": {"bits": 0, "minimum": 0, "step": 1}},
        {"output": "scores", "scores": {"bits": 1, "minimum": 0, "step": 0}},
        {"measured_ranges": [{"minimum": 1, "maximum": 0, "records": 1}]},
        {"measured_ranges": [{"minimum": 0, "maximum": 1, "records": 0}]},
        {"profile": "0"},
        {"extra": 1},
    ],
)
def test_a_manifest_with_an_impossible_field_is_none(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        manifest(**change)
