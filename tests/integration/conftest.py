"""Tests against real processes and real ciphertexts take seconds each: none of them is in the fast path."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ClientKeys
from tests.integration.ciphertexts import Bench

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def bench(keys: ClientKeys) -> Bench:
    """The circuits in this process, under the keys of ``keys``."""
    return Bench.of(keys)
