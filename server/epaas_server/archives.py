"""A bundle in one file, as it is uploaded: an uncompressed zip of its four files.

What is in it is nobody's choice but ours: four names, each once, stored as they are, together no larger than the
archive. Nothing else is written anywhere, and nothing can grow.
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import BinaryIO, Final

from epaas_server.blobs import write_durably
from epaas_shared.bundle import MANIFEST_FILE, REPORT_FILE, SCHEMA_FILE, WEIGHTS_FILE
from epaas_shared.errors import InvalidBundle

MEMBERS: Final = (MANIFEST_FILE, WEIGHTS_FILE, SCHEMA_FILE, REPORT_FILE)

_END = struct.Struct("<4s4H2LH")
"""The end record: signature, disk, its disk, entries here, entries, directory's bytes, its offset, comment's bytes."""
_END_SIGNATURE = b"PK\x05\x06"
_LOCATOR_BYTES = 20
_LOCATOR_SIGNATURE = b"PK\x06\x07"
"""Before the end record where the sizes of a larger format would be looked for."""
_MAX_DIRECTORY_BYTES = 4096
"""Of four entries; a directory is held in memory before anything of it can be refused."""
_DAMAGES = (
    zipfile.BadZipFile,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    OSError,
    struct.error,
)
"""What the standard library raises of archives that are not what they say."""
_HINT = "`zip -0 -j bundle.zip BUNDLE/*` makes one"


def unpack(archive: Path, folder: Path) -> None:
    """Write the four files of a bundle into ``folder``. Raises :class:`InvalidBundle` for anything else."""
    for name, content in _read(archive).items():
        write_durably(folder / name, content)


def _read(archive: Path) -> dict[str, bytes]:
    """The members by name; their check sums are compared."""
    with archive.open("rb") as file:
        _check_end(file)
        try:
            with zipfile.ZipFile(file) as opened:
                _check_members(opened.infolist(), archive.stat().st_size)
                return {name: opened.read(name) for name in MEMBERS}
        except _DAMAGES as error:
            raise _refused(f"is damaged: {str(error)[:200]}") from None


def _check_end(file: BinaryIO) -> None:
    """The archive ends with the end record of a small directory and nothing else: no comment, no larger format."""
    size = file.seek(0, 2)
    if size < _LOCATOR_BYTES + _END.size:
        raise _refused("is not a zip archive, or is truncated")
    file.seek(size - _LOCATOR_BYTES - _END.size)
    if file.read(_LOCATOR_BYTES).startswith(_LOCATOR_SIGNATURE):
        raise _refused("is of the format for more than 4 GB")
    signature, *_, entries, directory_bytes, offset, comment_bytes = _END.unpack(file.read(_END.size))
    if signature != _END_SIGNATURE or comment_bytes:
        raise _refused("is not a zip archive, or is truncated")
    if entries != len(MEMBERS):
        raise _refused(f"has {entries} members; a bundle has {len(MEMBERS)}")
    if directory_bytes > _MAX_DIRECTORY_BYTES or offset + directory_bytes + _END.size != size:
        raise _refused("has a directory that does not fit")


def _check_members(members: list[zipfile.ZipInfo], archive_bytes: int) -> None:
    names = sorted(member.filename for member in members)
    if names != sorted(MEMBERS):
        raise _refused(f"has the members {', '.join(ascii(name)[:60] for name in names[:8])}; a bundle has {MEMBERS}")
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 0x1:
            raise _refused(f"has a compressed or encrypted member, {member.filename}")
        if member.file_size != member.compress_size:
            raise _refused(f"gives {member.filename} two sizes")
    if sum(member.file_size for member in members) > archive_bytes:
        raise _refused("says that its members are larger than it is")


def _refused(detail: str) -> InvalidBundle:
    return InvalidBundle(f"the archive {detail}", field="body", hint=_HINT)
