"""The thesis's regularisers in the training of binary networks: each does to the network what it is there for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional
from training_making import as_floats, fresh_network, same_state, separable, table_schema

from epaas_models import descent, training
from epaas_models.architecture import Architecture, DenseConfiguration
from epaas_models.binary_network import BinaryNetwork
from epaas_models.confidence import class_sums
from epaas_models.losses import Focal, LabelSmoothing
from epaas_models.training import FixedExamples, LowRankRegulariser, TrainingConfiguration, class_logits, train

SCHEMA = table_schema(24)
WIDE = Architecture(hidden=(DenseConfiguration(outputs=32),))
EXAMPLES = separable(400, 24)
PLAIN = TrainingConfiguration(epochs=6, batch_size=32, learning_rate=0.02)


def trained(configuration: TrainingConfiguration, seed: int = 0, checkpoint: Path | None = None) -> BinaryNetwork:
    network = fresh_network(SCHEMA, WIDE, seed)
    train(network, FixedExamples(EXAMPLES), configuration, seed, checkpoint=checkpoint)
    return network


def changed(**entries: object) -> TrainingConfiguration:
    return PLAIN.model_copy(update=entries)


def stable_ranks(network: BinaryNetwork) -> list[float]:
    """By full SVD, of the latent weights."""
    spectra = [np.linalg.svd(layer.latent.detach().numpy().astype(float), compute_uv=False) for layer in network.layers]
    return [float((values**2).sum() / values[0] ** 2) for values in spectra]


def test_a_stable_rank_is_kept_and_the_scale_of_the_weights_too() -> None:
    plain, normalised = trained(PLAIN), trained(changed(stable_rank=0.2))
    assert stable_ranks(plain)[0] > 6
    assert 1 < stable_ranks(normalised)[0] <= 0.2 * 24 * 1.001
    assert stable_ranks(normalised)[1] == pytest.approx(1)
    weights = normalised.layers[0].integers()
    assert 0.05 < float((weights != 0).float().mean()) < 0.95


def test_the_network_is_an_ordinary_one_afterwards() -> None:
    """It exports to the integers that decide as it does, and can be trained on."""
    network = trained(changed(stable_rank=0.3))
    assert {name for name, _ in network.named_parameters()} == {
        name for name, _ in fresh_network(SCHEMA, WIDE).named_parameters()
    }
    sums = network.class_sums(as_floats(EXAMPLES.bits)).detach().numpy()
    np.testing.assert_array_equal(sums, class_sums(network.export(), EXAMPLES.bits))
    before = network.layers[0].latent.detach().clone()
    train(network, FixedExamples(EXAMPLES), PLAIN, 1)
    assert not torch.equal(before, network.layers[0].latent)


@pytest.mark.parametrize("entries", [{"stable_rank": 0.3}, {"low_rank": LowRankRegulariser(rank=3)}, {"loss": Focal()}])
def test_an_interrupted_regularised_run_goes_on_to_the_same_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: dict[str, object]
) -> None:
    configuration, checkpoint = changed(**entries), tmp_path / "checkpoint"
    whole = trained(configuration)
    real, saved = descent._save, []

    def interrupted(path: Path, epochs: int, parts: dict[str, descent.Stateful]) -> None:
        real(path, epochs, parts)
        saved.append(epochs)
        if epochs == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(descent, "_save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained(configuration, checkpoint=checkpoint)
    monkeypatch.setattr(descent, "_save", real)
    assert same_state(trained(configuration, checkpoint=checkpoint), whole)
    assert saved == [1, 2, 3]


def test_a_low_rank_layer_draws_the_hidden_bits_together() -> None:
    """The share of the bits' variance that the first directions hold, by SVD of centred bits, rises."""

    def share(network: BinaryNetwork) -> float:
        bits = network.hidden_bits(as_floats(EXAMPLES.bits)).detach().double().numpy()
        variances = np.linalg.svd(bits - bits.mean(axis=0), compute_uv=False) ** 2
        return float(variances[:2].sum() / variances.sum())

    regularised = changed(epochs=20, low_rank=LowRankRegulariser(rank=2, weight=3.0))
    assert share(trained(regularised)) > share(trained(changed(epochs=20))) + 0.1


def test_focal_loss_leaves_a_network_less_sure() -> None:
    """Of its own training rows, at about the same accuracy (thesis 7.3.2)."""

    def confidence(network: BinaryNetwork) -> tuple[float, float]:
        probabilities = class_logits(network(as_floats(EXAMPLES.bits)).detach()).softmax(dim=1)
        surest, found = probabilities.max(dim=1)
        return float(surest.mean()), float((found.numpy() == EXAMPLES.labels).mean())

    sure, right = confidence(trained(changed(epochs=20)))
    less_sure, as_right = confidence(trained(changed(epochs=20, loss=Focal(gamma=3.0))))
    assert less_sure < sure - 0.02
    assert as_right > right - 0.05


def test_the_loss_of_the_labels_is_the_configured_one() -> None:
    network, chosen = fresh_network(SCHEMA, WIDE).train(), np.arange(50)
    configuration = changed(loss=LabelSmoothing(smoothing=0.3))
    found = training._loss(network, EXAMPLES, chosen, configuration)
    log_probabilities = functional.log_softmax(class_logits(network(as_floats(EXAMPLES.bits[chosen]))).detach(), dim=1)
    labels = torch.from_numpy(EXAMPLES.labels[chosen])
    true, others = log_probabilities[range(50), labels], log_probabilities[range(50), 1 - labels]
    assert float(found.detach()) == pytest.approx(float(-(0.7 * true + 0.3 * others).mean()), rel=1e-5)


def test_schedules_see_how_far_training_is(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    real = Focal.__call__

    def watched(self: Focal, logits: torch.Tensor, labels: torch.Tensor, share: float) -> torch.Tensor:
        seen.append(share)
        return real(self, logits, labels, share)

    monkeypatch.setattr(Focal, "__call__", watched)
    trained(changed(loss=Focal()))
    assert sorted(set(seen)) == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])


@pytest.mark.parametrize(
    "entry", [{"stable_rank": 0}, {"stable_rank": 1}, {"low_rank": {"rank": 0}}, {"loss": {"kind": "x"}}]
)
def test_what_makes_no_sense_is_refused(entry: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TrainingConfiguration.model_validate({"epochs": 1, **entry})
