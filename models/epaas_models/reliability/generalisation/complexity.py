"""Sample complexity measures of thesis 4.4.3. They rank networks of one task and architecture; none is a bound here.

The thesis's networks have activations that never stretch a difference. Steps do, so that the two spectral measures say
how large the weights are beside the margins, and not how far a network can be from its test error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from epaas_models.reliability.generalisation.margins import distribution_if_any, margins
from epaas_models.reliability.generalisation.spectral import Spectrum
from epaas_models.reliability.straight_through import Twin
from epaas_models.reliability.subject import TIE, Subject
from epaas_shared.features import Bits
from epaas_shared.report.generalisation import Complexity

ROWS_AT_ONCE = 64
"""Rows whose gradients are taken together: it bounds the memory that a convolution's sums take."""


def log_spec_fro(spectra: Sequence[Spectrum], margin: NDArray[np.float64]) -> NDArray[np.float64]:
    """log of prod ||W_i||_2^2 * sum srank(W_i) / gamma^2 (Neyshabur et al.), a positive margin (n,) to (n,)."""
    stable_ranks = sum(each.stable_rank for each in spectra)
    found: NDArray[np.float64] = _log_product(spectra) + np.log(stable_ranks) - 2 * np.log(margin)
    return found


def log_spec_l1(spectra: Sequence[Spectrum], margin: NDArray[np.float64]) -> NDArray[np.float64]:
    """log of prod ||W_i||_2^2 * (sum (||W_i^T||_{2,1} / ||W_i||_2)^(2/3))^3 / gamma^2 (Bartlett et al.), as above."""
    ratios = sum((each.two_one / each.spectral_norm) ** (2 / 3) for each in spectra)
    found: NDArray[np.float64] = _log_product(spectra) + 3 * np.log(ratios) - 2 * np.log(margin)
    return found


def _log_product(spectra: Sequence[Spectrum]) -> float:
    return 2 * float(np.log([each.spectral_norm for each in spectra]).sum())


def jac_norm(twin: Twin, bits: Bits, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """sum ||h_i||_2 ||d gamma / d h_i||_2 / gamma (Wei and Ma), of rows (n, inputs) whose margin is not 0, to (n,).

    h_i is what layer i takes, the bits of the record first: one term a layer, so that a single neuron has one. Slopes
    are the twin's.
    """
    return np.concatenate([_jac_norm(twin, *part) for part in _parts(bits, labels)])


def _parts(bits: Bits, labels: NDArray[np.int64]) -> Iterator[tuple[Bits, NDArray[np.int64]]]:
    for start in range(0, len(bits), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        yield bits[part], labels[part]


def _jac_norm(twin: Twin, bits: Bits, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    *taken, sums = twin.activations(torch.from_numpy(bits).float().requires_grad_())
    logits, truth = twin.logits_of_sums(sums), torch.from_numpy(labels)[:, None]
    others = logits.scatter(1, truth, -torch.inf)
    margin = logits.gather(1, truth)[:, 0] - others.max(dim=1).values
    slopes = torch.autograd.grad(margin.sum(), taken)
    terms = [h.detach().norm(dim=1) * slope.norm(dim=1) for h, slope in zip(taken, slopes, strict=True)]
    found: NDArray[np.float64] = (torch.stack(terms).sum(dim=0) / margin.detach()).double().numpy()
    return found


def measure_complexity(
    subject: Subject, twin: Twin, spectra: Sequence[Spectrum], bits: Bits, labels: NDArray[np.int64]
) -> Complexity:
    """The three measures of the rows (n, inputs) with these true classes (n,) that are classified correctly.

    Left out are rows won by the order of the classes alone: their margin is 0 and its logarithm infinite. For the
    spectral measures it is in sums, as the weights are, whatever the unit of the logits.
    """
    in_sums = margins(subject.logits(bits), labels) * subject.unit
    clear = in_sums > TIE * len(subject.classes)
    margin = in_sums[clear]
    jacobian = jac_norm(twin, bits[clear], labels[clear]) if clear.any() else margin
    measurable = all(each.spectral_norm for each in spectra)
    return Complexity(
        spec_fro=distribution_if_any(log_spec_fro(spectra, margin)) if measurable else None,
        spec_l1=distribution_if_any(log_spec_l1(spectra, margin)) if measurable else None,
        jac_norm=distribution_if_any(np.log(jacobian[jacobian > 0])),
    )
