"""The file format of a secret key at rest: scrypt, then AES-256-GCM, in one JSON document.

    {"format": "epaas-secret-keys/1", "name": …, "evaluation_keys": …, "profile": …, "created": …,
     "kdf": {"name": "scrypt", "n": 131072, "r": 8, "p": 1, "salt": …}, "cipher": "aes-256-gcm",
     "nonce": …, "ciphertext": …}

The associated data is the canonical JSON of everything but ``nonce`` and ``ciphertext``, so that no member can be
changed without the passphrase. The costs of scrypt are part of the format: a file that asks for others is refused, not
obeyed. This module owns the document; it knows neither folders nor what the sealed bytes mean.
"""

from __future__ import annotations

import json
import os
import unicodedata
from base64 import b64decode, b64encode
from datetime import datetime
from typing import Annotated, Any, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError

from epaas_client.passphrase import check_passphrase
from epaas_shared.digest import Digest, canonical_json
from epaas_shared.errors import InvalidInput, WrongPassphrase

_SALT_BYTES = 16
_NONCE_BYTES = 12
_KEY_BYTES = 32


def _decoded(value: Any) -> Any:
    return b64decode(value, validate=True) if isinstance(value, str) else value


_Bytes = Annotated[
    bytes, BeforeValidator(_decoded), PlainSerializer(lambda data: b64encode(data).decode(), when_used="json")
]
"""Bytes, in base64 where the document is JSON."""


class _Scrypt(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["scrypt"] = "scrypt"
    n: Literal[131072] = 131072
    r: Literal[8] = 8
    p: Literal[1] = 1
    salt: _Bytes


class Metadata(BaseModel):
    """What a sealed key says about itself in the clear."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["epaas-secret-keys/1"] = "epaas-secret-keys/1"
    name: str
    evaluation_keys: Digest
    profile: Digest
    created: datetime


class SealedKeys(Metadata):
    """The whole document."""

    kdf: _Scrypt
    cipher: Literal["aes-256-gcm"] = "aes-256-gcm"
    nonce: _Bytes
    ciphertext: _Bytes

    @property
    def associated_data(self) -> bytes:
        return canonical_json(self.model_dump(mode="json", exclude={"nonce", "ciphertext"}))

    def to_bytes(self) -> bytes:
        return json.dumps(self.model_dump(mode="json"), indent=2).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> SealedKeys:
        """Parse a document. Raises :class:`InvalidInput` naming the damaged member."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as invalid:
            first = invalid.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or None
            raise InvalidInput(f"the secret keys file is damaged: {first['msg'].lower()}", field=where) from None


def seal(metadata: Metadata, secret: bytes, passphrase: str) -> SealedKeys:
    """Encrypt ``secret`` under ``passphrase``, bound to ``metadata``, with a fresh salt and nonce."""
    check_passphrase(passphrase)
    kdf = _Scrypt(salt=os.urandom(_SALT_BYTES))
    nonce = os.urandom(_NONCE_BYTES)
    members = metadata.model_dump()
    empty = SealedKeys(**members, kdf=kdf, nonce=nonce, ciphertext=b"")
    ciphertext = AESGCM(_derive(passphrase, kdf)).encrypt(nonce, secret, empty.associated_data)
    return SealedKeys(**members, kdf=kdf, nonce=nonce, ciphertext=ciphertext)


def unseal(sealed: SealedKeys, passphrase: str) -> bytes:
    """The secret. Raises :class:`WrongPassphrase`, which is also what a changed file looks like."""
    if len(sealed.nonce) != _NONCE_BYTES:
        raise InvalidInput(f"the secret keys file is damaged: it has {len(sealed.nonce)} bytes", field="nonce")
    try:
        return AESGCM(_derive(passphrase, sealed.kdf)).decrypt(sealed.nonce, sealed.ciphertext, sealed.associated_data)
    except InvalidTag:
        raise WrongPassphrase(
            f"the passphrase does not open the keys {sealed.name!r}",
            hint="try again; if you are sure of the passphrase, the file was changed: restore it from a copy",
        ) from None


def _derive(passphrase: str, kdf: _Scrypt) -> bytes:
    # One text can have several Unicode spellings, and keyboards differ in which they give.
    text = unicodedata.normalize("NFC", passphrase).encode()
    return Scrypt(salt=kdf.salt, length=_KEY_BYTES, n=kdf.n, r=kdf.r, p=kdf.p).derive(text)
