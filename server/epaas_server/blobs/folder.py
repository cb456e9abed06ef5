"""Blobs as files of a folder: written under another name, flushed to the disk, then renamed."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from epaas_server.blobs.files import storage_errors, sync_folder
from epaas_server.blobs.store import BlobWriter, StoredBlob, checked_folder, checked_name, is_name
from epaas_shared.errors import Unavailable


class FolderBlobs:
    def __init__(self, folder: Path) -> None:
        """Raises :class:`StorageFull` and :class:`Unavailable` where the folder cannot be made."""
        self._folder = folder
        with storage_errors():
            (folder / "incoming").mkdir(parents=True, exist_ok=True)

    def has(self, name: str) -> bool:
        with storage_errors():
            return self._path(name).is_file()

    def read(self, name: str) -> bytes:
        with storage_errors():
            return self._path(name).read_bytes()

    def open(self, name: str) -> BinaryIO:
        with storage_errors():
            return self._path(name).open("rb")

    def put(self, name: str, data: bytes) -> None:
        with self.writer() as writer:
            writer.write(data)
            writer.commit(name)

    @contextmanager
    def writer(self) -> Iterator[BlobWriter]:
        temporary = self._folder / "incoming" / secrets.token_hex(8)
        try:
            with storage_errors():
                file = temporary.open("x+b", buffering=0)  # a buffer would be flushed, and fail, once more at closing
        except FileNotFoundError:
            raise Unavailable("the server's folder of blobs is gone", hint="tell the operator") from None

        def publish(name: str) -> None:
            target = self._path(name)
            with storage_errors():
                os.fsync(file.fileno())
                target.parent.mkdir(parents=True, exist_ok=True)
                temporary.replace(target)
                sync_folder(target.parent)

        try:
            with file:
                yield BlobWriter(file, publish)
        finally:
            temporary.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        with storage_errors():
            self._path(name).unlink(missing_ok=True)

    def keep_only(self, folder: str, kept: str | None) -> None:
        root = self._folder / checked_folder(folder)
        if kept is None:
            shutil.rmtree(root, ignore_errors=True)
            return
        with storage_errors():
            for file in root.glob("*"):
                if file != self._path(kept):
                    file.unlink(missing_ok=True)

    def stored(self, folder: str) -> Iterator[StoredBlob]:
        now = time.time()
        for parent, _, files in os.walk(self._folder / checked_folder(folder)):
            for path in (Path(parent, file) for file in files):
                name = path.relative_to(self._folder).as_posix()
                try:
                    status = path.stat()
                except FileNotFoundError:  # removed since the folder was read
                    continue
                if is_name(name):
                    yield StoredBlob(name, status.st_size, now - status.st_mtime)

    def check(self) -> None:
        with self.writer() as writer:
            writer.write(bytes(4096))  # a full disk still takes files of nothing

    def _path(self, name: str) -> Path:
        return self._folder / checked_name(name)
