"""What a store of blobs does, whichever it is; their names, and how one is written piece by piece.

A blob appears whole or not at all. Knows nothing of what the bytes mean.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from epaas_server.blobs.files import storage_errors, write_all
from epaas_shared.errors import DigestMismatch

_NAME = re.compile(r"[a-z-]+(/[A-Za-z0-9_-]+){1,2}(\.[a-z]+)?")
_FOLDER = re.compile(r"[a-z-]+(/[A-Za-z0-9_-]+)?")


def is_name(name: str) -> bool:
    """Whether a blob can have it; others may have put other things where blobs are."""
    return _NAME.fullmatch(name) is not None


def checked_name(name: str) -> str:
    """Raises :class:`ValueError` for what could lead out of the store."""
    if not is_name(name):
        raise ValueError(f"not the name of a blob: {name!r}")
    return name


def checked_folder(folder: str) -> str:
    """Raises :class:`ValueError` for what could lead out of the store."""
    if not _FOLDER.fullmatch(folder):
        raise ValueError(f"not a folder of blobs: {folder!r}")
    return folder


@dataclass(frozen=True)
class StoredBlob:
    """A blob as a listing shows it."""

    name: str
    bytes: int
    age_seconds: float
    """Since it was written, by this machine's clock and the store's."""


class BlobWriter:
    """A blob that is being written, into a local file that nobody else sees; it is there only after ``commit``."""

    def __init__(self, file: BinaryIO, publish: Callable[[str], None]) -> None:
        self.file = file
        """What was written, to be mapped into memory; it is closed with the writer, what is mapped stays."""
        self._publish = publish
        self._hash = hashlib.sha256()
        self.bytes = 0

    def write(self, data: bytes) -> None:
        """Raises :class:`StorageFull`."""
        with storage_errors():
            write_all(self.file, data)
        self._hash.update(data)
        self.bytes += len(data)

    def commit(self, name: str, digest: str | None = None) -> None:
        """Make the blob appear, in place of an earlier one of this name.

        Raises :class:`DigestMismatch` where ``digest`` is not that of what was written, :class:`StorageFull` and
        :class:`Unavailable`.
        """
        actual = self._hash.hexdigest()
        if digest not in (None, actual):
            raise DigestMismatch(f"the {self.bytes} bytes received have the digest {actual}", field="digest")
        self._publish(checked_name(name))


class Blobs(Protocol):
    """Names are ``keys/...``, ``jobs/<job id>/<part>`` and ``bundles/<digest>/<file>``.

    All methods raise :class:`Unavailable` where the store does not answer or refuses, and those that write
    :class:`StorageFull`; both are for trying again later.
    """

    def has(self, name: str) -> bool: ...

    def read(self, name: str) -> bytes:
        """Raises :class:`FileNotFoundError`."""
        ...

    def open(self, name: str) -> BinaryIO:
        """A local file of the bytes, for reading or mapping into memory; it is gone when nobody uses it any more.

        Raises :class:`FileNotFoundError`.
        """
        ...

    def put(self, name: str, data: bytes) -> None: ...

    def writer(self) -> AbstractContextManager[BlobWriter]:
        """For a blob that is written piece by piece. Without ``commit``, nothing of it stays."""
        ...

    def remove(self, name: str) -> None:
        """One that is not there is removed already."""
        ...

    def keep_only(self, folder: str, kept: str | None) -> None:
        """Remove all blobs of a folder such as ``jobs/<job id>`` but ``kept``."""
        ...

    def stored(self, folder: str) -> Iterator[StoredBlob]:
        """The blobs of a folder such as ``keys`` and of those in it, in no order.

        ``incoming`` are those that are being written on this machine's disk, or were when their writer died.
        """
        ...

    def check(self) -> None:
        """Whether the store takes and gives blobs at present: raises what the other methods would."""
        ...
