"""What is measured of a trained network: its representations, and what perturbed pictures do to it and to them.

All by name, as logs have them: accuracies are shares from 0 to 1, attacks are within budgets in the largest change of a
pixel. Knows no regularisers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from foolbox.attacks.deepfool import L2DeepFoolAttack
from foolbox.criteria import Misclassification
from foolbox.models.pytorch import PyTorchModel
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from epaas_models.experiments.learning import outputs_of, share_right
from epaas_models.experiments.low_rank.networks import POSITIONS, Parts, Position
from epaas_models.experiments.low_rank.pictures import Pictures
from epaas_models.label_noise.pgd import Threat, ascend, pgd
from epaas_models.low_rank.effective_rank import cut, effective_rank, singular_values, stable_rank, variance_ratio
from epaas_models.low_rank.max_margin import max_margin_model
from epaas_models.low_rank.penalised import inputs_of
from epaas_models.low_rank.stability import layer_cushion, relative_change, with_pixel_noise
from epaas_models.reliability.robustness.attacks import least_likely

Numbers = dict[str, float]

_AT_ONCE = 500
"""Rows under attack."""


class Measuring(BaseModel):
    """How thoroughly."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    budgets: tuple[float, ...] = (0.05, 0.1, 0.15)
    steps: tuple[int, ...] = (7, 20)
    relative_step: float = 0.25
    """Length of an attack's step, as a share of the budget."""
    attacked: int = Field(default=500, ge=1)
    """Test rows under attack."""
    deepfool_rows: int = Field(default=100, ge=1)
    spectrum_rows: int = Field(default=2000, ge=1)
    """Training rows whose representations' singular values and cushions are measured."""
    rank_of_sums: int = Field(default=20, ge=1)
    """To which sums are cut before they are rectified, to see what becomes of their rank (6.5)."""
    dimensions: tuple[int, ...] = (5, 10, 20)
    """Of compressed representations."""
    noise: tuple[float, ...] = (0.4, 0.6, 0.8, 1.0)
    """Probabilities that a pixel gets noise."""


def ranks(parts: Parts, pictures: Pictures, measuring: Measuring, device: str) -> Numbers:
    """Effective ranks and variance leakage of representations of training rows (6.4.1).

    And the rank of rectified sums, where the sums themselves had theirs cut (6.5).
    """
    measured = Numbers()
    for position in POSITIONS:
        rows = pictures.training[: measuring.spectrum_rows]
        values = singular_values(representations(parts, rows, device, position))
        measured[f"effective rank {position}"] = float(effective_rank(values))
        measured[f"stable rank {position}"] = stable_rank(values)
        for kept in measuring.dimensions:
            measured[f"variance leakage {position} {kept}"] = max(0.0, 1 - variance_ratio(values, kept))
    if parts.rectifier is not None:
        rows = pictures.training[: measuring.spectrum_rows]
        sums = inputs_of(parts.network, parts.rectifier, rows, device=device)
        rectified = cut(sums, measuring.rank_of_sums).relu()
        measured["rank of rectified"] = float(torch.linalg.matrix_rank(rectified))
    return measured


def cushions(parts: Parts, pictures: Pictures, measuring: Measuring, device: str) -> Numbers:
    """Median over training rows of the layer cushion of the last layer and of the last before it (6.4.3)."""
    measured = Numbers()
    rows = pictures.training[: measuring.spectrum_rows]
    for position, name in zip(POSITIONS, (parts.head, parts.last_of_block), strict=True):
        layer = parts.network.get_submodule(name)
        assert isinstance(layer, nn.Linear | nn.Conv2d)
        taken = inputs_of(parts.network, name, rows, device=device)
        measured[f"cushion {position}"] = _median(layer_cushion(layer.cpu(), taken))
        layer.to(device)
    return measured


def noise(parts: Parts, pictures: Pictures, measuring: Measuring, seed: int, device: str) -> Numbers:
    """Accuracy on test pictures with Gaussian noise on some pixels (Table 6.6)."""
    generator = torch.Generator().manual_seed(seed)
    return {
        f"noise {probability:g}": share_right(
            parts.network,
            with_pixel_noise(pictures.test, probability, generator),
            pictures.test_labels,
            device=device,
        )
        for probability in measuring.noise
    }


