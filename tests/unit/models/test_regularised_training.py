"""The thesis's regularisers in the training of binary networks: each does to the network what it is there for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional
from training_making import as_floats, fresh_network, same_state, separable, table_schema

from epaas_models import descent
from epaas_models.architecture import Architecture, DenseConfiguration
from epaas_models.binary_network import BinaryNetwork
from epaas_models.confidence import class_sums
from epaas_models.losses import Focal, LabelSmoothing
from epaas_models.objective import Examples, Objective, class_logits
from epaas_models.training import FixedExamples, train
from epaas_models.training_configuration import AdversarialBits, LowRankRegulariser, TrainingConfiguration

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
    found = Objective(network, configuration).loss(EXAMPLES, chosen, 0.0)
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
    "entry",
    [
        {"stable_rank": 0},
        {"stable_rank": 1},
        {"low_rank": {"rank": 0}},
        {"trimmed": 1},
        {"adversarial": {"bits": 0}},
        {"loss": {"kind": "x"}},
    ],
)
def test_what_makes_no_sense_is_refused(entry: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TrainingConfiguration.model_validate({"epochs": 1, **entry})


@pytest.mark.parametrize(
    ("trimmed", "share", "kept"), [(0.25, 1.0, 75), (0.25, 0.1, 75), (0.5, 0.05, 75), (0.9, 0.0, 100)]
)
def test_rows_with_the_largest_losses_are_left_out(trimmed: float, share: float, kept: int) -> None:
    network, chosen = fresh_network(SCHEMA, WIDE).train(), np.arange(100)
    found = Objective(network, changed(trimmed=trimmed)).loss(EXAMPLES, chosen, share)
    logits = class_logits(network(as_floats(EXAMPLES.bits[chosen]))).detach()
    losses = functional.cross_entropy(logits, torch.from_numpy(EXAMPLES.labels[chosen]), reduction="none")
    assert float(found.detach()) == pytest.approx(float(losses.sort().values[:kept].mean()), rel=1e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_wrong_labels_are_learnt_less_where_rows_are_trimmed(seed: int) -> None:
    """A tenth of 200 labels are wrong; how many of them a network large enough to learn them by heart gives back."""
    clean, wrong = separable(200, 40, seed), np.arange(20)
    labels = clean.labels.copy()
    labels[wrong] = 1 - labels[wrong]
    noisy = Examples(clean.bits, labels)

    def memorised(trimmed: float) -> float:
        network = fresh_network(table_schema(40), Architecture(hidden=(DenseConfiguration(outputs=64),)), seed)
        configuration = TrainingConfiguration(epochs=40, batch_size=40, learning_rate=0.02, trimmed=trimmed)
        train(network, FixedExamples(noisy), configuration, seed)
        found = class_logits(network(as_floats(noisy.bits))).detach().argmax(dim=1).numpy()
        return float((found == labels)[wrong].mean())

    assert memorised(0.25) < memorised(0.0) - 0.2


def flipped(network: BinaryNetwork, attack: AdversarialBits) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch before and after the attack."""
    bits, labels = as_floats(EXAMPLES.bits[:100]), torch.from_numpy(EXAMPLES.labels[:100])
    return bits, Objective(network, changed(adversarial=attack))._flipped(bits, labels, attack)


def test_an_attack_flips_a_few_bits_of_some_rows_and_hurts_more_than_chance() -> None:
    network = trained(changed(epochs=10)).train()
    bits, attacked = flipped(network, AdversarialBits(bits=3, share=0.6))
    flips = (bits != attacked).sum(dim=1)
    assert set(attacked.unique().tolist()) == {0.0, 1.0}
    assert int(flips.max()) == 3
    assert int(flips[60:].sum()) == 0
    assert network.training

    def right(inputs: torch.Tensor) -> float:
        network.eval()
        return float((class_logits(network(inputs)).argmax(dim=1).numpy() == EXAMPLES.labels[:100])[:60].mean())

    generator = torch.Generator().manual_seed(0)
    places = torch.rand(bits.shape, generator=generator).argsort(dim=1)[:, :3]
    by_chance = (bits - torch.zeros_like(bits).scatter_(1, places, 1.0)).abs()
    assert right(attacked) < right(by_chance) - 0.2


def one_strong_bit(rows: int, seed: int) -> Examples:
    """Bit 0 says the class 99 times in 100, each of the others 72 times: enough of them say it as surely."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, rows)
    says = random.random((rows, 24)) < np.array([0.99, *[0.72] * 23])
    return Examples(np.where(says, labels[:, None], 1 - labels[:, None]).astype(np.uint8), labels)


@pytest.mark.parametrize("seed", [0, 1])
def test_adversarial_training_resists_flips_of_any_bit(seed: int) -> None:
    """Share of other rows that no single flip of a bit makes wrong, by trying all of them."""
    rows = one_strong_bit(200, 99)
    every = rows.bits[:, None, :] ^ np.concatenate([np.zeros((1, 24), np.uint8), np.eye(24, dtype=np.uint8)])

    def resisting(attack: AdversarialBits | None) -> float:
        network = fresh_network(SCHEMA, WIDE, seed)
        train(network, FixedExamples(one_strong_bit(600, 0)), changed(epochs=10, adversarial=attack), seed)
        found = class_logits(network(as_floats(every.reshape(-1, 24)))).detach().argmax(dim=1).numpy()
        return float((found.reshape(200, 25) == rows.labels[:, None]).all(axis=1).mean())

    assert resisting(AdversarialBits(bits=1, share=1.0)) > resisting(None) + 0.02


def test_each_epoch_is_observed_with_its_loss() -> None:
    seen: list[tuple[int, float, bool]] = []
    network = fresh_network(SCHEMA, WIDE)
    train(
        network,
        FixedExamples(EXAMPLES),
        PLAIN,
        0,
        observe=lambda epochs, loss, found: seen.append((epochs, loss, found.training)),
    )
    assert [epochs for epochs, _, _ in seen] == [1, 2, 3, 4, 5, 6]
    assert seen[-1][1] < seen[0][1]
    assert not any(training for _, _, training in seen)
    assert same_state(network, trained(PLAIN)), "watching changes nothing"
