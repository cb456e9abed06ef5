"""Requests by the OpenAPI document: those that fit it and those that do not, as schemathesis draws them."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode

from epaas_shared.protocol import BUNDLE_MEDIA_TYPE, EVALUATION_KEYS_MEDIA_TYPE, RECORD_MEDIA_TYPE
from tests.hostile.attack import REPLY_SECONDS, Attack, Reply, Target


@schemathesis.serializer(BUNDLE_MEDIA_TYPE, EVALUATION_KEYS_MEDIA_TYPE, RECORD_MEDIA_TYPE)
def _send_text(_context: schemathesis.SerializationContext, value: object) -> bytes:
    """Binary bodies are sent as they were generated."""
    return str(value).encode(errors="surrogatepass")


def interface_of(document: dict[str, Any]) -> Any:
    """What schemathesis makes of an OpenAPI document whose bodies are frames and archives."""
    return schemathesis.openapi.from_dict(document)


def described_attacks(document: dict[str, Any], random: Random, of_each: int) -> Iterator[Attack]:
    """Of each operation up to ``of_each`` requests that fit the document, and as many that do not."""
    for result in interface_of(document).get_all_operations():
        operation = result.ok()
        for mode in GenerationMode:
            for case in _drawn(operation.as_strategy(generation_mode=mode), of_each, random):
                yield _attack(f"described: {mode.value}", case)


def _drawn(strategy: Any, count: int, random: Random) -> list[Any]:
    found: list[Any] = []

    @seed(random.randrange(2**32))
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(case: Any) -> None:
        found.append(case)

    try:
        collect()
    except Unsatisfiable:  # nothing about this operation can be wrong
        return []
    return found


def _attack(kind: str, case: Any) -> Attack:
    def send(target: Target) -> Reply:
        headers = {"Authorization": f"Bearer {target.token}"}
        try:
            answer = case.call(base_url=target.url, headers=headers, timeout=REPLY_SECONDS)
        except requests.ConnectionError as error:
            return Reply(None, body=repr(error).encode())
        return Reply(
            answer.status_code,
            answer.headers.get("content-type", [""])[0],
            answer.content,
            answer.headers.get("location", [""])[0],
        )

    return Attack(f"{kind} {case.operation.label}", send)
