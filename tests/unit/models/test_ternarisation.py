"""Weight dropping: the weights that matter least become 0 and stay 0."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from training_making import fresh_network, picture_schema, separable, table_schema

from epaas_models.architecture import Architecture, ConvolutionConfiguration, DenseConfiguration, Weights
from epaas_models.binary_network import BinaryNetwork
from epaas_models.ternarisation import drop, dropped_share
from epaas_models.training import FixedExamples, train
from epaas_models.training_configuration import TrainingConfiguration

BINARY = Architecture(
    hidden=(
        ConvolutionConfiguration(filters=3, kernel=3, weights="binary"),
        DenseConfiguration(outputs=7, weights="binary"),
    ),
    output_weights="binary",
)


def network(seed: int = 0) -> BinaryNetwork:
    return fresh_network(picture_schema(), BINARY, seed)


@given(st.floats(0, 1), st.integers(0, 1000))
def test_exactly_the_smallest_weights_of_each_layer_are_dropped(share: float, seed: int) -> None:
    """Published code of the method drops the largest."""
    dropped = network(seed)
    drop(dropped, share)
    for layer in dropped.layers:
        magnitudes, kept = layer.latent.detach().abs().flatten(), layer.kept.flatten() == 1
        assert int((~kept).sum()) == round(share * len(kept))
        if 0 < int(kept.sum()) < len(kept):
            assert float(magnitudes[~kept].max()) <= float(magnitudes[kept].min())
        assert ((layer.integers().flatten() == 0) == ~kept).all()


def test_the_largest_weight_of_all_is_the_last_to_go() -> None:
    dropped = network()
    latent = dropped.output.sums.latent
    latent.data[0, 3] = -1.0
    drop(dropped, 6 / 7)
    assert dropped.output.sums.integers().tolist() == [[0, 0, 0, -1, 0, 0, 0]]


def test_weights_that_were_dropped_before_count_to_the_share() -> None:
    dropped = network()
    drop(dropped, 0.5)
    before = [layer.kept.clone() for layer in dropped.layers]
    for layer in dropped.layers:
        layer.latent.data[layer.kept == 1] *= 0.001  # now those that were dropped have the largest latent weights
    drop(dropped, 0.5)
    assert all(torch.equal(layer.kept, kept) for layer, kept in zip(dropped.layers, before, strict=True))
    drop(dropped, 0.75)
    for layer, kept in zip(dropped.layers, before, strict=True):
        assert int((layer.kept == 0).sum()) == round(0.75 * layer.kept.numel())
        assert (layer.kept <= kept).all()


@pytest.mark.parametrize("weights", ["binary", "ternary", 5])
def test_dropped_weights_stay_dropped_through_further_training(weights: Weights) -> None:
    architecture = Architecture(hidden=(DenseConfiguration(outputs=6, weights=weights),), output_weights=weights)
    trained = fresh_network(table_schema(10), architecture)
    drop(trained, 0.4)
    gone = [(layer.kept == 0).numpy() for layer in trained.layers]
    before = [layer.integers() for layer in trained.layers]
    configuration = TrainingConfiguration(epochs=3, batch_size=20, learning_rate=0.1)
    train(trained, FixedExamples(separable(200)), configuration, 0)
    for exported, layer, zeros, old in zip(trained.export().layers, trained.layers, gone, before, strict=True):
        assert zeros.any()
        assert not exported.weights[zeros].any()
        assert ((layer.kept == 0).numpy() == zeros).all()
        assert not torch.equal(layer.integers(), old)  # the others did learn


def test_the_share_that_was_dropped_is_of_all_weights() -> None:
    dropped = network()
    assert dropped_share(dropped) == 0
    drop(dropped, 0.5)
    counts = [layer.kept.numel() for layer in dropped.layers]
    assert dropped_share(dropped) == pytest.approx(sum(round(count / 2) for count in counts) / sum(counts))
    zeros = sum(int((layer.weights == 0).sum()) for layer in dropped.export().layers)
    assert dropped_share(dropped) == pytest.approx(zeros / sum(counts))


@pytest.mark.parametrize("share", [-0.1, 1.1, np.nan])
def test_a_share_beyond_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        drop(network(), share)
