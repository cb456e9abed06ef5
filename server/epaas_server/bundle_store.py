"""Bundles by their digests: in folders of this machine and, where machines share an object store, there too.

The store's are under ``bundles/<digest>/<file>``; the folders of a machine are then a cache, which may be removed.
Without one they are all there is.
"""

from __future__ import annotations

import errno
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog
from pydantic import ValidationError

from epaas_server.blobs import Blobs, storage_errors, sync_folder, write_durably
from epaas_server.bundles import Bundle
from epaas_shared.bundle import MANIFEST_FILE, BundleManifest
from epaas_shared.digest import digest_bytes
from epaas_shared.errors import InvalidBundle, Unavailable

_log = structlog.get_logger()


@dataclass(frozen=True)
class BundleStore:
    local: Path
    """One folder a digest."""
    shared: Blobs | None = None

    def keep(self, bundle: Bundle) -> None:
        """Keep the four files of a bundle; in the store once more, lest what is there be damaged.

        Raises :class:`StorageFull` and :class:`Unavailable`.
        """
        if self.shared is not None:
            for name, data in bundle.files.items():
                self.shared.put(_blob(bundle.digest, name), data)
        if not (self.local / bundle.digest).is_dir():
            self._write(bundle.digest, bundle.files)

    def folder(self, digest: str) -> Path:
        """The bundle's folder on this machine, for whoever reads and checks all of it.

        From the store where the machine has none, or a damaged one. Raises :class:`InvalidBundle` where the store's is
        missing or damaged, :class:`StorageFull` and :class:`Unavailable`.
        """
        folder = self.local / digest
        if self.shared is not None and not _is_whole(folder, digest):
            files = _fetch(self.shared, digest)
            if folder.exists() and not _is_whole(folder, digest):  # else another process was faster
                _log.warning("a bundle was damaged and is fetched again", digest=digest)
                shutil.rmtree(folder, ignore_errors=True)
            self._write(digest, files)
        return folder

    def file(self, digest: str, name: str) -> bytes:
        """One file of a bundle. Raises :class:`Unavailable` where it is nowhere."""
        try:
            if self.shared is not None and not (self.local / digest).is_dir():
                self.folder(digest)
            with storage_errors():
                return (self.local / digest / name).read_bytes()
        except (FileNotFoundError, InvalidBundle):
            raise Unavailable(
                f"the files of bundle {digest[:12]} are not where they must be", hint="tell the operator"
            ) from None

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """A folder of this machine for a bundle on its way in, that is gone afterwards.

        Raises :class:`StorageFull` and :class:`Unavailable`.
        """
        folder = self.local / f".{secrets.token_hex(8)}"
        with storage_errors():
            folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def remove_broken(self, age: timedelta) -> int:
        """Remove such folders of processes that died, if they are older."""
        oldest = time.time() - age.total_seconds()
        removed = 0
        for folder in self.local.glob(".*"):
            with suppress(FileNotFoundError):  # the bundle has come in meanwhile
                if folder.stat().st_mtime < oldest:
                    shutil.rmtree(folder)
                    removed += 1
        return removed

    def _write(self, digest: str, files: Mapping[str, bytes]) -> None:
        with self.incoming() as temporary:
            for name, data in files.items():
                write_durably(temporary / name, data)
            sync_folder(temporary)
            try:
                temporary.rename(self.local / digest)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # else another process was faster
                    with storage_errors():
                        raise
            sync_folder(self.local)


def _blob(digest: str, name: str) -> str:
    return f"bundles/{digest}/{name}"


def _fetch(shared: Blobs, digest: str) -> dict[str, bytes]:
    """The files of a bundle in the store, each of the digest that it must have."""
    name = MANIFEST_FILE
    try:
        files = {name: shared.read(_blob(digest, name))}
        if digest_bytes(files[name]) != digest:
            raise _not_whole("damaged", name)
        for name, expected in BundleManifest.model_validate_json(files[MANIFEST_FILE]).files.items():
            files[name] = shared.read(_blob(digest, name))
            if digest_bytes(files[name]) != expected:
                raise _not_whole("damaged", name)
    except FileNotFoundError:
        raise _not_whole("missing", name) from None
    return files


def _not_whole(how: str, name: str) -> InvalidBundle:
    return InvalidBundle(
        f"the stored bundle is {how}", field=name, hint="the operator mends it by publishing it once more"
    )


def _is_whole(folder: Path, digest: str) -> bool:
    try:
        manifest = (folder / MANIFEST_FILE).read_bytes()
        if digest_bytes(manifest) != digest:
            return False
        files = BundleManifest.model_validate_json(manifest).files
        return all(digest_bytes((folder / name).read_bytes()) == expected for name, expected in files.items())
    except (OSError, ValidationError):
        return False
