"""The keystore: a folder of key sets, each a sealed secret key beside its evaluation keys.

    <root>/<digest of the evaluation keys>/secret.json      mode 0600, see epaas_client.sealed
    <root>/<digest of the evaluation keys>/evaluation.keys  the frame that the server gets
    <root>/jobs.jsonl                                       see epaas_client.job_log

A key set appears whole or not at all: it is written into a temporary folder, synchronised and renamed. This module owns
folders, names and permissions; it does no cryptography and knows nothing of servers.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from epaas_client.passphrase import check_passphrase
from epaas_client.private_files import refuse_shared
from epaas_client.sealed import Metadata, SealedKeys, seal, unseal
from epaas_shared.digest import is_digest
from epaas_shared.errors import ConfigurationError, Conflict, InvalidInput, SecretKeysNotFound
from epaas_shared.profile import profile_by_digest

if TYPE_CHECKING:
    from epaas_client.crypto import SecretKeys

SECRET_FILE = "secret.json"  # noqa: S105  (a file name)
EVALUATION_FILE = "evaluation.keys"
DEFAULT_NAME = "default"
NAME_PATTERN = r"[a-z0-9-]+"
_TEMPORARY_PREFIX = ".new-"


@dataclass(frozen=True)
class StoredKeys:
    """A key set in a keystore; holds no secret. What it says is proven only when it is opened."""

    name: str
    evaluation_keys: str
    profile: str
    created: datetime
    path: Path

    @property
    def evaluation_keys_file(self) -> Path:
        """The frame to upload."""
        return self.path / EVALUATION_FILE


class Keystore:
    """The key sets of one user on this machine."""

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = Path(root) if root is not None else default_root()

    def __repr__(self) -> str:
        return f"<Keystore {self.root}>"

    def create(self, name: str, passphrase: str, secret_keys: SecretKeys, frame: bytes) -> StoredKeys:
        """Save fresh keys under a new name. ``frame`` is the frame of their evaluation keys."""
        self.check_new(name)
        check_passphrase(passphrase)
        metadata = Metadata(
            name=name,
            evaluation_keys=secret_keys.evaluation_keys,
            profile=secret_keys.profile.digest,
            created=datetime.now(UTC).replace(microsecond=0),
        )
        sealed = seal(metadata, secret_keys.to_bytes(), passphrase)
        try:
            path = self._place(metadata.evaluation_keys, {SECRET_FILE: sealed.to_bytes(), EVALUATION_FILE: frame})
        except OSError as error:
            raise ConfigurationError(f"the keystore {self.root} cannot be written: {error.strerror}") from error
        return _stored(metadata, path)

    def check_new(self, name: str) -> None:
        """Refuse a name that is malformed or taken, before anything costly is done for it."""
        if re.fullmatch(NAME_PATTERN, name) is None:
            raise InvalidInput(
                f"{name!r} is no name for keys", field="name", hint="use lower-case letters, digits and hyphens"
            )
        if any(stored.name == name for stored in self.list()):
            raise Conflict(
                f"there are already keys named {name!r}",
                field="name",
                hint=f"choose another with --name, or delete the old ones with `epaas keys delete {name}`",
            )

    def list(self) -> Sequence[StoredKeys]:
        """All readable key sets, oldest first."""
        found = [entry for entry in self._scan() if isinstance(entry, StoredKeys)]
        return sorted(found, key=lambda stored: (stored.created, stored.name))

    def damaged(self) -> Sequence[InvalidInput]:
        """What is wrong with each key set that :meth:`list` leaves out."""
        return [entry for entry in self._scan() if isinstance(entry, InvalidInput)]

    def find(self, name_or_digest: str | None = None) -> StoredKeys:
        """The key set of this name, or whose evaluation keys' digest begins so.

        ``None``: the only key set there is, or else the one named ``default``.
        """
        stored = self.list()
        if name_or_digest is None:
            matches = stored if len(stored) == 1 else [keys for keys in stored if keys.name == DEFAULT_NAME]
        else:
            matches = [keys for keys in stored if keys.name == name_or_digest] or [
                keys for keys in stored if name_or_digest and keys.evaluation_keys.startswith(name_or_digest)
            ]
        if len(matches) == 1:
            return matches[0]
        if len(matches) > 1:
            names = ", ".join(f"{keys.name} ({keys.evaluation_keys[:12]})" for keys in matches)
            raise SecretKeysNotFound(
                f"{name_or_digest or DEFAULT_NAME!r} fits several keys: {names}",
                hint="give more digits of the digest with --keys",
            )
        if damaged := self.damaged():
            raise damaged[0]
        if stored and name_or_digest is None:
            names = ", ".join(keys.name for keys in stored)
            raise SecretKeysNotFound(f"there are several keys ({names})", hint="choose one of them with --keys")
        what = f"no keys {name_or_digest!r}" if name_or_digest else "no keys"
        raise SecretKeysNotFound(f"there are {what} in {self.root}")

    def open(self, stored: StoredKeys, passphrase: str) -> SecretKeys:
        """The secret keys. Raises :class:`WrongPassphrase`; refuses a file that others may read."""
        path = stored.path / SECRET_FILE
        sealed = _read(path)
        refuse_shared(path, path.stat())
        profile = profile_by_digest(sealed.profile)
        secret = unseal(sealed, passphrase)
        from epaas_client.crypto import SecretKeys  # loads the TFHE runtime

        return SecretKeys.from_bytes(secret, profile, sealed.evaluation_keys)

    def delete(self, stored: StoredKeys) -> None:
        """Remove a key set for good. What was encrypted under it can never be read again."""
        # The secret goes first: an interrupted deletion leaves public files, never a secret without a folder.
        (stored.path / SECRET_FILE).unlink(missing_ok=True)
        shutil.rmtree(stored.path)

    def _scan(self) -> Iterator[StoredKeys | InvalidInput]:
        if not self.root.is_dir():
            return
        for path in sorted(self.root.iterdir()):
            if not is_digest(path.name):
                continue
            try:
                sealed = _read(path / SECRET_FILE)
                if sealed.evaluation_keys != path.name:
                    raise InvalidInput(f"{path / SECRET_FILE} belongs to other evaluation keys than its folder")
                yield _stored(sealed, path)
            except InvalidInput as error:
                yield error

    def _place(self, folder: str, files: dict[str, bytes]) -> Path:
        if not self.root.exists():
            self.root.mkdir(parents=True, mode=0o700)
            self.root.chmod(0o700)
        temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY_PREFIX, dir=self.root))
        try:
            # Modes given at creation are cut by the umask, which may be anything.
            temporary.chmod(0o700)
            for name, content in files.items():
                _write_private(temporary / name, content)
            _sync_folder(temporary)
            target = self.root / folder
            temporary.rename(target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        _sync_folder(self.root)
        return target


def default_root() -> Path:
    """``EPAAS_KEYSTORE``, or ``keys`` in the user's data folder."""
    if configured := os.environ.get("EPAAS_KEYSTORE"):
        return Path(configured)
    from platformdirs import user_data_path

    return user_data_path("epaas") / "keys"


def _stored(metadata: Metadata, path: Path) -> StoredKeys:
    return StoredKeys(metadata.name, metadata.evaluation_keys, metadata.profile, metadata.created, path)


def _read(path: Path) -> SealedKeys:
    try:
        return SealedKeys.from_bytes(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from None
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}", hint="restore it from a copy, or delete its folder") from None


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        path.chmod(0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
