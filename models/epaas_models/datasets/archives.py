"""What is in tar archives, read in memory: nothing is unpacked to the disk, and links and devices are not followed."""

from __future__ import annotations

import io
import tarfile
import zlib

from epaas_models.datasets.files import DataFile, DataSettings, Progress, read
from epaas_shared.errors import ConfigurationError


def tar_members(file: DataFile, settings: DataSettings, progress: Progress) -> dict[str, bytes]:
    """The files of a ``.tar.gz`` by their whole names, in order of their names.

    Raises what :func:`~epaas_models.datasets.files.read` raises, and :class:`ConfigurationError` for a damaged archive.
    """
    members = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(read(file, settings, progress)), mode="r:gz") as archive:
            for member in archive:
                if member.isfile() and (content := archive.extractfile(member)) is not None:
                    members[member.name] = content.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise ConfigurationError(f"the archive is damaged: {error}", field=file.name) from None
    return dict(sorted(members.items()))


def member(members: dict[str, bytes], name: str, file: DataFile) -> bytes:
    """The file ``name`` of an archive, in whichever folder. Raises :class:`ConfigurationError` without it."""
    found = [content for path, content in members.items() if path.rsplit("/", 1)[-1] == name]
    if len(found) != 1:
        raise ConfigurationError(f"the archive has {len(found)} files {name}", field=file.name)
    return found[0]
