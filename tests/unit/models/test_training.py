"""The training loop: the same again from its seed, interrupted or not, and it learns what there is to learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from training_making import (
    as_floats,
    fresh_network,
    random_bits,
    same_state,
    separable,
    share_right,
    table_schema,
)

from epaas_models import training
from epaas_models.architecture import Architecture, DenseConfiguration
from epaas_models.binary_network import BinaryNetwork
from epaas_models.confidence import class_sums
from epaas_models.objective import Examples
from epaas_models.training import FixedExamples, fit_norms, train
from epaas_models.training_configuration import TrainingConfiguration
from epaas_shared.errors import ConfigurationError

SCHEMA = table_schema(10)
HIDDEN = Architecture(hidden=(DenseConfiguration(outputs=6),))
NEURON = Architecture()
SHORT = TrainingConfiguration(epochs=4, batch_size=16, learning_rate=0.02, noise=(0.5,))


class Shuffled:
    """Other examples in each epoch."""

    def __len__(self) -> int:
        return 100

    def epoch(self, number: int) -> Examples:
        return separable(100, seed=number)


def trained(seed: int, checkpoint: Path | None = None, network_seed: int = 0) -> BinaryNetwork:
    network = fresh_network(SCHEMA, HIDDEN, network_seed)
    train(network, Shuffled(), SHORT, seed, checkpoint=checkpoint)
    return network


def test_the_seed_decides_the_weights() -> None:
    first = trained(1)
    assert same_state(trained(1), first)
    assert not same_state(trained(2), first)


class Interrupted(Exception):
    """Somebody pulled the plug."""


@pytest.mark.parametrize("steps", [7, 12, 24])
def test_an_interrupted_run_goes_on_to_the_same_network(tmp_path: Path, steps: int) -> None:
    """6 steps an epoch: within the second epoch, at the end of the second, and at the very end."""

    def interrupt(done: int, total: int) -> None:
        assert total == 24
        if done == steps:
            raise Interrupted

    network, file = fresh_network(SCHEMA, HIDDEN), tmp_path / "checkpoint"
    with pytest.raises(Interrupted):
        train(network, Shuffled(), SHORT, 1, interrupt, file)
    assert file.exists()
    resumed: list[int] = []
    other = fresh_network(SCHEMA, HIDDEN, seed=9)  # its own weights do not matter
    train(other, Shuffled(), SHORT, 1, lambda done, _: resumed.append(done), file)
    assert resumed == list(range((steps - 1) // 6 * 6 + 1, 25))
    assert same_state(other, trained(1))


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first = trained(1, tmp_path / "checkpoint")
    network = fresh_network(SCHEMA, HIDDEN, seed=9)
    train(network, Shuffled(), SHORT, 1, lambda *_: pytest.fail("trained again"), tmp_path / "checkpoint")
    assert same_state(network, first)


def test_the_checkpoint_of_another_network_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    trained(1, tmp_path / "checkpoint")
    other = fresh_network(SCHEMA, Architecture(hidden=(DenseConfiguration(outputs=7),)))
    with pytest.raises(ConfigurationError, match="another network") as caught:
        train(other, Shuffled(), SHORT, 1, checkpoint=tmp_path / "checkpoint")
    assert caught.value.field == str(tmp_path / "checkpoint")
    assert "remove" in str(caught.value.hint)


@pytest.mark.parametrize("kept", [0, 1, 100, 2000])
def test_a_checkpoint_that_was_cut_is_refused(tmp_path: Path, kept: int) -> None:
    file = tmp_path / "checkpoint"
    trained(1, file)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ConfigurationError, match="damaged"):
        trained(1, file)


def test_progress_counts_the_steps() -> None:
    seen: list[tuple[int, int]] = []
    examples = FixedExamples(separable(50))
    train(
        fresh_network(SCHEMA, NEURON),
        examples,
        TrainingConfiguration(epochs=2, batch_size=16),
        0,
        lambda *step: seen.append(step),
    )
    assert seen == [(done, 6) for done in range(1, 7)]


def test_without_epochs_only_the_norms_are_fitted() -> None:
    network, examples = fresh_network(SCHEMA, NEURON), separable(40)
    latent = network.output.sums.latent.detach().clone()
    train(network, FixedExamples(examples), TrainingConfiguration(epochs=0), 0)
    assert (network.output.sums.latent == latent).all()
    weights = network.output.sums.integers().numpy()
    assert network.output.statistics()[0].tolist() == pytest.approx((examples.bits @ weights.T).mean(axis=0).tolist())
    assert not network.training


@pytest.mark.parametrize(("rows", "at_once"), [(60, 60), (60, 20)])
def test_the_norms_have_the_statistics_of_the_sums(rows: int, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Means of all sums, and the mean over the batches of their variances, layer by layer."""
    monkeypatch.setattr(training, "_NORM_BATCH", at_once)
    network = fresh_network(SCHEMA, Architecture(hidden=(DenseConfiguration(outputs=6), DenseConfiguration(outputs=3))))
    bits = random_bits(rows, 10)
    fit_norms(network, bits)
    seen = bits
    for layer, exported in zip([*network.hidden_layers, network.output], network.export().layers, strict=True):
        sums = (seen @ layer.sums.integers().numpy().T).astype(float)
        parts = sums.reshape(-1, at_once, sums.shape[1])
        assert layer.norm.running_mean is not None
        assert layer.norm.running_var is not None
        assert layer.norm.running_mean.tolist() == pytest.approx(sums.mean(axis=0).tolist(), abs=1e-5)
        variances = parts.var(axis=1, ddof=1).mean(axis=0)
        assert layer.norm.running_var.tolist() == pytest.approx(variances.tolist(), abs=1e-5)
        seen = (exported.sums(seen) >= 0).astype(np.uint8)


