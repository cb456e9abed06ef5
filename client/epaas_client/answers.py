"""What comes back from a server, and the error that an answer stands for.

Knows neither the HTTP library nor what the resources mean.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import ceil
from typing import Any

from pydantic import ValidationError

from epaas_shared.errors import EpaasError, InternalError, PayloadTooLarge, Unauthorised, Unavailable
from epaas_shared.protocol import PROBLEM_MEDIA_TYPE, Problem

RETRIED_STATUSES = {502, 503, 504}
_NOT_EPAAS_HINT = "check the address (--server or EPAAS_URL): something else may be listening there"
_LET_IN_HINT = (
    "give a token in EPAAS_TOKEN, or a file of it with --token-file, and name its server with --server or EPAAS_URL; "
    "the server's operator makes one with `epaas-server token create`"
)


@dataclass(frozen=True)
class Answer:
    """A whole answer; the names of ``headers`` are in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def retry_after(self) -> int | None:
        """Seconds until it may be worth asking again, where the answer says so."""
        value = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdecimal():
            return int(value[:9])
        try:
            then = parsedate_to_datetime(value)
        except ValueError:
            return None
        return max(0, ceil((then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds()))

    def json(self) -> Any:
        """Raises :class:`ValueError`."""
        return json.loads(self.content)


def error_of(answer: Answer, server: str, *, with_token: bool) -> EpaasError:
    """What an unsuccessful answer of ``server`` says, as the error that it was there."""
    if answer.headers.get("content-type", "").split(";")[0].strip() == PROBLEM_MEDIA_TYPE:
        try:
            error = Problem.model_validate_json(answer.content).error()
        except ValidationError:
            pass
        else:
            error.retry_after = answer.retry_after
            if isinstance(error, Unauthorised) and not with_token:
                error.hint = _LET_IN_HINT
            return error
    return foreign(answer, server, "without a problem document")


def foreign(answer: Answer, server: str, what: str) -> EpaasError:
    """The error for an answer that is not in the words of the contract."""
    status = answer.status
    detail = f"{server} answered {status} {answer.reason}".rstrip() + f" {what}"
    if status == 413:
        return PayloadTooLarge(detail, hint="a proxy before the server limits the size of a body")
    if status == 429 or status in RETRIED_STATUSES:
        return Unavailable(detail, hint="try again in a minute", retry_after=answer.retry_after)
    if status >= 500:
        return InternalError(detail, hint="the log of the server says more")
    if 300 <= status < 400 and (elsewhere := answer.headers.get("location")):
        return Unavailable(detail, hint=f"it points to {elsewhere[:200]}; if you trust that, give it as the address")
    return Unavailable(detail, hint=_NOT_EPAAS_HINT)
