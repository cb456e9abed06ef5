"""The twin decides exactly as the whole way of a record, and has slopes where the network has steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_making import HeadName, random_levels, random_subject, reference, schema, sign_subject

from epaas_models.reliability.robustness.gradient_checks import zero_gradients
from epaas_models.reliability.straight_through import PictureTwin, Twin, levels_of, pictures_of
from epaas_models.reliability.subject import Subject
from epaas_shared.heads import Scores
from epaas_shared.layers import DenseLayer
from epaas_shared.network import Network
from epaas_shared.schema import InputSchema
from epaas_shared.scores import ScoreScale

SEEDS = st.integers(0, 2**31)
HEADS: list[HeadName] = ["bit", "argmax", "scores"]


def decisions(subject: Subject, bits: np.ndarray) -> np.ndarray:
    return Twin(subject, bits)(torch.from_numpy(bits).float()).argmax(dim=1).numpy()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("convolution", [False, True])
@settings(max_examples=25)
@given(SEEDS)
def test_on_bits_the_twin_decides_as_the_network(head: HeadName, convolution: bool, seed: int) -> None:
    subject = random_subject(seed, head, convolution=convolution)
    bits = np.random.default_rng(seed).integers(0, 2, (40, subject.network.inputs), dtype=np.uint8)
    np.testing.assert_array_equal(decisions(subject, bits), subject.predict(bits))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("standardised", [False, True])
@settings(max_examples=25)
@given(SEEDS)
def test_on_pictures_the_twin_decides_as_the_whole_way(head: HeadName, standardised: bool, seed: int) -> None:
    subject, levels = random_subject(seed, head, standardised=standardised), random_levels(20, seed)
    bits = subject.schema.encode_columns({"image": levels})
    model = PictureTwin(subject, Twin(subject, bits))
    pictures = pictures_of(levels).requires_grad_()
    np.testing.assert_array_equal(model.bits(pictures).detach().numpy(), bits)
    np.testing.assert_array_equal(model(pictures).argmax(dim=1).numpy(), subject.predict_columns({"image": levels}))


@settings(max_examples=25)
@given(SEEDS, st.booleans())
def test_moved_pictures_have_the_bits_that_their_record_would_have(seed: int, standardised: bool) -> None:
    subject = random_subject(seed, "argmax", standardised=standardised)
    model = PictureTwin(subject, Twin(subject, reference(subject)))
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.rand((10, 1, 8, 8), generator=generator)
    encoded = subject.schema.encode_columns({"image": levels_of(pictures)})
    np.testing.assert_array_equal(model.bits(pictures).numpy(), encoded)


def test_every_grey_level_comes_back_as_itself() -> None:
    levels = np.arange(256.0).reshape(4, 8, 8)
    np.testing.assert_array_equal(levels_of(pictures_of(levels)), levels)


def test_equal_sums_are_told_apart_though_they_are_large() -> None:
    """In single precision a tie of large sums is nearly lost: the first of equals is still the greatest."""
    random = np.random.default_rng(0)
    weights = np.repeat(random.integers(0, 4000, (1, 10)), 5, axis=0)
    weights[2:4, 0] += 1
    subject = Subject(Network((DenseLayer(weights, np.zeros(5, dtype=np.int64)),)), table(5, 10), unit=0.37)
    bits = random.integers(0, 2, (200, 10), dtype=np.uint8)
    np.testing.assert_array_equal(decisions(subject, bits), subject.predict(bits))
    np.testing.assert_array_equal(np.unique(subject.predict(bits)), [0, 2])


def table(classes: int, bits: int) -> InputSchema:
    return schema(4).model_copy(update={"classes": tuple("abcdefgh"[:classes])})


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("standardised", [False, True])
def test_only_the_naive_twin_has_no_gradient(head: HeadName, standardised: bool) -> None:
    subject = random_subject(3, head, standardised=standardised)
    levels = random_levels(30, 4)
    labels = torch.from_numpy(subject.predict_columns({"image": levels}))
    bits = subject.schema.encode_columns({"image": levels})
    unit = 1.0 if head == "bit" else 3.0
    honest = PictureTwin(subject, Twin(subject, bits, unit=unit, reach=5.0), width=10.0)
    naive = PictureTwin(subject, Twin(subject, bits, unit=unit, naive=True))
    assert zero_gradients(naive, pictures_of(levels), labels) == 1.0
    assert zero_gradients(honest, pictures_of(levels), labels) < 0.1


def test_scores_beyond_their_scale_still_have_a_gradient() -> None:
    """All sums are above the greatest level, so that what a client sees does not change, but an attack must move on."""
    layer = DenseLayer(np.eye(4, 128, dtype=np.int64), np.full(4, -100))
    network = Network((layer,), Scores(4, ScoreScale(bits=2, minimum=0, step=1)))
    subject = Subject(network, schema(4), unit=1.0)
    model = PictureTwin(subject, Twin(subject, reference(subject)))
    levels = random_levels(10, 0)
    assert zero_gradients(model, pictures_of(levels), torch.zeros(10, dtype=torch.int64)) == 0.0


def test_a_picture_of_one_colour_has_finite_gradients() -> None:
    subject = random_subject(1, "argmax", standardised=True)
    model = PictureTwin(subject, Twin(subject, reference(subject)))
    pictures = torch.full((2, 1, 8, 8), 0.5, requires_grad=True)
    (gradient,) = torch.autograd.grad(model(pictures).sum(), pictures)
    assert torch.isfinite(gradient).all()


def test_other_units_and_reaches_decide_the_same() -> None:
    subject = sign_subject()
    bits = reference(subject)
    for unit, reach in ((0.1, 0.2), (50.0, 1.5)):
        twin = Twin(subject, bits, unit=unit, reach=reach)
        np.testing.assert_array_equal(twin(torch.from_numpy(bits).float()).argmax(dim=1).numpy(), subject.predict(bits))
