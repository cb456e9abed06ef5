"""How sensitive a float network is and how complex it looks beside its margins (thesis 4.2.2, 4.3.1 and 4.4.3).

Networks are in evaluation mode and on ``device``; rows are on the processor. Knows no training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from epaas_models.experiments.learning import outputs_of
from epaas_models.reliability.generalisation.complexity import log_spec_fro, log_spec_l1
from epaas_models.reliability.generalisation.margins import margins
from epaas_models.reliability.generalisation.sensitivity import empirical_lipschitz
from epaas_models.reliability.generalisation.spectral import Spectrum, spectrum

ROWS_AT_ONCE = 500
"""Rows whose gradients are taken together: up to 15 GB of memory with the widest of the thesis's networks."""

_LAYERS = (nn.Linear, nn.Conv2d)


def layer_spectra(network: nn.Module) -> list[Spectrum]:
    """By full singular value decomposition of what each linear and convolution layer computes with, flattened."""
    layers = [layer for layer in network.modules() if isinstance(layer, _LAYERS)]
    return [spectrum(layer.weight.detach().cpu().flatten(1).double().numpy()) for layer in layers]


def noise_sensitivity(
    network: nn.Module, inputs: Tensor, *, device: str = "cpu", draws: int = 5, seed: int = 0
) -> NDArray[np.float64]:
    """E ||f(x + eta ||x||) - f(x)||^2 / ||f(x)||^2 for each row (n, ...), to (n,); eta ~ N(0, I) (Equation (4.6)).

    The thesis takes the greatest of any row, which is that of the row whose outputs happen to be nearest to zero.
    """
    generator = torch.Generator().manual_seed(seed)
    lengths = inputs.flatten(1).norm(dim=1).reshape(-1, *[1] * (inputs.ndim - 1))
    outputs = outputs_of(network, inputs, device=device).double()
    moved = torch.zeros(len(inputs), dtype=torch.float64)
    for _ in range(draws):
        noise = torch.randn(inputs.shape, generator=generator)
        noisy = outputs_of(network, inputs + noise * lengths, device=device).double()
        moved += (noisy - outputs).square().sum(dim=1) / draws
    found: NDArray[np.float64] = (moved / outputs.square().sum(dim=1)).numpy()
    return found


def pair_lipschitz(network: nn.Module, inputs: Tensor, *, device: str = "cpu") -> NDArray[np.float64]:
    """||f(x) - f(y)|| / ||x - y|| of all pairs of rows (n, ...): the global empirical Lipschitz constant is the max."""
    outputs = outputs_of(network, inputs, device=device).double().numpy()
    return empirical_lipschitz(inputs.flatten(1).numpy(), outputs)


def jacobian_norms(network: nn.Module, inputs: Tensor, *, device: str = "cpu") -> NDArray[np.float64]:
    """Spectral norm of d f / d x at each row (n, ...), to (n,): local Lipschitz constants (Equation (4.3))."""
    return np.concatenate([_jacobian_norms(network, part.to(device)) for part in torch.split(inputs, ROWS_AT_ONCE)])


def _jacobian_norms(network: nn.Module, inputs: Tensor) -> NDArray[np.float64]:
    moved = inputs.detach().requires_grad_()
    outputs = network(moved)
    by_class = [torch.autograd.grad(column.sum(), moved, retain_graph=True)[0] for column in outputs.unbind(dim=1)]
    norms = torch.linalg.matrix_norm(torch.stack(by_class, dim=1).flatten(2), ord=2)
    found: NDArray[np.float64] = norms.cpu().double().numpy()
    return found


@dataclass(frozen=True)
class LogComplexity:
    """Natural logarithms of the sample complexity measures of 4.4.3, of rows classified correctly, (rows,) each."""

    spec_fro: NDArray[np.float64]
    spec_l1: NDArray[np.float64]
    jac_norm: NDArray[np.float64]


def log_complexity(
    network: nn.Module, inputs: Tensor, labels: Tensor, spectra: Sequence[Spectrum], *, device: str = "cpu"
) -> LogComplexity:
    """Of rows (n, ...) with these labels (n,), of which at least one is classified correctly."""
    margin = margins(outputs_of(network, inputs, device=device).double().numpy(), labels.numpy())
    right = margin > 0
    if not right.any():
        raise ValueError("no row is classified correctly, so that no margin is positive")
    clear = torch.from_numpy(right)
    jacobian = jac_norm(network, inputs[clear], labels[clear], device=device)
    return LogComplexity(log_spec_fro(spectra, margin[right]), log_spec_l1(spectra, margin[right]), np.log(jacobian))


def jac_norm(network: nn.Module, inputs: Tensor, labels: Tensor, *, device: str = "cpu") -> NDArray[np.float64]:
    """sum ||h_i||_2 ||d gamma / d h_i||_2 / gamma (Wei and Ma) of rows (n, ...) with margins that are not 0, to (n,).

    h_i is what the i-th linear or convolution layer takes, the input of the network first.
    """
    parts = zip(torch.split(inputs, ROWS_AT_ONCE), torch.split(labels, ROWS_AT_ONCE), strict=True)
    return np.concatenate([_jac_norm(network, rows.to(device), truth.to(device)) for rows, truth in parts])


def _jac_norm(network: nn.Module, inputs: Tensor, labels: Tensor) -> NDArray[np.float64]:
    taken: list[Tensor] = []

    def keep(_layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        taken.append(arguments[0])

    hooks = [layer.register_forward_pre_hook(keep) for layer in network.modules() if isinstance(layer, _LAYERS)]
    try:
        outputs = network(inputs.detach().requires_grad_())
    finally:
        for hook in hooks:
            hook.remove()
    truth = labels[:, None]
    others = outputs.scatter(1, truth, -torch.inf).max(dim=1).values
    margin = outputs.gather(1, truth)[:, 0] - others
    slopes = torch.autograd.grad(margin.sum(), taken)
    terms = [h.flatten(1).norm(dim=1) * slope.flatten(1).norm(dim=1) for h, slope in zip(taken, slopes, strict=True)]
    found: NDArray[np.float64] = (torch.stack(terms).sum(dim=0) / margin).detach().cpu().double().numpy()
    return found
