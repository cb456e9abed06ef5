"""Files that are written whole or not at all, so that a process killed at any moment leaves the old one or the new."""

from __future__ import annotations

import tempfile
from pathlib import Path

from epaas_shared.errors import ConfigurationError


def write_atomically(
    path: Path, data: bytes | memoryview, *, hint: str = "make room there, or use another folder"
) -> None:
    """Write a file, and its folder if there is none. Raises :class:`ConfigurationError` where that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as partial:
            try:
                partial.write(data)
                partial.close()
                Path(partial.name).replace(path)
            except BaseException:
                Path(partial.name).unlink()
                raise
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}", field=path.name, hint=hint) from None
