"""The container of every binary message: evaluation keys, encrypted records, encrypted results.

    8 bytes   magic ``EPAAS\\x00\\x01\\n`` (the last but one is the format version)
    4 bytes   length of the header, little-endian
    header    canonical JSON: ``kind``, ``payload_bytes`` and what the kind adds
    payload   ``payload_bytes`` raw bytes

A frame says what it is before anything parses it, so that a truncated, random or foreign file is refused by a few
comparisons and never reaches native code. A frame carries no checksum: files are named by their digest where it
matters.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from epaas_shared.digest import Digest, canonical_json
from epaas_shared.errors import InvalidCiphertext, InvalidEvaluationKeys, InvalidInput
from epaas_shared.scores import ScoreScale

MAGIC = b"EPAAS\x00\x01\n"
PREFIX_BYTES = len(MAGIC) + 4
MAX_HEADER_BYTES = 4096
SEEDED_BYTES = 24
"""One seeded LWE ciphertext: a 128-bit seed that expands to the mask, and the 64-bit body."""


class FrameHeader(BaseModel):
    """What every header has. ``profile`` is the digest of the parameter set that the payload was made under."""

    model_config = ConfigDict(extra="forbid", strict=True)
    error: ClassVar[type[InvalidInput]] = InvalidInput

    kind: str
    payload_bytes: int = Field(ge=0)
    profile: Digest


class EvaluationKeysHeader(FrameHeader):
    """Payload: the serialised server keyset, then the zero key (see :mod:`epaas_shared.zerokey`)."""

    error = InvalidEvaluationKeys

    kind: Literal["evaluation-keys"] = "evaluation-keys"
    keyset_bytes: int = Field(ge=0)


class RecordHeader(FrameHeader):
    """Payload: ``records * bits`` seeded LWE ciphertexts of 24 bytes, one record after the other."""

    error = InvalidCiphertext

    kind: Literal["record"] = "record"
    input_schema: Digest
    evaluation_keys: Digest
    records: int = Field(ge=1)
    bits: int = Field(ge=1)


class ResultHeader(FrameHeader):
    """Payload: ``records * values`` full LWE ciphertexts, little-endian 64-bit words, mask first.

    A record's values are the binary digits of its label, least significant first; with ``scores``, the level of each
    class on that scale.
    """

    error = InvalidCiphertext

    kind: Literal["result"] = "result"
    evaluation_keys: Digest
    model: Digest
    records: int = Field(ge=1)
    values: int = Field(ge=1)
    scores: ScoreScale | None = None


Header = TypeVar("Header", bound=FrameHeader)


@dataclass(frozen=True)
class FrameStart(Generic[Header]):
    """A parsed header and where the payload begins."""

    header: Header
    payload_offset: int

    @property
    def total_bytes(self) -> int:
        return self.payload_offset + self.header.payload_bytes


def encode_frame_start(header: FrameHeader) -> bytes:
    """Magic, length and header without what it leaves open; the payload follows."""
    body = canonical_json(header.model_dump(mode="json", exclude_none=True))
    return MAGIC + len(body).to_bytes(4, "little") + body


def encode_frame(header: FrameHeader, payload: bytes) -> bytes:
    if len(payload) != header.payload_bytes:
        raise ValueError(f"payload has {len(payload)} bytes, header says {header.payload_bytes}")
    return encode_frame_start(header) + payload


def decode_frame_start(data: bytes, expected: type[Header]) -> FrameStart[Header]:
    """Parse the beginning of a frame, at least its whole header, that must be of the ``expected`` kind.

    Raises the error class of the kind (``expected.error``), with the offending field.
    """
    kind = expected.model_fields["kind"].default
    if len(data) < PREFIX_BYTES or not data.startswith(MAGIC):
        raise expected.error(f"this is no {kind} file: it does not begin as one", field="body")
    header_bytes = int.from_bytes(data[len(MAGIC) : PREFIX_BYTES], "little")
    if header_bytes > MAX_HEADER_BYTES or len(data) < PREFIX_BYTES + header_bytes:
        raise expected.error("the header is cut off or too long", field="body")
    try:
        fields: Any = json.loads(data[PREFIX_BYTES : PREFIX_BYTES + header_bytes])
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise expected.error("the header is not JSON", field="body") from None
    if isinstance(fields, dict) and fields.get("kind") != kind:
        raise expected.error(f"this is a {str(fields.get('kind'))[:40]!r} file, not {kind!r}", field="body.kind")
    try:
        header = expected.model_validate(fields)
    except ValidationError as invalid:
        first = invalid.errors()[0]
        where = ".".join(["body", *(str(part) for part in first["loc"])])
        raise expected.error(first["msg"].lower(), field=where) from None
    return FrameStart(header, PREFIX_BYTES + header_bytes)


def decode_frame(data: bytes, expected: type[Header]) -> tuple[Header, bytes]:
    """Parse a whole frame. The payload must have exactly the length that the header gives."""
    start = decode_frame_start(data, expected)
    if len(data) != start.total_bytes:
        state = "truncated" if len(data) < start.total_bytes else "too long"
        raise expected.error(f"the file is {state}: {len(data)} bytes where {start.total_bytes} are due", field="body")
    return start.header, data[start.payload_offset :]
