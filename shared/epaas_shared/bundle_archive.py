"""A bundle in one file, as it travels: an uncompressed zip of its four files, the same bytes for the same bundle.

Owns how one is made; what arrives is for its receiver to mistrust.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Final

from epaas_shared.bundle import MANIFEST_FILE, REPORT_FILE, SCHEMA_FILE, WEIGHTS_FILE
from epaas_shared.errors import InvalidBundle

MEMBERS: Final = (MANIFEST_FILE, WEIGHTS_FILE, SCHEMA_FILE, REPORT_FILE)


def packed(folder: Path) -> bytes:
    """The archive of the bundle in a folder. Raises :class:`InvalidBundle` for one without all its files."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for name in MEMBERS:
            try:
                content = (folder / name).read_bytes()
            except OSError:
                raise InvalidBundle(
                    "the file is missing", field=name, hint="`epaas-train fit` writes bundles"
                ) from None
            file.writestr(zipfile.ZipInfo(name), content)  # with the zip format's first date, not today's
    return archive.getvalue()
