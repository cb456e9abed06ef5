"""Attacks that look for the nearest picture that is misclassified, instead of any within a budget (equation 3.14)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from foolbox.attacks.deepfool import L2DeepFoolAttack, LinfDeepFoolAttack
from foolbox.attacks.hop_skip_jump import HopSkipJumpAttack
from numpy.typing import NDArray
from torch import Tensor, nn

from epaas_models.reliability.robustness.attacked_pictures import AttackedPictures
from epaas_models.reliability.robustness.attacks import FOOLBOX, seeded, untargeted, victim
from epaas_models.reliability.robustness.outcomes import Gradient, Knowledge, Outcome, Settings
from epaas_shared.features import WHITE
from epaas_shared.report.robustness import MinimalPerturbation

_CANDIDATES = 10
"""Classes that DeepFool goes for, the likeliest ones; those of its authors."""
BISECTIONS = 10
_NOISE = 1e-6
"""By how much a distance may exceed a budget through single precision; a share of the range from black to white."""


@dataclass(frozen=True)
class Nearest:
    """What a minimal attack found. ``found`` (n,): rows that were right and no longer are; of all rows, the distance in
    the greatest change of a pixel, a share of the range, and ||change||2 / ||picture||2 (thesis 6.4, rho)."""

    right: NDArray[np.bool_]
    found: NDArray[np.bool_]
    distance: NDArray[np.float64]
    rho: NDArray[np.float64]

    def section(self, attack: str) -> MinimalPerturbation:
        rows, found = int(self.right.sum()), self.found
        return MinimalPerturbation(
            attack=attack,
            library=FOOLBOX,
            rows=rows,
            found=float(found.sum() / rows) if rows else 0.0,
            median=float(np.median(self.distance[found])) if found.any() else None,
            rho=float(np.mean(self.rho[found])) if found.any() else None,
        )

    def outcome(
        self,
        name: str,
        budgets: Sequence[float],
        *,
        knowledge: Knowledge,
        gradient: Gradient,
        settings: Settings,
    ) -> Outcome:
        """The same as an attack over budgets, which succeeds where what it found is near enough."""
        changed = np.array([self.found & (self.distance <= budget + _NOISE) for budget in budgets])
        return Outcome(
            name=name,
            library=FOOLBOX,
            knowledge=knowledge,
            gradient=gradient,
            budgets=tuple(budgets),
            wrong=changed | ~self.right,
            changed=changed,
            stops_at_success=True,
            settings=settings,
        )


def deepfool(model: nn.Module, rows: AttackedPictures, *, norm: Literal["linf", "l2"], steps: int) -> Nearest:
    """To the nearest boundary of the linearised model, again and again (Moosavi-Dezfooli et al. 2016).

    A network of steps is not near its linearisation, so that the last move goes far beyond the boundary: it is halved.
    """
    kind = LinfDeepFoolAttack if norm == "linf" else L2DeepFoolAttack
    attack = kind(steps=steps, candidates=_CANDIDATES)
    attacked: Tensor = attack.run(victim(model), rows.pictures, untargeted(torch.from_numpy(rows.labels)))
    return nearest(rows, bisected(rows, attacked))


@torch.no_grad()
def hop_skip_jump(
    model: nn.Module, rows: AttackedPictures, starts: AttackedPictures, *, steps: int, queries: int, seed: int
) -> Nearest:
    """Along the boundary, which is felt by decisions alone (Chen et al. 2020), in the norm of the greatest change.

    A row begins at the nearest of ``starts`` that is taken for another class; rows that have none stay as they are.
    ``queries`` are those of the first step's gradient.
    """
    begin = _other_class(rows, starts)
    attacked = rows.pictures.clone()
    chosen = torch.from_numpy((rows.clean == rows.labels) & (begin >= 0))
    if chosen.any():
        attack = HopSkipJumpAttack(steps=steps, initial_gradient_eval_steps=queries, constraint="linf")
        with seeded(seed):
            attacked[chosen] = attack.run(
                victim(model),
                rows.pictures[chosen],
                untargeted(torch.from_numpy(rows.labels)[chosen]),
                starting_points=starts.pictures[torch.from_numpy(begin)[chosen]],
            )
    return nearest(rows, attacked)


def bisected(rows: AttackedPictures, attacked: Tensor) -> Tensor:
    """The last mistaken picture on the way from each attacked picture back to its row, (n, 1, height, width)."""
    near, far = rows.pictures, attacked
    for _ in range(BISECTIONS):
        middle = (near + far) / 2
        mistaken = torch.from_numpy(rows.judged(middle, 1.0) != rows.labels)[:, None, None, None]
        near, far = torch.where(mistaken, near, middle), torch.where(mistaken, middle, far)
    return far


def nearest(rows: AttackedPictures, attacked: Tensor) -> Nearest:
    """How far pictures (n, 1, height, width) are from the rows, and which the whole way of a record mistakes."""
    levels = rows.within(attacked, 1.0)
    change = (levels - rows.levels).reshape(len(rows), -1) / WHITE
    lengths = np.linalg.norm(rows.levels.reshape(len(rows), -1) / WHITE, axis=1)
    right = rows.clean == rows.labels
    return Nearest(
        right=right,
        found=right & (rows.predicted(levels) != rows.labels),
        distance=np.abs(change).max(axis=1),
        rho=np.linalg.norm(change, axis=1) / np.where(lengths > 0, lengths, 1.0),
    )


def _other_class(rows: AttackedPictures, starts: AttackedPictures) -> NDArray[np.int64]:
    """The index of the nearest start that is predicted as another class than the row's, or -1, (n,)."""
    flat = starts.levels.reshape(len(starts), -1)
    found = np.full(len(rows), -1)
    for row, (levels, label) in enumerate(zip(rows.levels, rows.labels, strict=True)):
        others = np.nonzero(starts.clean != label)[0]
        if len(others):
            found[row] = others[np.linalg.norm(flat[others] - levels.ravel(), axis=1).argmin()]
    return found
