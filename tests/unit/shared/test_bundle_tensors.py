"""From a network to the tensors of a bundle and back; what does not fit is named."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from epaas_shared.bundle import BundleManifest, DenseSpec, network_from_tensors, network_to_tensors
from epaas_shared.digest import digest_bytes
from epaas_shared.errors import InvalidBundle
from epaas_shared.network import DenseLayer, Network

INT16, INT32 = np.iinfo(np.int16), np.iinfo(np.int32)


def specs(network: Network) -> tuple[DenseSpec, ...]:
    return tuple(DenseSpec(inputs=layer.inputs, outputs=layer.outputs) for layer in network.layers)


def example() -> tuple[tuple[DenseSpec, ...], dict[str, NDArray[np.generic]]]:
    network = Network(
        (
            DenseLayer(np.array([[1, -1, 0], [0, 1, 1]]), np.array([0, 2])),
            DenseLayer(np.array([[INT16.min, INT16.max]]), np.array([INT32.min])),
        )
    )
    return specs(network), network_to_tensors(network)


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
    again = network_from_tensors(specs(network), tensors)
    for before, after in zip(network.layers, again.layers, strict=True):
        assert after.weights.dtype == after.thresholds.dtype == np.int64
        assert (after.weights == before.weights).all()
        assert (after.thresholds == before.thresholds).all()


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
        "layers": [{"inputs": 1, "outputs": 1}],
        "files": {"weights.safetensors": "2" * 64},
        "provenance": {
            "command": "c", "seed": 0, "data": "d", "data_digest": "3" * 64, "split": "s",
            "configuration": {"hidden": []}, "versions": {"epaas": "0"}, "created": "now",
        },
    }  # fmt: skip
    return BundleManifest.model_validate({**document, **changes})


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
        {"layers": [{"inputs": 0, "outputs": 1}]},
        {"layers": [{"inputs": 1, "outputs": 1, "kind": "pickle"}]},
        {"format": "epaas-bundle/2"},
        {"output": "scores"},
        {"profile": "0"},
        {"extra": 1},
    ],
)
def test_a_manifest_with_an_impossible_field_is_none(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        manifest(**change)
