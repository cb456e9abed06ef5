"""Attacks against a second library at equal settings, and what every attack promises."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_making import SIDE, Smooth, attacked, quadrants, reference, sign_subject
from torch import Tensor, nn

from epaas_models.reliability.robustness import attacks
from epaas_models.reliability.robustness.attacks import targeted, untargeted
from epaas_models.reliability.straight_through import PictureTwin, Twin, pictures_of

BUDGET, STEP, STEPS = 0.1, 0.03, 7


def twin() -> PictureTwin:
    return PictureTwin(sign_subject(), Twin(sign_subject(), reference(sign_subject()), unit=10.0, reach=0.5))


def some_pictures(rows: int = 20) -> tuple[Tensor, Tensor]:
    levels, labels = quadrants(rows, seed=5)
    return pictures_of(levels), torch.from_numpy(labels)


def art_classifier(model: nn.Module):  # type: ignore[no-untyped-def]
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(
        model, loss=nn.CrossEntropyLoss(), input_shape=(1, SIDE, SIDE), nb_classes=4, clip_values=(0.0, 1.0)
    )


@pytest.fixture(params=["smooth", "twin"])
def model(request: pytest.FixtureRequest) -> nn.Module:
    return Smooth().eval() if request.param == "smooth" else twin()


def test_fgsm_is_that_of_art(model: nn.Module) -> None:
    from art.attacks.evasion import FastGradientMethod

    pictures, labels = some_pictures()
    theirs = FastGradientMethod(art_classifier(model), eps=BUDGET, batch_size=64).generate(
        pictures.numpy(), y=labels.numpy()
    )
    ours = attacks.fgsm(model, pictures, labels, budget=BUDGET)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-6)


def test_iterated_fgsm_is_that_of_art(model: nn.Module) -> None:
    from art.attacks.evasion import BasicIterativeMethod

    pictures, labels = some_pictures()
    theirs = BasicIterativeMethod(
        art_classifier(model), eps=BUDGET, eps_step=STEP, max_iter=STEPS, batch_size=64, verbose=False
    ).generate(pictures.numpy(), y=labels.numpy())
    *_, ours = attacks.iterate(model, pictures, untargeted(labels), budget=BUDGET, step=STEP, steps=STEPS)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-5)


def test_iterated_fgsm_at_a_class_is_that_of_art() -> None:
    from art.attacks.evasion import ProjectedGradientDescent

    model = Smooth().eval()
    pictures, _ = some_pictures()
    target = attacks.least_likely(model, pictures)
    theirs = ProjectedGradientDescent(
        art_classifier(model), eps=BUDGET, eps_step=STEP, max_iter=STEPS, targeted=True, batch_size=64, verbose=False
    ).generate(pictures.numpy(), y=target.numpy())
    *_, ours = attacks.iterate(model, pictures, targeted(target), budget=BUDGET, step=STEP, steps=STEPS)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-5)


def test_steps_made_here_are_those_that_foolbox_makes_at_a_stretch(model: nn.Module) -> None:
    from foolbox.attacks.basic_iterative_method import LinfBasicIterativeAttack

    pictures, labels = some_pictures()
    attack = LinfBasicIterativeAttack(abs_stepsize=STEP, steps=STEPS, random_start=False)
    theirs = attack.run(attacks.victim(model), pictures, untargeted(labels), epsilon=BUDGET)
    *_, ours = attacks.iterate(model, pictures, untargeted(labels), budget=BUDGET, step=STEP, steps=STEPS)
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-5)


def test_the_least_likely_class_has_the_greatest_loss() -> None:
    model = Smooth().eval()
    pictures, _ = some_pictures()
    losses = torch.stack(
        [nn.functional.cross_entropy(model(pictures), torch.full((20,), c), reduction="none") for c in range(4)]
    )
    assert torch.equal(attacks.least_likely(model, pictures), losses.argmax(dim=0))


def everything(budget: float, seed: int) -> dict[str, Callable[[], Tensor]]:
    model, (pictures, labels) = twin(), some_pictures(6)

    def last_step() -> Tensor:
        *_, last = attacks.iterate(model, pictures, untargeted(labels), budget=budget, step=budget / 2, steps=4)
        return last

    return {
        "fgsm": lambda: attacks.fgsm(model, pictures, labels, budget=budget),
        "iterate": last_step,
        "pgd": lambda: attacks.pgd(model, pictures, labels, budget=budget, step=budget / 2, steps=4, seed=seed),
        "noise": lambda: attacks.noise(pictures, budget=budget, seed=seed),
        "square": lambda: attacks.square(model, pictures, labels, budget=budget, queries=20, seed=seed),
        "autoattack": lambda: attacks.autoattack(
            "apgd-ce", model, pictures, labels, budget=budget, classes=4, seed=seed
        ),
    }


@settings(max_examples=5, deadline=None)
@given(st.floats(0.01, 0.6), st.integers(0, 2**31))
def test_attacks_stay_in_the_ball_and_between_black_and_white(budget: float, seed: int) -> None:
    pictures, _ = some_pictures(6)
    for name, attack in everything(budget, seed).items():
        found = attack()
        assert found.shape == pictures.shape, name
        assert (found - pictures).abs().max() <= budget + 1e-6, name
        assert found.min() >= 0, name
        assert found.max() <= 1, name


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 0.6), st.integers(0, 2**31))
def test_what_is_judged_is_in_the_ball_exactly(budget: float, seed: int) -> None:
    rows = attacked(10)
    anywhere = torch.rand(rows.pictures.shape, generator=torch.Generator().manual_seed(seed)) * 3 - 1
    levels = rows.within(anywhere, budget)
    assert levels.dtype == np.float64
    assert levels.min() >= 0
    assert levels.max() <= 255
    assert (levels <= rows.levels + budget * 255).all()
    assert (levels >= rows.levels - budget * 255).all()


def test_the_seed_decides_what_random_attacks_do_and_torch_does_not_notice() -> None:
    first = {name: attack() for name, attack in everything(0.2, 1).items()}
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    again = {name: attack() for name, attack in everything(0.2, 1).items()}
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    others = {name: attack() for name, attack in everything(0.2, 2).items()}
    assert not any(torch.equal(first[name], others[name]) for name in ("pgd", "noise"))


@pytest.mark.parametrize("classes", [2, 3, 4, 10])
def test_every_part_of_autoattack_runs_for_so_many_classes(classes: int) -> None:
    model = Smooth(classes).eval()
    pictures, _ = some_pictures(5)
    labels = model(pictures).argmax(dim=1)
    for part in attacks.autoattack_parts(classes):
        if part == "square":
            continue  # thousands of queries
        found = attacks.autoattack(part, model, pictures, labels, budget=0.9, classes=classes, seed=0)
        assert (model(found).argmax(dim=1) != labels).any(), part
