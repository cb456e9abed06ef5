"""Blobs as objects of a bucket that speaks S3, by ``obstore`` (the extra ``s3``).

A blob that is written piece by piece goes through a nameless file of this machine, and is uploaded when its digest is
known to be right: in parts of 8 MB, so that little of it is in memory. An object appears when its last part has been
acknowledged. Nameless files are gone with the process that made them, however it ends.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO, Final

import obstore
import structlog
from obstore.exceptions import BaseError
from obstore.store import S3Store

from epaas_server.blobs.credentials import credentials_of_file
from epaas_server.blobs.files import storage_errors, write_all
from epaas_server.blobs.store import BlobWriter, StoredBlob, checked_folder, checked_name, is_name
from epaas_shared.errors import ConfigurationError, EpaasError, StorageFull, Unavailable

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

_log = structlog.get_logger()

_PART_BYTES: Final = 8 * 1024 * 1024
_PARTS_AT_ONCE: Final = 2
_TIMES: ClientConfig = {"connect_timeout": "3s", "read_timeout": "15s", "timeout": "1h"}
"""The read timeout is that of a step, in which a part is sent or some bytes of an answer come."""
_RETRY_SECONDS: Final = 5
"""After these a client may ask again, when a request has found the store away."""
_PATIENCE_SECONDS: Final = 10.0
"""A store that is away for so long is not noticed."""
_PROBE_PATIENCE_SECONDS: Final = 1.0
"""Who asks whether it is well wants to know it now."""

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_ENDPOINT = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(/[^?#\s]*)?")
_CODE = re.compile(r"<Code>(\w{1,40})</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_FULL_CODES = ("InsufficientStorage", "QuotaExceeded", "XMinioStorageFull")


def open_object_store(
    bucket: str, prefix: str, incoming: Path, patience_seconds: float = _PATIENCE_SECONDS
) -> ObjectBlobs:
    """Objects of a bucket whose names begin with ``prefix``; files pass through the folder ``incoming``.

    Address, region and credentials are in ``AWS_*`` variables. Connects to nothing yet.
    Raises :class:`ConfigurationError`.
    """
    store = _bucket(bucket, prefix, patience_seconds)
    probe = _bucket(bucket, prefix, min(patience_seconds, _PROBE_PATIENCE_SECONDS))
    with storage_errors():
        incoming.mkdir(parents=True, exist_ok=True)
    return ObjectBlobs(store, probe, incoming)


def _bucket(bucket: str, prefix: str, patience_seconds: float) -> S3Store:
    endpoint = _endpoint(os.environ)
    retries: RetryConfig = {
        "max_retries": 1000,  # by time, not by number
        "retry_timeout": timedelta(seconds=patience_seconds),
        "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=2), "base": 2},
    }
    try:
        return S3Store(
            bucket,
            prefix=prefix or None,
            client_options={**_TIMES, "allow_http": endpoint.startswith("http://")},
            retry_config=retries,
            credential_provider=credentials_of_file(os.environ),
        )
    except (BaseError, ValueError) as error:
        raise ConfigurationError(_first_line(error), field="blob_store", hint="look at the AWS_* variables") from None


class ObjectBlobs:
    def __init__(self, store: S3Store, probe: S3Store, incoming: Path) -> None:
        self._store = store
        self._probe = probe
        self._incoming = incoming

    def has(self, name: str) -> bool:
        try:
            with _object_errors(name):
                obstore.head(self._store, checked_name(name))
        except FileNotFoundError:
            self.check()  # a bucket that is not there says the same
            return False
        return True

    def read(self, name: str) -> bytes:
        with _object_errors(name):
            return bytes(obstore.get(self._store, checked_name(name)).bytes())

    def open(self, name: str) -> BinaryIO:
        with self._nameless_file() as file:
            with _object_errors(name), storage_errors():
                for piece in obstore.get(self._store, checked_name(name)).stream(min_chunk_size=_PART_BYTES):
                    write_all(file, memoryview(piece))
                file.seek(0)
            return os.fdopen(os.dup(file.fileno()), "rb")

    def put(self, name: str, data: bytes) -> None:
        with _object_errors(name):
            obstore.put(self._store, checked_name(name), data, chunk_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE)

    @contextmanager
    def writer(self) -> Iterator[BlobWriter]:
        with self._nameless_file() as file:

            def publish(name: str) -> None:
                file.seek(0)
                with _object_errors(name):
                    obstore.put(self._store, name, file, chunk_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE)

            yield BlobWriter(file, publish)

    def remove(self, name: str) -> None:
        self._delete([checked_name(name)])

    def keep_only(self, folder: str, kept: str | None) -> None:
        self._delete([blob.name for blob in self.stored(folder) if blob.name != kept])

    def stored(self, folder: str) -> Iterator[StoredBlob]:
        now = datetime.now(UTC)
        with _object_errors(folder):
            for page in obstore.list(self._store, prefix=checked_folder(folder)):
                for found in page:
                    age = (now - found["last_modified"]).total_seconds()
                    if is_name(found["path"]):
                        yield StoredBlob(found["path"], found["size"], age)

    def check(self) -> None:
        with self._nameless_file(), _object_errors("incoming"):
            for _ in obstore.list(self._probe, prefix="incoming", chunk_size=1):
                break

    def _delete(self, names: list[str]) -> None:
        if names:
            with _object_errors(names[0]):
                obstore.delete(self._store, names)

    @contextmanager
    def _nameless_file(self) -> Iterator[BinaryIO]:
        with storage_errors():
            file = TemporaryFile(dir=self._incoming, buffering=0)  # noqa: SIM115 - closed below, not within
        with file:
            yield file


@contextmanager
def _object_errors(name: str) -> Iterator[None]:
    """Turns what the store says into :class:`FileNotFoundError` and errors of the tree.

    Its words may hold ids of credentials and signatures: only codes of them are told and logged.
    """
    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        raise _error_of(error, name) from None


def _error_of(error: Exception, name: str) -> Exception:
    text = str(error)
    code, status = _CODE.search(text), _STATUS.search(text)
    said = code[1] if code else f"status {status[1]}" if status else "no answer"
    if isinstance(error, FileNotFoundError) and said != "NoSuchBucket":
        return FileNotFoundError(name)
    _log.error("object store error", said=said, blob=name)
    return _problem(said, None if status is None else int(status[1]))


def _problem(said: str, status: int | None) -> EpaasError:
    if said in _FULL_CODES or status == 507:
        return StorageFull("the object store is full")
    if status is not None and status < 500:
        return Unavailable(f"the object store refuses the server ({said})", hint="tell the operator")
    return Unavailable(
        f"the object store does not answer ({said})", hint="try again in a moment", retry_after=_RETRY_SECONDS
    )


def _endpoint(environment: Mapping[str, str]) -> str:
    """The store's address; empty for AWS's own. ``obstore`` reads it too, and dies of one that is none."""
    for variable in _ENDPOINTS:
        if endpoint := environment.get(variable):
            if not _ENDPOINT.fullmatch(endpoint):
                raise ConfigurationError("is not an address", field=variable, hint="https://HOST:PORT")
            return endpoint
    return ""


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200]
