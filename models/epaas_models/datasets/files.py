"""Files that data sets are made of: found on this machine or downloaded, and checked by their digest.

Knows nothing of what is in them. The project ships digests and addresses, never the data.
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import httpx
from platformdirs import user_cache_path
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from epaas_models.whole_files import write_atomically
from epaas_shared.digest import digest_bytes
from epaas_shared.errors import ConfigurationError, ServerUnreachable

Progress = Callable[[str, int, int], None]
"""Gets what is being done, how far it is and of how much (0: nobody knows)."""

CACHE_HINT = "make room there, or set EPAAS_DATA_CACHE_DIR to another folder"
"""Where the cache cannot be written to."""
_SECONDS = 30.0
"""Without a byte from a server, a download is given up."""


class DataSettings(BaseSettings):
    """Where data are: ``EPAAS_DATA_DIR`` and ``EPAAS_DATA_CACHE_DIR``."""

    model_config = SettingsConfigDict(env_prefix="EPAAS_", env_ignore_empty=True, extra="ignore")

    data_dir: Path | None = None
    """Looked in first; never written to."""
    data_cache_dir: Path = Field(default_factory=lambda: user_cache_path("epaas") / "data")
    """Downloads, and pictures that were made smaller; may be removed at any time."""


@dataclass(frozen=True)
class DataFile:
    """A file in a folder of the data directory. Its digest is that of its content: archives may be packed anew."""

    folder: str
    name: str
    sha256: str
    """Of the uncompressed bytes of a ``.gz`` (no ``.tar.gz``), of ``member`` where there is one, else of the file."""
    source: str
    """Where it officially comes from, in words."""
    url: str | None = None
    member: str | None = None
    """The name of a file within this zip archive, in whichever folder."""
    repacked: tuple[str, ...] = ()
    """SHA-256 of archives of the same files that were packed anew, which will do as well."""

    def content(self, data: bytes) -> bytes:
        """What is in the bytes of this file. Raises the errors of gzip and zipfile, :class:`ValueError` without it."""
        if self.member is not None:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                found = [name for name in archive.namelist() if PurePosixPath(name).name == self.member]
                if len(found) != 1:
                    raise ValueError(f"it has {len(found)} files {self.member}")
                return archive.read(found[0])
        packed = self.name.endswith(".gz") and not self.name.endswith(".tar.gz")
        return gzip.decompress(data) if packed else data


def read(file: DataFile, settings: DataSettings, progress: Progress) -> bytes:
    """The content of a file: from the data directory, else from the cache, else downloaded into the cache.

    Raises :class:`ConfigurationError` if it is not at hand or not the right one, :class:`ServerUnreachable` if it
    cannot be downloaded.
    """
    for folder in (settings.data_dir, settings.data_cache_dir):
        path = folder / file.folder / file.name if folder is not None else None
        if path is not None and path.is_file():
            try:
                data = path.read_bytes()
            except OSError as error:
                raise ConfigurationError(f"{path} cannot be read: {error.strerror}", field=file.name) from None
            return _checked(file, data, f"remove {path}; {_remedy(file, settings)}")
    if file.url is None:
        raise ConfigurationError("the file is not on this machine", field=file.name, hint=_remedy(file, settings))
    return _downloaded(file, file.url, settings, progress)


def _checked(file: DataFile, data: bytes, hint: str) -> bytes:
    try:
        content = file.content(data)
    except (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise ConfigurationError(f"the file is damaged: {error}", field=file.name, hint=hint) from None
    found = digest_bytes(content)
    if found not in (file.sha256, *file.repacked):
        detail = f"the content has the SHA-256 {found}, not {file.sha256}"
        raise ConfigurationError(detail, field=file.name, hint=hint)
    return content


def _downloaded(file: DataFile, url: str, settings: DataSettings, progress: Progress) -> bytes:
    data = bytearray()
    try:
        # As it is: a server may else pack it for the way, or call a .gz packed for the way.
        headers = {"Accept-Encoding": "identity"}
        with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=_SECONDS) as response:
            response.raise_for_status()
            length = response.headers.get("Content-Length", "")
            for chunk in response.iter_raw():
                data += chunk
                progress(f"download {file.name}", len(data), int(length) if length.isdecimal() else 0)
    except httpx.HTTPError as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        detail = f"{url} cannot be downloaded: {reason}"
        raise ServerUnreachable(detail, field=file.name, hint=_remedy(file, settings)) from None
    content = _checked(file, bytes(data), f"it came from {url}; {_remedy(file, settings)}")
    write_atomically(settings.data_cache_dir / file.folder / file.name, bytes(data), hint=CACHE_HINT)
    return content


def _remedy(file: DataFile, settings: DataSettings) -> str:
    folder = settings.data_dir or settings.data_cache_dir
    place = folder / file.folder / file.name
    return (
        f"get it from {file.source} and put it at {place}, or set EPAAS_DATA_DIR to the folder that has {file.folder}/"
    )
