"""SHA-256 digests, the names of everything content-addressed. Knows nothing of what the bytes mean."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import StringConstraints

DIGEST_PATTERN = r"^[0-9a-f]{64}$"

Digest = Annotated[str, StringConstraints(pattern=DIGEST_PATTERN)]
"""64 lower-case hexadecimal digits."""


def is_digest(text: str) -> bool:
    return re.fullmatch(DIGEST_PATTERN, text) is not None


def digest_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: Any) -> bytes:
    """One byte string a JSON value: sorted keys, no spaces, UTF-8, no NaN. Digests of documents are over this."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def digest_json(value: Any) -> str:
    return digest_bytes(canonical_json(value))
