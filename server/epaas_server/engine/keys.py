"""A client's evaluation keys on their way from a blob to the runtime: read, checked, taken apart. Knows no runtime."""

from __future__ import annotations

from dataclasses import dataclass

from epaas_server.blobs import Blobs
from epaas_server.evaluation_keys import check_start
from epaas_shared.digest import digest_bytes
from epaas_shared.errors import DigestMismatch, EvaluationKeysNotFound
from epaas_shared.frame import EvaluationKeysHeader, decode_frame, decode_frame_start
from epaas_shared.profile import Profile
from epaas_shared.zerokey import ZeroKey


@dataclass(frozen=True)
class StoredKeys:
    """Where a client's evaluation keys lie, and the digest that they must have."""

    blob: str
    digest: str


@dataclass(frozen=True)
class SerialisedKeys:
    """The two parts of a frame of evaluation keys."""

    keyset: bytes
    zero_key: ZeroKey


def read_frame(blobs: Blobs, stored: StoredKeys) -> bytes:
    """The bytes of the blob, unchecked. Raises :class:`EvaluationKeysNotFound`."""
    try:
        return blobs.read(stored.blob)
    except FileNotFoundError:
        raise EvaluationKeysNotFound("the evaluation keys were erased", field="evaluation_keys") from None


def take_apart(frame: bytes, digest: str, profile: Profile) -> SerialisedKeys:
    """Raises :class:`DigestMismatch`, and what ``check_start`` raises."""
    if digest_bytes(frame) != digest:
        raise DigestMismatch("the stored evaluation keys were damaged", field="evaluation_keys")
    check_start(decode_frame_start(frame, EvaluationKeysHeader))
    header, payload = decode_frame(frame, EvaluationKeysHeader)
    zero_key = ZeroKey.from_bytes(payload[header.keyset_bytes :], profile.lwe_dimension)
    return SerialisedKeys(payload[: header.keyset_bytes], zero_key)


def bytes_in_memory(profile: Profile) -> int:
    """Of a client's keys once the runtime has them, and the frame that they came in."""
    return profile.evaluation_keys_bytes + ZeroKey.byte_length(profile.lwe_dimension) + unpacked_keys_bytes(profile)


def unpacked_keys_bytes(profile: Profile) -> int:
    """Bytes of a keyset's bootstrap and key-switching keys once the runtime has expanded their seeds."""
    words = 0
    for key in profile.keyset["lweBootstrapKeys"]:
        shape = key["params"]
        glwe = shape["glweDimension"] + 1
        words += shape["inputLweDimension"] * shape["levelCount"] * glwe * glwe * shape["polynomialSize"]
    for key in profile.keyset["lweKeyswitchKeys"]:
        shape = key["params"]
        words += shape["inputLweDimension"] * shape["levelCount"] * (shape["outputLweDimension"] + 1)
    return 8 * words
