"""Requests of clients that do not give up: to either instance, again after every failure that may pass.

It counts how the service refused; an answer of 500, or one that is no problem document, is unclear and noted as a flaw.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from epaas_shared.protocol import PROBLEM_MEDIA_TYPE

PATIENCE_SECONDS = 600.0
_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 3.0


class GivenUp(Exception):
    """No good answer within the patience of any client."""


@dataclass
class Front:
    """The addresses of a service, tried in random order."""

    urls: list[str]
    refusals: Counter[str] = field(default_factory=Counter)
    """By status and code, or by the kind of broken connection."""
    unclear: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _http: httpx.Client = field(
        default_factory=lambda: httpx.Client(timeout=60, limits=httpx.Limits(max_keepalive_connections=0))
    )

    def close(self) -> None:
        self._http.close()

    def send(self, chance: random.Random, method: str, path: str, **options: Any) -> httpx.Response:
        """The first answer below 500 that is not 429. Raises :class:`GivenUp`."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            url = chance.choice(self.urls)
            response = self.try_once(url, method, path, **options)
            pause = _PAUSE_SECONDS
            if response is not None:
                if response.status_code < 500 and response.status_code != 429:
                    return response
                pause = min(float(response.headers.get("retry-after", pause)), _LONGEST_PAUSE_SECONDS)
            time.sleep(pause)
        raise GivenUp(f"{method} {path}")

    def try_once(self, url: str, method: str, path: str, **options: Any) -> httpx.Response | None:
        """The answer, or None where the connection broke."""
        try:
            response = self._http.request(method, f"{url}{path}", **options)
        except httpx.TransportError as error:
            self._count(type(error).__name__)
            return None
        if response.is_error:
            self._count(f"{response.status_code} {self._code(response)}")
        return response

    def _code(self, response: httpx.Response) -> str:
        """The problem's code; what is no problem document is unclear, and so is a 500."""
        code = "none"
        if response.headers.get("content-type") == PROBLEM_MEDIA_TYPE:
            code = str(json.loads(response.content)["code"])
        if code == "none" or response.status_code == 500:
            with self._lock:
                self.unclear.append(f"{response.request.method} {response.status_code} {response.text[:200]}")
        return code

    def _count(self, what: str) -> None:
        with self._lock:
            self.refusals[what] += 1
