"""Attacks of well-kept libraries, foolbox and pyautoattack, behind one interface.

All take a ``model`` that maps pictures (n, 1, height, width) in [0, 1] to logits (n, classes), the pictures and their
classes, and return pictures within ``budget`` of them in every pixel. None says whether it succeeded: that is for
``attacked_pictures`` to judge. The random ones are deterministic given ``seed`` and leave torch's own generator as it
was.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import torch
from foolbox.attacks.basic_iterative_method import LinfBasicIterativeAttack
from foolbox.attacks.fast_gradient_method import LinfFastGradientAttack
from foolbox.attacks.projected_gradient_descent import LinfProjectedGradientDescentAttack
from foolbox.criteria import Misclassification, TargetedMisclassification
from foolbox.models.pytorch import PyTorchModel
from pyautoattack import AutoAttack
from pyautoattack.square import SquareAttack
from torch import Tensor, nn

from epaas_models.float_network import FloatNetwork
from epaas_shared.features import WHITE

FOOLBOX = f"foolbox {version('foolbox')}"
PYAUTOATTACK = f"pyautoattack {version('pyautoattack')}"

Criterion = Misclassification | TargetedMisclassification

_MOST_TARGETS = 9
"""Classes that targeted parts of AutoAttack try, as in its standard version."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """torch's generator begins at ``seed`` inside and goes on outside as if nothing had happened."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def untargeted(labels: Tensor) -> Misclassification:
    """Any class but the true one."""
    return Misclassification(labels)


def targeted(classes: Tensor) -> TargetedMisclassification:
    """Exactly these classes, (n,)."""
    return TargetedMisclassification(classes)


@torch.no_grad()
def least_likely(model: nn.Module, pictures: Tensor) -> Tensor:
    """The class of the least logit of each picture, (n,): the target of Iter-LL-FGSM (thesis, Algorithm 2)."""
    classes: Tensor = model(pictures).argmin(dim=1)
    return classes


def fgsm(model: nn.Module, pictures: Tensor, labels: Tensor, *, budget: float) -> Tensor:
    """One step of the whole budget along the sign of the gradient (equation 3.13)."""
    attacked: Tensor = LinfFastGradientAttack().run(victim(model), pictures, untargeted(labels), epsilon=budget)
    return attacked


def iterate(
    model: nn.Module, pictures: Tensor, criterion: Criterion, *, budget: float, step: float, steps: int
) -> Iterator[Tensor]:
    """The pictures after each step of Iter-FGSM, from where they are (Algorithm 1; targeted, Algorithm 2).

    A step is foolbox's; it goes round here so that every one of them can be judged (equations 3.15 and 3.16).
    """
    once = LinfBasicIterativeAttack(steps=1, abs_stepsize=step, random_start=False)
    attacked = pictures
    for _ in range(steps):
        moved = once.run(victim(model), attacked, criterion, epsilon=step)
        attacked = (pictures + (moved - pictures).clamp(-budget, budget)).clamp(0, 1)
        yield attacked


def pgd(
    model: nn.Module, pictures: Tensor, labels: Tensor, *, budget: float, step: float, steps: int, seed: int
) -> Tensor:
    """Projected gradient descent from a random place in the ball (Madry et al. 2018)."""
    attack = LinfProjectedGradientDescentAttack(steps=steps, abs_stepsize=step, random_start=True)
    with seeded(seed):
        attacked: Tensor = attack.run(victim(model), pictures, untargeted(labels), epsilon=budget)
    return attacked


def noise(pictures: Tensor, *, budget: float, seed: int) -> Tensor:
    """Every pixel moved by a uniform share of the budget, up or down: no attack, but what one must beat."""
    generator = torch.Generator().manual_seed(seed)
    moved = pictures + (2 * torch.rand(pictures.shape, generator=generator) - 1) * budget
    return moved.clamp(0, 1)


def square(model: nn.Module, pictures: Tensor, labels: Tensor, *, budget: float, queries: int, seed: int) -> Tensor:
    """Random squares, kept where the scores get worse; asks for logits only (Andriushchenko et al. 2020)."""
    attack = SquareAttack(model, norm="Linf", n_queries=queries, eps=budget, seed=seed, resc_schedule=True)
    with seeded(seed):
        attacked: Tensor = attack.perturb(pictures, labels)
    return attacked


def autoattack_parts(classes: int) -> tuple[str, ...]:
    """What AutoAttack's standard version is made of (Croce and Hein 2020); its targeted loss needs four classes."""
    return ("apgd-ce", "apgd-t", "fab-t", "square") if classes > 3 else ("apgd-ce", "fab", "square")


def autoattack(
    part: str, model: nn.Module, pictures: Tensor, labels: Tensor, *, budget: float, classes: int, seed: int
) -> Tensor:
    """One part of AutoAttack, with the settings that the standard version gives it."""
    attack = AutoAttack(model, norm="Linf", eps=budget, seed=seed, version="standard")
    attack.attacks_to_run = [part]
    attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = min(_MOST_TARGETS, classes - 1)
    tracer = sys.gettrace()
    try:
        with seeded(seed):
            attacked, _ = attack.run_standard_evaluation(pictures, labels, batch_size=len(labels))
    finally:
        sys.settrace(tracer)  # its check for dynamic defences takes away whatever traces us
    found: Tensor = attacked
    return found


def victim(model: nn.Module) -> PyTorchModel:
    """The model as foolbox wants it."""
    return PyTorchModel(model.eval(), bounds=(0, 1), device="cpu")


class Surrogate(nn.Module):
    """A float network of grey levels as a model of pictures in [0, 1], to make transferred examples on."""

    def __init__(self, network: FloatNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        logits: Tensor = self.network(pictures[:, 0] * WHITE)
        return logits
