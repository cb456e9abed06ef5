"""The cache of evaluation keys against a model of it: a list of what was used when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epaas_server.engine.keyset_cache import KeysetCache

SIZES = st.fixed_dictionaries({digest: st.integers(1, 12) for digest in "abcde"})
USES = st.lists(
    st.tuples(st.sampled_from(["get", "get", "get", "discard"]), st.sampled_from("abcde")), min_size=10, max_size=60
)


class Loader:
    """Counts what it loads."""

    def __init__(self, sizes: dict[str, int]) -> None:
        self.sizes = sizes
        self.loads: list[str] = []

    def __call__(self, digest: str) -> tuple[str, int]:
        self.loads.append(digest)
        return f"keys {digest}", self.sizes[digest]


@given(st.integers(8, 30), SIZES, USES)
def test_the_least_recently_used_leave_first_and_only_when_they_must(
    budget: int, sizes: dict[str, int], uses: list[tuple[str, str]]
) -> None:
    loader = Loader(sizes)
    cache = KeysetCache(budget, loader)
    held: list[str] = []  # the model: least recently used first
    due: list[str] = []
    for use, digest in uses:
        if use == "discard":
            cache.discard(digest)
            held = [other for other in held if other != digest]
        else:
            if digest not in held:
                due.append(digest)
            held = [*(other for other in held if other != digest), digest]
            assert cache.get(digest) == f"keys {digest}"
            while sum(sizes[other] for other in held) > budget and len(held) > 1:
                held.pop(0)
        assert loader.loads == due
        assert cache.held_bytes == sum(sizes[other] for other in held)
        assert cache.held_bytes <= budget or len(held) == 1


def test_use_counts_and_not_loading() -> None:
    loader = Loader({"a": 1, "b": 1, "c": 1})
    cache = KeysetCache(2, loader)
    for digest in ("a", "b", "a", "c", "a"):
        cache.get(digest)
    assert loader.loads == ["a", "b", "c"]
    cache.get("b")
    assert loader.loads == ["a", "b", "c", "b"]


def test_keys_over_the_budget_are_held_alone() -> None:
    loader = Loader({"small": 1, "large": 99})
    cache = KeysetCache(10, loader)
    for digest in ("small", "large", "large", "small", "small"):
        cache.get(digest)
    assert loader.loads == ["small", "large", "small"]
    assert cache.held_bytes == 1


def test_keys_that_cannot_be_loaded_displace_nothing() -> None:
    loader = Loader({"good": 5})
    cache = KeysetCache(5, loader)
    cache.get("good")
    with pytest.raises(KeyError):
        cache.get("bad")
    assert cache.held_bytes == 5
    cache.get("good")
    assert loader.loads == ["good", "bad"]


def test_discarded_keys_are_loaded_again() -> None:
    loader = Loader({"a": 5})
    cache = KeysetCache(5, loader)
    cache.get("a")
    cache.discard("a")
    cache.discard("a")
    assert cache.held_bytes == 0
    cache.get("a")
    assert loader.loads == ["a", "a"]
