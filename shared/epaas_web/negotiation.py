"""Which representation a client prefers, and whether it has it already (RFC 9110, sections 12.5.1 and 13.1.2)."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Request, Response
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header, parse_etags

from epaas_shared.digest import digest_bytes


def preferred(request: Request, offered: Sequence[str]) -> str:
    """The media type of ``offered`` that ``Accept`` likes best; the first where it likes none or does not say.

    A client that accepts nothing on offer gets the first and can read its type, rather than a 406 that it can use less.
    """
    accept = parse_accept_header(", ".join(request.headers.getlist("accept")) or None, MIMEAccept)
    return accept.best_match(offered, default=offered[0])


def conditional(request: Request, content: bytes, media_type: str, headers: dict[str, str]) -> Response:
    """The content under a strong ETag, its SHA-256; or 304 without it where ``If-None-Match`` names that."""
    digest = digest_bytes(content)
    headers = {**headers, "ETag": f'"{digest}"'}
    if parse_etags(request.headers.get("if-none-match")).contains_weak(digest):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)
