"""Well-formed requests with values that nobody expects: in paths, queries and JSON bodies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any
from urllib.parse import quote

from tests.hostile.attack import Attack, request
from tests.hostile.hostile_frames import HOSTILE_VALUES

_TEXTS = (
    "",
    "\x00",
    "a\x00b",
    "..",
    "../../x",
    "%",
    "%00",
    "é",
    "\U0001f9a0",
    "\u202e\u0000",
    "a" * 101,
    "a" * 5000,
    "'; DROP TABLE jobs; --",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "$(id)",
    "-1",
    "0",
    "1e3",
    "99999999999999999999999",
    "²",
    "NaN",
    "0" * 64,
    "A" * 64,
    "0" * 63,
    "\r\nX-Injected: 1",
    "toy",
)
_TIMES = (
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01",
    "-1",
    "1e300",
    "99999999999999",
    "2020-02-30",
    "2020-01-01T00:00:00+99:00",
    "now",
    "NaN",
)
_JSON_ROUTES = (("PUT", "/v1/models/toy/aliases/stable"), ("POST", "/v1/models/toy/rollback"))
_PATHS = (
    ("GET", "/v1/models/{}"),
    ("GET", "/v1/models/{}/versions"),
    ("GET", "/v1/models/toy/versions/{}"),
    ("GET", "/v1/models/toy/versions/{}/report"),
    ("GET", "/v1/models/{}/versions/1/report.html"),
    ("GET", "/v1/models/{}/versions.html"),
    ("GET", "/v1/schemas/{}"),
    ("GET", "/v1/evaluation-keys/{}"),
    ("HEAD", "/v1/evaluation-keys/{}"),
    ("DELETE", "/v1/evaluation-keys/{}"),
    ("GET", "/v1/predictions/{}"),
    ("GET", "/v1/predictions/{}/events"),
    ("GET", "/v1/predictions/{}/result"),
    ("POST", "/v1/predictions/{}/cancel"),
    ("DELETE", "/v1/predictions/{}"),
    ("POST", "/v1/models/{}/versions"),
    ("PUT", "/v1/models/{}/aliases/stable"),
    ("POST", "/v1/models/{}/rollback"),
    ("DELETE", "/v1/tenants/{}/data"),
    ("GET", "/static/{}"),
    ("GET", "/{}"),
)
_QUERIES: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("GET", "/v1/audit", ("since",), _TIMES),
    ("GET", "/v1/audit", ("limit", "tenant"), _TEXTS),
    ("GET", "/compare", ("model", "model"), tuple(f"toy@{text}" for text in _TEXTS)),
    ("POST", "/v1/predictions", ("model", "version"), _TEXTS),
    ("POST", "/v1/models/toy/versions", ("alias", "strategy", "trust_measured_ranges"), _TEXTS),
)


def path_attacks(random: Random) -> Iterator[Attack]:
    while True:
        method, path = random.choice(_PATHS)
        content = b"{}" if method in ("PUT", "POST") else None
        yield request("value: path", method, path.format(quote(random.choice(_TEXTS), safe="")), content=content)


def query_attacks(random: Random) -> Iterator[Attack]:
    while True:
        method, path, names, values = random.choice(_QUERIES)
        query = "&".join(f"{name}={quote(random.choice(values), safe='')}" for name in names for _ in range(2))
        yield request(
            "value: query", method, f"{path}?{query}", content=random.randbytes(200) if method == "POST" else None
        )


def json_attacks(random: Random) -> Iterator[Attack]:
    while True:
        method, path = random.choice(_JSON_ROUTES)
        yield request("value: JSON", method, path, content=_json(random), headers={"Content-Type": "application/json"})


def _json(random: Random) -> bytes:
    fields: dict[str, Any] = {"version": random.choice(HOSTILE_VALUES), "expected": random.choice(HOSTILE_VALUES)}
    return random.choice(
        (
            json.dumps(fields).encode(),
            json.dumps({**fields, random.choice(_TEXTS): 1}).encode(),
            json.dumps([fields] * 3).encode(),
            b"[" * random.choice((10, 2000, 4000)),
            b'{"version":' * 300 + b"1" + b"}" * 300,
            b'{"version": 99, "version": 98}',
            b'{"version": ' + b"9" * 4000 + b"}",
            b"{" + b" " * random.choice((100, 5000, 500_000)) + b"}",
            b'\xff\xfe{\x00"\x00',
            b'{"version": "\\ud800"}',
            b"NaN",
            b"",
            b"\x00" * 50,
        )
    )
