"""Gradient descent over epochs: the one loop, its seeds, and going on after an interruption.

Everything random follows from the seed and the number of the epoch, so that a run that is interrupted and resumed gives
the same network as one that is not. Knows neither what is learnt nor from what: a caller gives the loss of some rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from epaas_shared.errors import ConfigurationError

Progress = Callable[[int, int], None]
"""Called with how many steps are done, and of how many."""

Loss = Callable[[NDArray[np.int64]], Tensor]
"""The loss, a scalar, of the rows of a batch."""


class Stateful(Protocol):
    def state_dict(self) -> dict[str, object]: ...
    def load_state_dict(self, state: dict[str, object]) -> object: ...


def descend(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: LRScheduler,
    begin_epoch: Callable[[int], Loss],
    *,
    rows: int,
    batch_size: int,
    epochs: int,
    seed: int,
    after_step: Callable[[], None] = lambda: None,
    after_epoch: Callable[[int], bool] = lambda _epoch: False,
    progress: Progress = lambda _done, _total: None,
    checkpoint: Path | None = None,
    parts: Mapping[str, Stateful] | None = None,
) -> None:
    """Descend in place. Rows that do not fill a last batch wait for another epoch.

    ``begin_epoch`` gets the number of an epoch, from 0, once its seed is set, and gives the loss of its batches;
    ``schedule`` steps once a batch; ``after_epoch`` says whether to stop. With ``checkpoint`` the state, and that of
    any other ``parts`` that change, is written there after each epoch, and a run that finds one goes on from it.
    """
    steps = steps_per_epoch(rows, batch_size)
    assert not {"epochs", "network", "optimiser", "schedule"} & set(parts or {}), "these names are the checkpoint's own"
    kept: dict[str, Stateful] = {"network": network, "optimiser": optimiser, "schedule": schedule, **(parts or {})}
    first = _resume(checkpoint, kept) if checkpoint else 0
    for epoch in range(first, epochs):
        torch.manual_seed(_seed(seed, epoch))
        loss_of = begin_epoch(epoch)
        order = torch.randperm(rows)
        network.train()
        for number in range(steps):
            loss = loss_of(order[number * batch_size : (number + 1) * batch_size].numpy())
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            after_step()
            progress(epoch * steps + number + 1, steps * epochs)
        stop = after_epoch(epoch)
        if checkpoint:
            _save(checkpoint, epochs if stop else epoch + 1, kept)
        if stop:
            return


def steps_per_epoch(rows: int, batch_size: int) -> int:
    return max(1, rows // batch_size)


def _seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])


def _save(path: Path, epochs: int, parts: Mapping[str, Stateful]) -> None:
    partial = path.with_suffix(".part")
    torch.save({"epochs": epochs, **{name: part.state_dict() for name, part in parts.items()}}, partial)
    partial.replace(path)


def _resume(path: Path, parts: Mapping[str, Stateful]) -> int:
    if not path.exists():
        return 0
    try:
        saved = torch.load(path, weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(saved[name])
        return int(saved["epochs"])
    except (RuntimeError, ValueError, LookupError, EOFError, UnpicklingError):
        raise ConfigurationError(
            "the checkpoint is damaged or of another network",
            field=str(path),
            hint="remove the file to train from the beginning",
        ) from None
