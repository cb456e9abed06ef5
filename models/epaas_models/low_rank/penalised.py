"""Penalties on hidden activations, and a network that is trained under some. Knows no particular penalty."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn


class ActivationPenalty(nn.Module, ABC):
    """What is added to the training loss for what a batch's activations are; may learn parameters of its own."""

    @abstractmethod
    def penalty(self, activations: Tensor) -> Tensor:
        """A scalar for activations (n, m) of a batch."""

    def after_step(self) -> None:
        """To be called after each step of the optimiser."""
        return


class Penalised(nn.Module):
    """A network and penalties, each on what a module of the network takes, flattened to (n, m).

    Outputs are the network's own: in evaluation mode nothing of the penalties is used, and what predicts in the end is
    ``network``. Parameters of the penalties are among this module's, so that an optimiser finds them.
    """

    def __init__(self, network: nn.Module, penalties: Mapping[str, ActivationPenalty]) -> None:
        """``penalties`` by the names of modules. Raises AttributeError for a name that there is not."""
        super().__init__()
        self.network = network
        self.by_module = dict(penalties)
        self.penalties = nn.ModuleList(penalties.values())
        self.penalty = torch.zeros(())
        """Of the last forward pass in training mode."""
        for name, penalty in penalties.items():
            network.get_submodule(name).register_forward_pre_hook(self._observer(penalty))

    def _observer(self, penalty: ActivationPenalty) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def observe(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            if self.training:
                self.penalty = self.penalty + penalty.penalty(inputs[0].flatten(1))

        return observe

    def forward(self, inputs: Tensor) -> Tensor:
        self.penalty = torch.zeros((), device=inputs.device)
        outputs: Tensor = self.network(inputs)
        return outputs

    def after_step(self) -> None:
        """To be called after each step of the optimiser."""
        for penalty in self.by_module.values():
            penalty.after_step()


@torch.no_grad()
def inputs_of(network: nn.Module, name: str, inputs: Tensor, *, batch: int = 500, device: str = "cpu") -> Tensor:
    """What the module of that name takes for ``inputs`` (n, ...), (n, ...) on the processor, in evaluation mode."""
    network.eval()
    seen: list[Tensor] = []
    handle = network.get_submodule(name).register_forward_pre_hook(lambda _module, taken: seen.append(taken[0].cpu()))
    try:
        for part in torch.split(inputs, batch):
            network(part.to(device))
    finally:
        handle.remove()
    return torch.cat(seen)
