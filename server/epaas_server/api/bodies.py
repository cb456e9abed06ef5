"""Request bodies of unknown size, read piece by piece and never beyond a limit."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import Request

from epaas_shared.errors import PayloadTooLarge


async def limited_chunks(request: Request, limit_bytes: int) -> AsyncIterator[bytes]:
    """The body in pieces. Raises :class:`PayloadTooLarge`, before reading anything where the length is announced."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit_bytes:
        raise _too_large(limit_bytes)
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > limit_bytes:
            raise _too_large(limit_bytes)
        yield chunk


async def limited_body(request: Request, limit_bytes: int) -> bytes:
    return b"".join([chunk async for chunk in limited_chunks(request, limit_bytes)])


def _too_large(limit_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"the body is over the limit of {limit_bytes} bytes", field="body")
