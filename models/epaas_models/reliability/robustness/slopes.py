"""Which gradients of a network of steps mislead it most: the unit of its logits, and how far slopes reach.

The decisions are the same with all of them. In the unit of sums a softmax saturates, so that the loss of a confident
row has next to no gradient (Gupta and Ajanthan 2020, arXiv 2003.13511). The reach that is good for training is too wide
for an attack, to which only neurons count that a small change can turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from epaas_models.reliability.robustness.attacked_pictures import AttackedPictures
from epaas_models.reliability.robustness.attacks import iterate, untargeted
from epaas_models.reliability.straight_through import PictureTwin, Twin
from epaas_models.reliability.subject import Subject
from epaas_shared.features import Bits

_MARGINS = (1.0, 5.0)
"""Median margins of logits that are tried."""
_REACHES = (0.35, 0.2, 0.5, 1.5)
"""Reaches of slopes that are tried, in spreads of a neuron's sums."""
_STEPS = 10


@dataclass(frozen=True)
class Slope:
    """One way to differentiate: the twin's logits have this median margin, its slopes this reach."""

    margin: float
    reach: float
    model: PictureTwin


def slopes(subject: Subject, reference: Bits) -> list[Slope]:
    """Every combination that is tried. ``reference`` are encoded rows, (n, inputs)."""
    ordered = np.sort(subject.logits(reference), axis=1)
    margin_in_sums = float(np.median(ordered[:, -1] - ordered[:, -2])) * subject.unit
    return [
        Slope(margin, reach, PictureTwin(subject, Twin(subject, reference, unit=margin_in_sums / margin, reach=reach)))
        for reach, margin in product(_REACHES, _MARGINS)
    ]


def most_misleading(candidates: Sequence[Slope], rows: AttackedPictures, budget: float) -> list[Slope]:
    """The candidates, the one whose Iter-FGSM of a few steps within ``budget`` leaves fewest rows right first."""
    step = 2.5 * budget / _STEPS
    return sorted(
        candidates,
        key=lambda slope: int((~misled(slope.model, rows, budget=budget, step=step, steps=_STEPS)).sum()),
    )


def misled(model: nn.Module, rows: AttackedPictures, *, budget: float, step: float, steps: int) -> NDArray[np.bool_]:
    """Whether a row is wrong as it is or after any step of Iter-FGSM, (n,)."""
    wrong: NDArray[np.bool_] = rows.clean != rows.labels
    criterion = untargeted(torch.from_numpy(rows.labels))
    for attacked in iterate(model, rows.pictures, criterion, budget=budget, step=step, steps=steps):
        wrong = wrong | (rows.judged(attacked, budget) != rows.labels)
    return wrong
