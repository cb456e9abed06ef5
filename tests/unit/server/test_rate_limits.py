"""Rate limits: by caller, with where one stands."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from epaas_server.rate_limits import RateLimits
from epaas_shared.errors import ConfigurationError, TooManyRequests


def test_each_caller_has_a_limit_of_its_own() -> None:
    limits = RateLimits("3/hour")
    state = SimpleNamespace()
    for left in (2, 1, 0):
        limits.count("ann", state)
        assert state.rate_limit.remaining == left
    with pytest.raises(TooManyRequests) as caught:
        limits.count("ann", state)
    assert caught.value.retry_after is not None
    assert 3500 < caught.value.retry_after <= 3601
    assert state.rate_limit.headers() == {
        "RateLimit-Policy": '"requests";q=3;w=3600',
        "RateLimit": f'"requests";r=0;t={caught.value.retry_after}',
    }
    limits.count("bob", state)


def test_without_a_rate_nothing_is_counted() -> None:
    limits, state = RateLimits(""), SimpleNamespace()
    for _ in range(1000):
        limits.count("ann", state)
    assert not hasattr(state, "rate_limit")


@pytest.mark.parametrize("rate", ["many", "3", "3/fortnight", "-1/minute"])
def test_what_is_no_rate_is_refused(rate: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a rate"):
        RateLimits(rate)
