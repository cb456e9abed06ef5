"""Request bodies of unknown size, read piece by piece, never kept beyond a limit nor waited for without end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from fastapi import Request

from epaas_shared.errors import BodyTooSlow, PayloadTooLarge

_DRAIN_FACTOR = 4
_DRAIN_SECONDS = 20.0
_PATIENCE_SECONDS = 60.0
_LEAST_BYTES_A_SECOND = 1_000
"""A body may take a minute, and longer by what has come of it at this speed: a client on a slow line is waited for, one
that sends a byte a second is not."""


async def limited_chunks(request: Request, limit_bytes: int) -> AsyncIterator[bytes]:
    """The body in pieces. Raises :class:`PayloadTooLarge` as soon as it is known to be over the limit, and
    :class:`BodyTooSlow`.

    What a client goes on sending is then read and dropped, up to a few times the limit: a connection that is closed on
    unread bytes is reset, and the client would never see the answer.
    """
    announced = request.headers.get("content-length", "")
    too_large = announced.isdigit() and int(announced) > limit_bytes
    received = 0
    stream = request.stream()
    if not too_large:
        async for chunk in _in_time(stream):
            received += len(chunk)
            if received > limit_bytes:
                too_large = True
                break
            yield chunk
    if too_large:
        await _drain(stream, _DRAIN_FACTOR * limit_bytes)
        raise PayloadTooLarge(f"the body is over the limit of {limit_bytes} bytes", field="body")


async def limited_body(request: Request, limit_bytes: int) -> bytes:
    return b"".join([chunk async for chunk in limited_chunks(request, limit_bytes)])


async def _in_time(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    begin, received = time.monotonic(), 0
    while True:
        due = begin + _PATIENCE_SECONDS + received / _LEAST_BYTES_A_SECOND
        try:
            async with asyncio.timeout(due - time.monotonic()):
                chunk = await anext(stream, None)
        except TimeoutError:
            seconds = time.monotonic() - begin
            raise BodyTooSlow(f"{received} bytes of it have come in {seconds:.0f} seconds", field="body") from None
        if chunk is None:
            return
        received += len(chunk)
        yield chunk


async def _drain(stream: AsyncIterator[bytes], at_most: int) -> None:
    dropped = 0
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for chunk in stream:
                dropped += len(chunk)
                if dropped > at_most:
                    return
    except TimeoutError:
        return
