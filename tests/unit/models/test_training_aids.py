"""What shapes a network beyond its labels: limits of its sums, noise to train against, a teacher's predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from training_making import as_floats, fresh_network, random_bits, separable, share_right, softmax, table_schema

from epaas_models.architecture import Architecture, DenseConfiguration
from epaas_models.objective import Examples, Objective, class_logits
from epaas_models.training import FixedExamples, train
from epaas_models.training_configuration import TrainingConfiguration
from epaas_shared.network import Network

WIDE = Architecture(hidden=(DenseConfiguration(outputs=16, weights="binary"),))
FINE = Architecture(hidden=(DenseConfiguration(outputs=8, weights=3),))


def learnt(examples: Examples, architecture: Architecture = WIDE, **options: Any) -> Network:
    network = fresh_network(table_schema(examples.bits.shape[1]), architecture)
    configuration = TrainingConfiguration(epochs=8, batch_size=32, learning_rate=0.02, **options)
    train(network, FixedExamples(examples), configuration, 0)
    return network.export()


def right_despite_errors(network: Network, examples: Examples, deviation: float) -> float:
    """Share of labels that are right although the hidden sums have errors."""
    hidden, output = network.layers
    sums = hidden.sums(examples.bits)
    sums = sums + np.random.default_rng(0).normal(0, deviation, sums.shape)
    return float(((output.sums(sums >= 0)[:, 0] >= 0) == examples.labels).mean())


def test_limits_keep_the_sums_near_their_thresholds() -> None:
    examples, held_out = separable(400, 40), separable(1000, 40, seed=1)
    free, limited = learnt(examples, FINE), learnt(examples, FINE, limits=(4,), limit_penalty=4.0)
    beyond = [float((np.abs(network.layers[0].sums(examples.bits)) > 4).mean()) for network in (free, limited)]
    assert beyond[1] < 0.5 * beyond[0]
    assert share_right(limited, held_out) > share_right(free, held_out) - 0.1


def test_a_limit_of_0_is_none() -> None:
    examples = separable(200)
    free, unlimited = learnt(examples), learnt(examples, limits=(0,), limit_penalty=4.0)
    assert (free.layers[0].weights == unlimited.layers[0].weights).all()


def test_noise_in_training_makes_a_network_that_bears_it() -> None:
    examples, held_out = separable(600, 20), separable(2000, 20, seed=1)
    calm, hardened = learnt(examples), learnt(examples, noise=(4.0,))
    assert right_despite_errors(hardened, held_out, 4.0) > right_despite_errors(calm, held_out, 4.0) + 0.03


def test_a_teacher_helps_where_labels_are_noisy() -> None:
    clean, held_out = separable(300, 20), separable(1000, 20, seed=1)
    wrong = np.random.default_rng(2).random(300) < 0.3
    logits = np.where(clean.labels[:, None] == np.arange(2), 4.0, -4.0).astype(np.float32)
    noisy = Examples(clean.bits, np.where(wrong, 1 - clean.labels, clean.labels), logits)
    alone = share_right(learnt(noisy), held_out)
    taught = share_right(learnt(noisy, distillation=0.9), held_out)
    assert taught > alone + 0.05


def plain_loss(
    logits: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], taught: np.ndarray[Any, Any], share: float, heat: float
) -> float:
    """(1 - share) of the cross entropy, and share of heat^2 times the divergence of the softened predictions."""
    entropy = -np.log(softmax(logits))[np.arange(len(labels)), labels].mean()
    wanted, given_ = softmax(taught / heat), softmax(logits / heat)
    divergence = (wanted * np.log(wanted / given_)).sum(axis=1).mean()
    return float((1 - share) * entropy + share * heat**2 * divergence)


@pytest.mark.parametrize(("share", "heat"), [(0.0, 2.0), (0.3, 2.0), (1.0, 1.0), (0.8, 5.0)])
def test_the_loss_is_that_of_hinton(share: float, heat: float) -> None:
    random = np.random.default_rng(4)
    labels, taught = random.integers(0, 3, 24), random.normal(0, 2, (24, 3)).astype(np.float32)
    bits, chosen = random_bits(24, 10), random.permutation(24)[:20]
    network = fresh_network(table_schema(10, 3), WIDE).train()
    configuration = TrainingConfiguration(epochs=1, distillation=share, distillation_temperature=heat)
    loss = Objective(network, configuration).loss(Examples(bits, labels, taught), chosen, 0.0).item()
    logits = network(as_floats(bits[chosen])).detach().double().numpy()
    assert loss == pytest.approx(plain_loss(logits, labels[chosen], taught[chosen], share, heat), rel=1e-4)


@given(st.lists(st.floats(-20, 20, width=32), min_size=1))
def test_a_single_output_is_the_logit_of_the_second_class(outputs: list[float]) -> None:
    logits = class_logits(torch.tensor(outputs)[:, None])
    probabilities = logits.softmax(dim=1)[:, 1].tolist()
    assert probabilities == pytest.approx([1 / (1 + np.exp(-output)) for output in outputs], abs=1e-6)


def test_several_outputs_are_logits_already() -> None:
    outputs = torch.randn(4, 3)
    assert class_logits(outputs) is outputs
