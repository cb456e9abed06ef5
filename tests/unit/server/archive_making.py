"""Bundles as zip archives, good ones."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable

from server_making import BundleParts, canonical


def bundle_files(parts: BundleParts | None = None) -> dict[str, bytes]:
    parts = parts or BundleParts()
    files = parts.files()
    return {**files, "manifest.json": canonical(parts.manifest(files))}


def zipped(members: Iterable[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of these members in this order; a name may come twice."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()


def zipped_bundle(parts: BundleParts | None = None) -> bytes:
    return zipped(bundle_files(parts).items())
