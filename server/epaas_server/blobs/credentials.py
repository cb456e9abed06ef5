"""Credentials of an object store from the file that AWS's own tools read, such as a secret that is mounted.

Those in ``AWS_ACCESS_KEY_ID`` and of a machine's or container's role are found by ``obstore`` itself.
"""

from __future__ import annotations

import configparser
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from epaas_shared.errors import ConfigurationError

if TYPE_CHECKING:
    from obstore.store import S3Credential

_READ_AGAIN = timedelta(minutes=5)
"""So long after credentials are changed in the file the old ones may still be used."""


def credentials_of_file(environment: Mapping[str, str]) -> Callable[[], S3Credential] | None:
    """What reads ``AWS_SHARED_CREDENTIALS_FILE``, by default ``~/.aws/credentials``, at its profile ``AWS_PROFILE``.

    None where there is no such file, or the environment has credentials itself. Raises :class:`ConfigurationError`
    where they cannot be read.
    """
    named = environment.get("AWS_SHARED_CREDENTIALS_FILE")
    path = Path(named) if named else Path.home() / ".aws" / "credentials"
    if environment.get("AWS_ACCESS_KEY_ID") or not (named or path.is_file()):
        return None
    profile = environment.get("AWS_PROFILE", "default")

    def read() -> S3Credential:
        return _read(path, profile)

    read()
    return read


def _read(path: Path, profile: str) -> S3Credential:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text())
        section = parser[profile]
        return {
            "access_key_id": section["aws_access_key_id"],
            "secret_access_key": section["aws_secret_access_key"],
            "token": section.get("aws_session_token"),
            "expires_at": datetime.now(UTC) + _READ_AGAIN,
        }
    except (OSError, UnicodeDecodeError, configparser.Error, KeyError) as error:
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__  # never the file's words
        raise ConfigurationError(
            f"{path} has no credentials of profile {profile!r}: {reason}", field="AWS_SHARED_CREDENTIALS_FILE"
        ) from None