def attacks(
    box: str, parts: Parts, source: nn.Module, pictures: Pictures, measuring: Measuring, device: str
) -> Numbers:
    """Adversarial accuracy on pictures made on ``source``, the network itself or another (Tables 6.1 and 6.9).

    Beside it the accuracy, on the same pictures, of a hybrid max-margin model on the network's representations, and by
    how much they move these representations (Figure 6.7). ``box`` begins the names.
    """
    measured = Numbers()
    rows, labels = pictures.test[: measuring.attacked], pictures.test_labels[: measuring.attacked]
    clean = representations(parts, rows, device)
    hybrid = max_margin_model(
        representations(parts, pictures.training, device).numpy(), pictures.training_labels.numpy(), seed=0
    )
    for attack, attacked in _attacked(source, rows.to(device), labels.to(device), measuring):
        moved = representations(parts, attacked, device)
        measured[f"{box} {attack}"] = share_right(parts.network, attacked, labels, device=device)
        measured[f"{box} hybrid {attack}"] = float(hybrid.score(moved.numpy(), labels.numpy()))
        measured[f"{box} moved {attack}"] = _median(relative_change(clean, moved))
    return measured


def _attacked(model: nn.Module, rows: Tensor, labels: Tensor, measuring: Measuring) -> Iterator[tuple[str, Tensor]]:
    """Attacks with their budgets, and the pictures that they make of ``rows`` on ``model``."""
    for budget in measuring.budgets:
        yield f"FGSM {budget:.3g}", _in_parts(pgd, model, rows, labels, _threat(budget, budget, 1))
        for steps in measuring.steps:
            threat = _threat(budget, budget * measuring.relative_step, steps)
            yield f"Iter-FGSM-{steps} {budget:.3g}", _in_parts(pgd, model, rows, labels, threat)
        yield f"Iter-LL-FGSM-{steps} {budget:.3g}", _in_parts(_towards_least_likely, model, rows, labels, threat)


def _in_parts(
    attack: Callable[[nn.Module, Tensor, Tensor, Threat], Tensor],
    model: nn.Module,
    rows: Tensor,
    labels: Tensor,
    threat: Threat,
) -> Tensor:
    parts = zip(torch.split(rows, _AT_ONCE), torch.split(labels, _AT_ONCE), strict=True)
    return torch.cat([attack(model, some, true, threat).cpu() for some, true in parts])


def _towards_least_likely(model: nn.Module, rows: Tensor, _labels: Tensor, threat: Threat) -> Tensor:
    target = least_likely(model, rows)
    return ascend(lambda moved: -functional.cross_entropy(model(moved), target, reduction="sum"), rows, rows, threat)


def _threat(budget: float, step: float, steps: int) -> Threat:
    return Threat(budget=budget, step=step, steps=steps, random_start=False)


def deepfool(parts: Parts, pictures: Pictures, measuring: Measuring, device: str) -> Numbers:
    """rho of DeepFool (Table 6.4): the mean of ||change|| / ||picture|| over test rows that are right; 0 if none is."""
    rows, labels = pictures.test[: measuring.deepfool_rows], pictures.test_labels[: measuring.deepfool_rows]
    right = outputs_of(parts.network, rows, device=device).argmax(dim=1) == labels
    rows, labels = rows[right], labels[right]
    model = PyTorchModel(parts.network, bounds=(0, 1), device=device)
    attacked = L2DeepFoolAttack().run(model, rows.to(device), Misclassification(labels.to(device)))
    changes = relative_change(rows, attacked.cpu())
    return {"deepfool rho": float(changes.mean()) if len(changes) else 0.0}


def _median(values: Tensor) -> float:
    """0 without any: a network whose representations are all 0."""
    return float(values.median()) if len(values) else 0.0


def compression(parts: Parts, pictures: Pictures, measuring: Measuring, seed: int, device: str) -> Numbers:
    """Test accuracy of hybrid max-margin models on whole and on projected representations (Tables 6.7 and 6.8).

    ``hybrid`` learns what the network learnt, ``transfer`` the data set's own classes.
    """
    measured = Numbers()
    for position in POSITIONS:
        trained = representations(parts, pictures.training, device, position).numpy()
        tested = representations(parts, pictures.test, device, position).numpy()
        for dimensions in (None, *measuring.dimensions):
            model = max_margin_model(trained, pictures.training_labels.numpy(), seed=seed, dimensions=dimensions)
            measured[f"hybrid {position} {dimensions or 'all'}"] = float(model.score(tested, pictures.test_labels))
        model = max_margin_model(trained, pictures.training_fine.numpy(), seed=seed)
        measured[f"transfer {position}"] = float(model.score(tested, pictures.test_fine))
    return measured


def representations(parts: Parts, rows: Tensor, device: str, position: Position = "head") -> Tensor:
    """What comes into the head, or into the last block, for pictures ``rows``: (n, m)."""
    return inputs_of(parts.network, parts.place(position), rows, device=device).flatten(1)
