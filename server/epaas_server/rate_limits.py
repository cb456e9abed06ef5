"""How often one may ask: a moving window for each token, or for each address without one, in this process's memory."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import ceil
from typing import Any

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from epaas_shared.errors import ConfigurationError, TooManyRequests


@dataclass(frozen=True)
class RateLimitState:
    """How one stands, for the headers of the answer."""

    limit: int
    remaining: int
    reset_seconds: int
    window_seconds: int

    def headers(self) -> dict[str, str]:
        """Those of the IETF's draft-ietf-httpapi-ratelimit-headers."""
        return {
            "RateLimit-Policy": f'"requests";q={self.limit};w={self.window_seconds}',
            "RateLimit": f'"requests";r={self.remaining};t={self.reset_seconds}',
        }


class RateLimits:
    """``rate`` is as ``1200/minute``, or empty for no limit. Raises :class:`ConfigurationError`."""

    def __init__(self, rate: str) -> None:
        self._item: RateLimitItem | None = None
        if rate:
            try:
                self._item = parse(rate)
            except ValueError:
                raise ConfigurationError(
                    f"{rate!r} is not a rate", field="rate_limit", hint="write it as 1200/minute"
                ) from None
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, who: str, state: Any) -> None:
        """Count a request; where one stands is left in ``state.rate_limit``. Raises :class:`TooManyRequests`."""
        if self._item is None:
            return
        allowed = self._limiter.hit(self._item, who)
        stats = self._limiter.get_window_stats(self._item, who)
        reset = max(1, ceil(stats.reset_time - time.time()))
        state.rate_limit = RateLimitState(self._item.amount, stats.remaining, reset, self._item.get_expiry())
        if not allowed:
            raise TooManyRequests(f"more than {self._item} of this caller", retry_after=reset)
