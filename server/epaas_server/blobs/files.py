"""Writing to this machine's disk: what is durable, and what is said where the disk is full or does not work."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import structlog

from epaas_shared.errors import StorageFull, Unavailable

_log = structlog.get_logger()
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turns what the system says of a disk into :class:`StorageFull` and :class:`Unavailable`.

    A file that is not there stays :class:`FileNotFoundError`.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull("the disk is full") from None
        _log.error("the disk does not work", error=error.strerror, path=error.filename)
        raise Unavailable(f"the server's disk does not work: {error.strerror}", hint="tell the operator") from None


def write_durably(path: Path, data: bytes) -> None:
    """Write a new file and flush it to the disk. Raises :class:`StorageFull`."""
    with storage_errors(), path.open("xb", buffering=0) as file:
        write_all(file, data)
        os.fsync(file.fileno())


def write_all(file: BinaryIO, data: bytes | memoryview) -> None:
    """Write to a file without a buffer, which may take less than it is given."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) or 0 :]


def sync_folder(folder: Path) -> None:
    """Make a rename durable; some file systems do not allow it, and then there is nothing to be done."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
