"""The network in torch: what it decides in evaluation mode is what the exported integers decide, to the last unit."""

from __future__ import annotations

from math import erf, sqrt

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_making import as_floats, fresh_network, picture_schema, random_bits, same_network, table_schema

from epaas_models.architecture import Architecture, ConvolutionConfiguration, DenseConfiguration, LayerConfiguration
from epaas_models.binary_network import BinaryNetwork, HiddenLayer
from epaas_models.confidence import class_sums
from epaas_models.objective import Examples
from epaas_models.training import FixedExamples, train
from epaas_models.training_configuration import TrainingConfiguration
from epaas_shared.bundle import ConvolutionSpec, DenseSpec
from epaas_shared.heads import Scores
from epaas_shared.schema import InputSchema
from epaas_shared.scores import ScoreScale

WEIGHTS = st.sampled_from(["binary", "ternary", 3])
SEEDS = st.integers(0, 2**20)


@st.composite
def tasks(draw: st.DrawFn) -> tuple[InputSchema, Architecture]:
    """A picture of 6 by 5 or a table, two or three classes, and an architecture that fits."""
    classes, pictures = draw(st.integers(2, 3)), draw(st.booleans())
    hidden: list[LayerConfiguration] = []
    if pictures:
        kernel = draw(st.integers(1, 3))
        hidden.append(
            ConvolutionConfiguration(
                filters=draw(st.integers(1, 3)),
                kernel=kernel,
                stride=draw(st.integers(1, 2)),
                padding=draw(st.integers(0, kernel - 1)),
                weights=draw(WEIGHTS),
            )
        )
    for _ in range(draw(st.integers(0, 2))):
        hidden.append(DenseConfiguration(outputs=draw(st.integers(1, 5)), weights=draw(WEIGHTS)))
    schema = picture_schema(6, 5, classes=classes) if pictures else table_schema(draw(st.integers(1, 12)), classes)
    return schema, Architecture(hidden=tuple(hidden), output_weights=draw(WEIGHTS))


def a_little_trained(schema: InputSchema, architecture: Architecture, seed: int) -> BinaryNetwork:
    """After a few large steps, so that norms have learnt scales and shifts."""
    network = fresh_network(schema, architecture, seed)
    labels = np.random.default_rng(seed).integers(0, len(schema.classes), 60)
    examples = Examples(random_bits(60, schema.bits, seed), labels)
    train(network, FixedExamples(examples), TrainingConfiguration(epochs=2, batch_size=20, learning_rate=0.3), seed)
    return network


@settings(max_examples=25)
@given(tasks(), SEEDS)
def test_the_exported_integers_have_the_sums_of_torch(task: tuple[InputSchema, Architecture], seed: int) -> None:
    schema, architecture = task
    network = a_little_trained(schema, architecture, seed)
    exported, bits = network.export(), random_bits(50, schema.bits, seed + 1)
    with torch.no_grad():
        sums, logits = network.class_sums(as_floats(bits)).numpy(), network(as_floats(bits)).numpy()
    np.testing.assert_array_equal(class_sums(exported, bits), sums)
    decided = logits.argmax(axis=1) if len(schema.classes) > 2 else (logits[:, 0] >= 0).astype(int)
    assert exported.predict(bits) == decided.tolist()
    assert [layer.inputs for layer in exported.layers] == [spec.inputs for spec in architecture.specs(schema)]


@settings(max_examples=20)
@given(tasks(), SEEDS)
def test_exported_weights_are_as_fine_as_they_were_asked_for(task: tuple[InputSchema, Architecture], seed: int) -> None:
    schema, architecture = task
    network = a_little_trained(schema, architecture, seed)
    for layer, latent, weights in zip(network.export().layers, network.layers, architecture.weights, strict=True):
        allowed = {-1, 1} if weights == "binary" else set(range(-3, 4)) if weights == 3 else {-1, 0, 1}
        assert set(np.unique(layer.weights).tolist()) <= allowed
        assert float(latent.latent.detach().abs().max()) <= 1


