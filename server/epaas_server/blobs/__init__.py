"""Named blobs: evaluation keys; encrypted records, checkpoints and results, a folder a job; bundles.

One interface (:class:`Blobs`) over a folder or an object store (docs/adr/0016).
"""

from __future__ import annotations

import re
from pathlib import Path

from epaas_server.blobs.files import storage_errors, sync_folder, write_durably
from epaas_server.blobs.folder import FolderBlobs
from epaas_server.blobs.store import Blobs, BlobWriter, StoredBlob
from epaas_shared.errors import ConfigurationError

__all__ = [
    "BlobWriter",
    "Blobs",
    "FolderBlobs",
    "StoredBlob",
    "open_blobs",
    "storage_errors",
    "sync_folder",
    "write_durably",
]

_OBJECT_STORE = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,62})(/(?P<prefix>[A-Za-z0-9_./-]*))?")


def open_blobs(location: str, folder: Path) -> Blobs:
    """The store at ``location``: empty, ``folder`` itself; ``s3://bucket/prefix``, with ``folder`` for what passes.

    Raises :class:`ConfigurationError`.
    """
    if not location:
        return FolderBlobs(folder)
    match = _OBJECT_STORE.fullmatch(location)
    if match is None:
        raise ConfigurationError(
            "is not the address of a store", field="blob_store", hint="s3://BUCKET/PREFIX, or leave it out for a folder"
        )
    try:
        from epaas_server.blobs.objects import open_object_store
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"needs a package that is not installed: {missing.name}",
            field="blob_store",
            hint="`pip install epaas[s3]`",
        ) from None
    return open_object_store(match["bucket"], (match["prefix"] or "").strip("/"), folder / "incoming")
