"""Damaged bundles: archives that are not what they say, bombs, names that lead elsewhere, tensors and JSON that lie."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

from epaas_shared.bundle import MANIFEST_FILE, REPORT_FILE, SCHEMA_FILE, WEIGHTS_FILE
from epaas_shared.digest import digest_bytes
from tests.hostile.attack import Attack, request
from tests.hostile.hostile_frames import HOSTILE_VALUES

Files = Mapping[str, bytes]
_BOMB_BYTES = 64 << 20

_NAMES = (
    "../../../../tmp/escaped",
    "/etc/passwd",
    "..\\..\\escaped",
    "manifest.json/",
    "manifest.json\x00.txt",
    "C:\\escaped",
    "",
    "a" * 60_000,
    "mänifest.json",
    ".",
)


def read_bundle(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def zipped(members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED, mode: int = 0o644) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content, compression)
    return buffer.getvalue()


def _cut(files: Files, random: Random) -> bytes:
    archive = zipped([*files.items()])
    return archive[: random.randrange(len(archive))]


def _flipped(files: Files, random: Random) -> bytes:
    archive = bytearray(zipped([*files.items()]))
    # most of an archive is weights: hit its directory as often
    start = 0 if random.random() < 0.5 else len(archive) - 300
    for _ in range(random.choice((1, 2, 16))):
        archive[random.randrange(start, len(archive))] ^= 1 << random.randrange(8)
    return bytes(archive)


def _around(files: Files, random: Random) -> bytes:
    archive, noise = zipped([*files.items()]), random.randbytes(random.randrange(1, 3000))
    return random.choice((noise + archive, archive + noise, archive * 2))


def _bomb(files: Files, random: Random) -> bytes:
    """64 MB of zeros in 64 kB."""
    large = random.choice([*files])
    members = [(name, bytes(_BOMB_BYTES) if name == large else content) for name, content in files.items()]
    return zipped(members, zipfile.ZIP_DEFLATED)


def _many_members(files: Files, random: Random) -> bytes:
    return zipped([(f"{number}.json", b"") for number in range(random.choice((5, 3000)))])


def _other_names(files: Files, random: Random) -> bytes:
    members = [*files.items()]
    members[random.randrange(len(members))] = (random.choice(_NAMES), b"x")
    return zipped(members)


def _twice(files: Files, random: Random) -> bytes:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return zipped([*[*files.items()][:3], (MANIFEST_FILE, b"{}")])


def _links(files: Files, _random: Random) -> bytes:
    return zipped([(name, b"/etc/passwd") for name in files], mode=0o120777)


def _sizes_lie(files: Files, random: Random) -> bytes:
    """In the directory or before a member: that it is longer, shorter, compressed, encrypted, on another disk."""
    archive = bytearray(zipped([*files.items()]))
    signature = random.choice((b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"))
    at = archive.find(signature)
    field = random.randrange(4, 19)  # the end record, the shortest of the three, has 22 bytes
    struct.pack_into("<L", archive, at + field, random.choice((0, 1, 2**16, 2**31, 2**32 - 1, random.randrange(2**32))))
    return bytes(archive)


def _rewritten(files: Files, changed: Mapping[str, bytes]) -> bytes:
    """With a manifest that has the digests of what was changed, so that it is looked into."""
    new = {**files, **changed}
    if MANIFEST_FILE not in changed:
        manifest = json.loads(new[MANIFEST_FILE])
        manifest["files"] = {name: digest_bytes(data) for name, data in new.items() if name != MANIFEST_FILE}
        new[MANIFEST_FILE] = json.dumps(manifest).encode()
    return zipped([*new.items()])


def _tensors_lie(files: Files, random: Random) -> bytes:
    weights = files[WEIGHTS_FILE]
    length = int.from_bytes(weights[:8], "little")
    header, tensors = json.loads(weights[8 : 8 + length]), weights[8 + length :]
    match random.randrange(5):
        case 0:
            new = random.choice((0, 1, 2**31, 2**63, 2**64 - 1, length + 1)).to_bytes(8, "little") + weights[8:]
            return _rewritten(files, {WEIGHTS_FILE: new})
        case 1:
            return _rewritten(files, {WEIGHTS_FILE: weights[: random.randrange(len(weights))]})
        case 2:
            deep = b"[" * 100_000
            return _rewritten(files, {WEIGHTS_FILE: len(deep).to_bytes(8, "little") + deep})
        case _:
            entry = header[random.choice([name for name in header if name != "__metadata__"])]
            key = random.choice(("dtype", "shape", "data_offsets"))
            entry[key] = random.choice(
                (*HOSTILE_VALUES, [2**40, 2**40], [-1, -1], [0, 10**18], "F64", "U8", "BOOL", [10, 0], [1] * 64)
            )
            body = json.dumps(header).encode()
            return _rewritten(files, {WEIGHTS_FILE: len(body).to_bytes(8, "little") + body + tensors})


def _document_lies(files: Files, random: Random) -> bytes:
    """One value somewhere in the manifest, the schema or the report."""
    name = random.choice((MANIFEST_FILE, MANIFEST_FILE, SCHEMA_FILE, REPORT_FILE))
    document = json.loads(files[name])
    _change_somewhere(document, random)
    return _rewritten(files, {name: json.dumps(document).encode()})


def _change_somewhere(document: Any, random: Random) -> None:
    while True:
        keys: list[Any] = list(document) if isinstance(document, dict) else list(range(len(document)))
        key = random.choice(keys)
        if isinstance(document[key], dict | list) and document[key] and random.random() < 0.7:
            document = document[key]
            continue
        if isinstance(document, dict) and random.random() < 0.2:
            del document[key]
        else:
            document[key] = random.choice(HOSTILE_VALUES)
        return


def _no_json(files: Files, random: Random) -> bytes:
    name = random.choice((MANIFEST_FILE, SCHEMA_FILE, REPORT_FILE))
    content = random.choice(
        (b"", b"null", b"[" * 200_000, b'{"a":' * 100_000, b"\xff\xfe{}", b"NaN", b"1" * 100_000, b"{}", b"[]")
    )
    return _rewritten(files, {name: content})


def _noise(_files: Files, random: Random) -> bytes:
    return random.choice((b"", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), random.randbytes(random.randrange(9000))))


_DAMAGES: dict[str, Callable[[Files, Random], bytes]] = {
    "cut": _cut,
    "flipped": _flipped,
    "something around it": _around,
    "a bomb": _bomb,
    "many members": _many_members,
    "other names": _other_names,
    "a member twice": _twice,
    "links": _links,
    "sizes lie": _sizes_lie,
    "tensors lie": _tensors_lie,
    "a document lies": _document_lies,
    "no JSON": _no_json,
    "noise": _noise,
}
_OFTEN = ("tensors lie", "a document lies", "a document lies", "sizes lie", "flipped")


def bundle_attacks(files: Files, random: Random) -> Iterator[Attack]:
    """Publications of damaged bundles, without end."""
    while True:
        name = random.choice((*_DAMAGES, *_OFTEN))
        yield request(
            f"bundle: {name}",
            "POST",
            "/v1/models/toy/versions",
            params={"strategy": random.choice(("accumulate", "nothing", "x" * 500))} if random.random() < 0.3 else None,
            content=_DAMAGES[name](files, random),
            headers={"Content-Type": random.choice(("application/zip", "application/json", ""))},
        )
