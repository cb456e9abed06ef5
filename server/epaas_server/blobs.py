"""Named files: evaluation keys (by digest) and, a folder a job, encrypted records, checkpoints and results.

A blob appears whole or not at all: it is written under another name, flushed to the disk, then renamed. Knows nothing
of what the bytes mean.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import RawIOBase
from pathlib import Path

from epaas_shared.errors import DigestMismatch, StorageFull

_NAME = re.compile(r"[a-z-]+(/[A-Za-z0-9_-]+){1,2}")


class Blobs:
    """Names are ``keys/<digest>`` and ``jobs/<job id>/<part>``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "incoming").mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"not the name of a blob: {name!r}")
        return self._folder / name

    def has(self, name: str) -> bool:
        return self.path(name).is_file()

    def read(self, name: str) -> bytes:
        return self.path(name).read_bytes()

    def put(self, name: str, data: bytes) -> None:
        """Raises :class:`StorageFull`."""
        with self.writer() as writer:
            writer.write(data)
            writer.commit(name)

    def remove(self, name: str) -> None:
        self.path(name).unlink(missing_ok=True)

    def keep_only(self, folder: str, kept: str | None) -> None:
        """Remove all blobs of ``jobs/<job id>`` but ``kept``; with None the folder too."""
        root = self.path(folder)
        if kept is None:
            shutil.rmtree(root, ignore_errors=True)
            return
        for file in root.glob("*"):
            if file != self.path(kept):
                file.unlink(missing_ok=True)

    @contextmanager
    def writer(self) -> Iterator[BlobWriter]:
        """A blob that is written piece by piece; it is there only after ``commit``."""
        temporary = self._folder / "incoming" / secrets.token_hex(8)
        with storage_errors():
            file = temporary.open("xb", buffering=0)  # a buffer would be flushed, and fail, once more at closing
        try:
            with file:
                yield BlobWriter(self, temporary, file)
        finally:
            temporary.unlink(missing_ok=True)


class BlobWriter:
    def __init__(self, blobs: Blobs, temporary: Path, file: RawIOBase) -> None:
        self._blobs = blobs
        self._temporary = temporary
        self._file = file
        self._hash = hashlib.sha256()
        self.bytes = 0

    def write(self, data: bytes) -> None:
        """Raises :class:`StorageFull`."""
        with storage_errors():
            _write_all(self._file, data)
        self._hash.update(data)
        self.bytes += len(data)

    def commit(self, name: str, digest: str | None = None) -> None:
        """Make the blob appear. Raises :class:`DigestMismatch` where ``digest`` is not that of what was written."""
        actual = self._hash.hexdigest()
        if digest not in (None, actual):
            raise DigestMismatch(f"the {self.bytes} bytes received have the digest {actual}", field="digest")
        target = self._blobs.path(name)
        with storage_errors():
            os.fsync(self._file.fileno())
            target.parent.mkdir(parents=True, exist_ok=True)
            self._temporary.replace(target)
            _sync_folder(target.parent)


def write_durably(path: Path, data: bytes) -> None:
    """Write a file and flush it to the disk. Raises :class:`StorageFull`."""
    with storage_errors(), path.open("xb", buffering=0) as file:
        _write_all(file, data)
        os.fsync(file.fileno())


def _write_all(file: RawIOBase, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[file.write(left) or 0 :]


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turns what the system says of a full disk into :class:`StorageFull`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageFull("the disk is full") from None
        raise


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; some file systems do not allow it, and then there is nothing to be done."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
