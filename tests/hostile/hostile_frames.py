"""Damaged encrypted records and evaluation keys: cut, flipped, grown, with headers that lie."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from random import Random
from typing import Any

from epaas_shared.frame import MAGIC, PREFIX_BYTES, FrameHeader, decode_frame_start
from tests.hostile.attack import Attack, request

HOSTILE_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1,
    2**31,
    2**63,
    2**64,
    10**400,
    0.5,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "\x00",
    "é\ud800",
    "0" * 64,
    "F" * 64,
    "x" * 3000,
    [],
    [[]],
    {},
    {"a": {"b": []}},
    "../../../etc/passwd",
    "'; DROP TABLE jobs; --",
)
_KEY_BODY_BYTES = 5000
"""How much of 54 MB of keys is sent: enough for their header and more."""

Damage = Callable[[bytes, int, Random], bytes]


def _cut(frame: bytes, _offset: int, random: Random) -> bytes:
    return frame[: random.randrange(len(frame))]


def _grown(frame: bytes, _offset: int, random: Random) -> bytes:
    return frame + random.randbytes(random.randrange(1, 5000))


def _flipped_in(frame: bytes, end: int, random: Random, start: int = 0) -> bytes:
    damaged = bytearray(frame)
    for _ in range(random.choice((1, 1, 2, 8, 64))):
        damaged[random.randrange(start, end)] ^= 1 << random.randrange(8)
    return bytes(damaged)


def _header_flipped(frame: bytes, offset: int, random: Random) -> bytes:
    return _flipped_in(frame, offset, random)


def _payload_flipped_and_cut(frame: bytes, offset: int, random: Random) -> bytes:
    return _flipped_in(frame, len(frame), random, offset)[: -random.randrange(1, 200)]


def _length_lies(frame: bytes, offset: int, random: Random) -> bytes:
    length = random.choice((0, 1, offset, 4095, 4096, 4097, 2**31 - 1, 2**31, 2**32 - 1, random.randrange(2**32)))
    return frame[: len(MAGIC)] + length.to_bytes(4, "little") + frame[PREFIX_BYTES:]


def _header_with(frame: bytes, offset: int, header: bytes) -> bytes:
    return MAGIC + (len(header) % 2**32).to_bytes(4, "little") + header + frame[offset:]


def _field_lies(frame: bytes, offset: int, random: Random) -> bytes:
    fields = json.loads(frame[PREFIX_BYTES:offset])
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        fields[random.choice([*fields, "more"])] = random.choice(HOSTILE_VALUES)
    return _header_with(frame, offset, json.dumps(fields).encode())


def _field_missing(frame: bytes, offset: int, random: Random) -> bytes:
    fields = json.loads(frame[PREFIX_BYTES:offset])
    del fields[random.choice(list(fields))]
    return _header_with(frame, offset, json.dumps(fields).encode())


def _header_is_no_object(frame: bytes, offset: int, random: Random) -> bytes:
    depth = random.choice((10, 1000, 2000))
    header = random.choice(
        (b"", b"[]", b"null", b'"x"', b"[" * depth, b'{"a":' * 500, b"\xff\xfe", b"{" * 4096, b"1" * 4000, b"\x00" * 99)
    )
    return _header_with(frame, offset, header[:4096])


def _field_twice(frame: bytes, offset: int, _random: Random) -> bytes:
    return _header_with(frame, offset, frame[PREFIX_BYTES : offset - 1] + b',"kind":"record","kind":"x"}')


def _other_version(frame: bytes, _offset: int, random: Random) -> bytes:
    return frame[:6] + bytes([random.randrange(2, 256)]) + frame[7:]


def _noise(frame: bytes, _offset: int, random: Random) -> bytes:
    return random.randbytes(random.randrange(len(frame)))


def _compressed(frame: bytes, _offset: int, _random: Random) -> bytes:
    import gzip

    return gzip.compress(frame)


_DAMAGES: dict[str, Damage] = {
    "cut": _cut,
    "grown": _grown,
    "header flipped": _header_flipped,
    "payload flipped and cut": _payload_flipped_and_cut,
    "length of the header lies": _length_lies,
    "a field lies": _field_lies,
    "a field is missing": _field_missing,
    "the header is no object": _header_is_no_object,
    "a field twice": _field_twice,
    "another version": _other_version,
    "noise": _noise,
    "compressed": _compressed,
}


def damaged(frame: bytes, header: type[FrameHeader], random: Random) -> tuple[str, bytes]:
    """A damage of a good frame, by name."""
    name = random.choice(list(_DAMAGES))
    return name, _DAMAGES[name](frame, decode_frame_start(frame, header).payload_offset, random)


def record_attacks(frame: bytes, header: type[FrameHeader], random: Random) -> Iterator[Attack]:
    """Predictions on damaged records, without end."""
    while True:
        name, body = damaged(frame, header, random)
        headers = {"Content-Type": random.choice(MEDIA_TYPES)}
        if random.random() < 0.3:
            headers["Idempotency-Key"] = random.choice(("", "a", "x" * 201, "a\tb", "a b"))
        if random.random() < 0.2:
            headers["Evaluation-Keys"] = random.choice(("", "0" * 64, "x" * 5000))
        model = "toy" if random.random() < 0.9 else random.choice(("", "..", "x" * 101, "\x00", "a/b", "é"))
        yield request(
            f"record: {name}", "POST", "/v1/predictions", params={"model": model}, content=body, headers=headers
        )


def key_attacks(frame: bytes, header: type[FrameHeader], random: Random) -> Iterator[Attack]:
    """Uploads of the beginning of damaged evaluation keys, without end: all of them are too short at least."""
    beginning = frame[:_KEY_BODY_BYTES]
    while True:
        name, body = damaged(beginning, header, random)
        digest = sha256(body).hexdigest() if random.random() < 0.8 else random.randbytes(32).hex()
        yield request(
            f"keys: {name}",
            "PUT",
            f"/v1/evaluation-keys/{digest}",
            content=body if random.random() < 0.7 else _pieces(body, random.randrange(1, 1000)),
            headers={"Content-Type": random.choice(MEDIA_TYPES)},
        )


def _pieces(body: bytes, size: int) -> Iterator[bytes]:
    """Without a length that is announced."""
    return (body[at : at + size] for at in range(0, len(body), size))


MEDIA_TYPES = (
    "application/vnd.epaas.record",
    "application/vnd.epaas.evaluation-keys",
    "application/json",
    "text/html; charset=utf-7",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
    "application/zip",
    "",
    "/",
    "x" * 1000,
)
