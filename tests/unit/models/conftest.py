"""Small tensors on one thread: two threads wait for one another longer than they work, the more on a busy machine."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
