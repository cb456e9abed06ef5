"""The token that lets a client in: what it must look like, and how it is read from a file.

A token is never in a message, since messages end in logs.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from epaas_client.private_files import refuse_shared
from epaas_shared.errors import ConfigurationError

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,1000}")
"""What may follow ``Bearer`` (RFC 6750, section 2.1)."""
_MOST_BYTES = 4096
_HINT = "the server's operator makes one with `epaas-server token create`"


def check_token(text: str) -> str:
    """The token without the white space around it. Raises :class:`ConfigurationError` for what is none."""
    token = text.strip()
    if not _TOKEN.fullmatch(token):
        what = "is empty" if not token else "is not one word of letters, digits and the characters . _ ~ + / = -"
        raise ConfigurationError(what, field="token", hint=_HINT)
    return token


def read_token(path: Path | str) -> str:
    """The token in a file that nobody but its owner may read. Raises :class:`ConfigurationError`."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            refuse_shared(path, os.fstat(file.fileno()))
            content = file.read(_MOST_BYTES)
    except OSError as error:
        raise ConfigurationError(f"the token file {path} cannot be read: {error.strerror}", field="token") from None
    try:
        return check_token(content.decode("ascii", errors="replace"))
    except ConfigurationError as error:
        raise ConfigurationError(f"what is in {path} {error.detail}", field="token", hint=error.hint) from None