def test_one_row_beyond_a_batch_does_not_stop_the_norms(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of a single row has no variance: the row is left out of the statistics."""
    monkeypatch.setattr(training, "_NORM_BATCH", 20)
    network, bits = fresh_network(SCHEMA, HIDDEN), random_bits(41, 10)
    fit_norms(network, bits)
    sums = bits[:40] @ network.hidden_layers[0].sums.integers().numpy().T
    mean = network.hidden_layers[0].norm.running_mean
    assert mean is not None
    assert mean.tolist() == pytest.approx(sums.mean(axis=0).tolist(), abs=1e-5)
    assert (network.class_sums(as_floats(bits)).detach().numpy() == class_sums(network.export(), bits)).all()


@pytest.mark.parametrize("architecture", [NEURON, HIDDEN])
def test_what_can_be_learnt_is_learnt(architecture: Architecture) -> None:
    network = fresh_network(SCHEMA, architecture)
    configuration = TrainingConfiguration(epochs=15, batch_size=32, learning_rate=0.03)
    train(network, FixedExamples(separable(400)), configuration, 0)
    assert share_right(network.export(), separable(500, seed=1)) >= 0.95


def test_what_cannot_be_learnt_is_not() -> None:
    network, labels = fresh_network(SCHEMA, HIDDEN), np.random.default_rng(5).integers(0, 2, 1400)
    bits = random_bits(1400, 10)
    configuration = TrainingConfiguration(epochs=4, batch_size=32, learning_rate=0.03)
    train(network, FixedExamples(Examples(bits[:400], labels[:400])), configuration, 0)
    assert share_right(network.export(), Examples(bits[400:], labels[400:])) == pytest.approx(0.5, abs=0.06)


def test_the_threshold_of_ternary_weights_follows_its_schedule() -> None:
    """Dead weights from a threshold near 1, none from one at 0; between them in the first half of the epochs."""
    network = fresh_network(SCHEMA, HIDDEN)
    seen = []

    class Watched(Shuffled):
        def epoch(self, number: int) -> Examples:
            seen.append({layer.threshold for layer in network.layers})
            return super().epoch(number)

    schedule = SHORT.model_copy(update={"ternary_threshold": (0.0, 0.8)})
    train(network, Watched(), schedule, seed=1)
    assert seen == [{0.0}, {0.4}, {0.8}, {0.8}, {0.8}], "four epochs, and the examples that the norms are fitted to"
    for layer in network.layers:
        assert (layer.integers() != 0).tolist() == (layer.latent.abs() > 0.8).tolist()