def hidden_layer(convolution: bool) -> HiddenLayer:
    """With scales and shifts as training might have made them, one scale negative."""
    torch.manual_seed(3)
    spec: ConvolutionSpec | DenseSpec = DenseSpec(inputs=12, outputs=4)
    if convolution:
        spec = ConvolutionSpec(channels=1, height=3, width=4, filters=4, kernel=(2, 2), stride=(1, 2), padding=(1, 0))
    layer = HiddenLayer(spec, 3)
    with torch.no_grad():
        layer.norm.weight.copy_(torch.tensor([1.0, -0.7, 0.4, 2.0]))
        layer.norm.bias.copy_(torch.tensor([0.0, 0.3, -0.5, 1.0]))
    return layer.train()


@pytest.mark.parametrize("convolution", [False, True])
@pytest.mark.parametrize("limit", [0.5, 2.0, 4.0])
def test_the_excess_is_that_of_the_plain_definition(convolution: bool, limit: float) -> None:
    layer, bits = hidden_layer(convolution), random_bits(30, 12)
    layer.limit = limit
    layer(as_floats(bits))
    integers = layer.sums.integers().to(torch.int64).numpy()
    plain = layer.sums.spec.layer(integers, np.zeros(4, dtype=np.int64))
    sums = plain.sums(bits).reshape(30, 4, -1).astype(float)  # records, norms, places
    mean, deviation = sums.mean(axis=(0, 2)), np.sqrt(sums.var(axis=(0, 2)) + layer.norm.eps)
    weight, bias = layer.norm.weight.detach().numpy(), layer.norm.bias.detach().numpy()
    thresholds = mean - bias * deviation / weight
    beyond = np.maximum(np.abs(sums - thresholds[None, :, None]) - limit, 0) / limit
    assert layer.excess.item() == pytest.approx(float(np.mean(beyond**2)), rel=1e-3)
    assert layer.excess.item() > 0


@pytest.mark.parametrize("convolution", [False, True])
def test_there_is_no_excess_within_the_limit(convolution: bool) -> None:
    layer = hidden_layer(convolution)
    layer.limit = 100.0
    layer(as_floats(random_bits(30, 12)))
    assert layer.excess.item() == 0


def test_the_excess_pulls_sums_towards_their_thresholds() -> None:
    layer, bits = hidden_layer(False), as_floats(random_bits(30, 12))
    layer.limit = 1.0
    layer(bits)
    before = layer.excess.item()
    layer.excess.backward()  # type: ignore[no-untyped-call]
    assert layer.sums.latent.grad is not None
    with torch.no_grad():
        layer.sums.latent -= 0.5 * layer.sums.latent.grad
    layer(bits)
    assert layer.excess.item() < before


def test_noise_is_in_units_of_the_sum() -> None:
    """One weight of 1 on a bit: sums are half a unit from their threshold, or one deviation of the noise."""
    layer = HiddenLayer(DenseSpec(inputs=1, outputs=1), "binary").train()
    with torch.no_grad():
        layer.sums.latent.fill_(0.5)
        layer.norm.weight.fill_(7.0)  # whatever the scale
    layer.noise = 0.5
    bits = as_floats(np.tile(np.array([[0], [1]], dtype=np.uint8), (10_000, 1)))
    torch.manual_seed(0)
    flipped = float((layer(bits) != bits).float().mean())
    assert flipped == pytest.approx(0.5 * (1 - erf(1 / sqrt(2))), abs=0.012)


def test_noise_is_for_training_only() -> None:
    schema = table_schema(12)
    network = a_little_trained(schema, Architecture(hidden=(DenseConfiguration(outputs=5),)), 0)
    bits, exported = as_floats(random_bits(50, 12)), network.export()
    silent = network.class_sums(bits)
    network.hidden_layers[0].noise = 5.0
    assert torch.equal(network.class_sums(bits), silent)
    assert same_network(network.export(), exported)
    network.train()
    assert not torch.equal(network.class_sums(bits), network.class_sums(bits))


def test_the_head_of_the_export_may_be_chosen() -> None:
    network = a_little_trained(table_schema(6, 3), Architecture(), 0)
    head = Scores(3, ScoreScale(bits=2, minimum=-3, step=2))
    assert network.export(head).head == head
    assert network.export().head != head
