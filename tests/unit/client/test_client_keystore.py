from __future__ import annotations

import base64
import json
import os
import pickle
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from epaas_client.keystore import EVALUATION_FILE, SECRET_FILE, Keystore, StoredKeys
from epaas_client.sealed import Metadata, SealedKeys, seal, unseal
from epaas_shared.digest import digest_file
from epaas_shared.errors import ConfigurationError, Conflict, InvalidInput, SecretKeysNotFound, WrongPassphrase

from .conftest import PASSPHRASE


class StandIn:
    """Enough of secret keys for what never opens them."""

    def __init__(self, generated: tuple[Any, bytes], digit: str) -> None:
        self.profile = generated[0].profile
        self.evaluation_keys = digit * 64

    def to_bytes(self) -> bytes:
        return b"secret"


@pytest.fixture
def keystore(tmp_path: Path) -> Keystore:
    return Keystore(tmp_path / "keys")


def add(keystore: Keystore, generated: tuple[Any, bytes], name: str, digit: str) -> StoredKeys:
    return keystore.create(name, PASSPHRASE, StandIn(generated, digit), b"frame")  # type: ignore[arg-type]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_opened_keys_are_those_that_were_saved(filled: Keystore, generated: tuple[Any, bytes]) -> None:
    secret_keys, _ = generated
    opened = filled.open(filled.find(), PASSPHRASE)
    bits = np.array([[1, 0, 0, 1]], dtype=np.uint8)
    assert opened.to_bytes() == secret_keys.to_bytes()
    assert opened.evaluation_keys == secret_keys.evaluation_keys
    assert opened.encrypt_bits(bits) != secret_keys.encrypt_bits(bits)  # fresh randomness each time


def test_stored_frame_has_the_digest_of_its_folder(filled: Keystore) -> None:
    stored = filled.find("default")
    assert digest_file(stored.evaluation_keys_file) == stored.evaluation_keys == stored.path.name


def test_wrong_passphrase(filled: Keystore) -> None:
    with pytest.raises(WrongPassphrase, match="'default'") as raised:
        filled.open(filled.find(), PASSPHRASE + "x")
    assert raised.value.exit_code == 4


def test_no_part_of_the_secret_is_in_the_clear(filled: Keystore, generated: tuple[Any, bytes]) -> None:
    secret = generated[0].to_bytes()
    document = json.loads((filled.find().path / SECRET_FILE).read_text())
    ciphertext = base64.b64decode(document["ciphertext"])
    # The key is one byte a bit spread over words: any run of its bytes would do.
    assert len(ciphertext) == len(secret) + 16
    matching = sum(a == b for a, b in zip(ciphertext, secret, strict=False))
    assert matching < len(secret) / 50


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_modes_do_not_depend_on_the_umask(generated: tuple[Any, bytes], tmp_path: Path, umask: int) -> None:
    keystore = Keystore(tmp_path / "keys")
    (tmp_path / "keys").mkdir(mode=0o700)
    before = os.umask(umask)
    try:
        stored = add(keystore, generated, "default", "a")
    finally:
        os.umask(before)
    assert mode(stored.path) == 0o700
    assert mode(stored.path / SECRET_FILE) == 0o600
    assert mode(stored.path / EVALUATION_FILE) == 0o600


def test_new_root_is_private(keystore: Keystore, generated: tuple[Any, bytes]) -> None:
    add(keystore, generated, "default", "a")
    assert mode(keystore.root) == 0o700


def test_secret_that_others_may_read_is_refused(keystore: Keystore, generated: tuple[Any, bytes]) -> None:
    stored = add(keystore, generated, "default", "a")
    (stored.path / SECRET_FILE).chmod(0o640)
    with pytest.raises(ConfigurationError, match="read by others") as raised:
        keystore.open(stored, PASSPHRASE)
    assert raised.value.hint == f"run `chmod 600 {stored.path / SECRET_FILE}`"
    assert raised.value.exit_code == 3


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("name", "other"),
        ("profile", "0" * 64),
        ("evaluation_keys", "0" * 64),
        ("created", "2001-01-01T00:00:00Z"),
    ],
)
def test_changed_metadata_does_not_open(member: str, value: str) -> None:
    metadata = Metadata(name="a", evaluation_keys="1" * 64, profile="2" * 64, created="2030-01-01T00:00:00Z")
    document = json.loads(seal(metadata, b"secret", PASSPHRASE).to_bytes())
    assert unseal(SealedKeys.from_bytes(json.dumps(document).encode()), PASSPHRASE) == b"secret"
    document[member] = value
    with pytest.raises(WrongPassphrase):
        unseal(SealedKeys.from_bytes(json.dumps(document).encode()), PASSPHRASE)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"format": "epaas-secret-keys/2"}, "format"),
        ({"kdf": {"name": "scrypt", "n": 2, "r": 8, "p": 1, "salt": "AA=="}}, "kdf.n"),
        ({"cipher": "none"}, "cipher"),
        ({"ciphertext": "*"}, "ciphertext"),
        ({"evaluation_keys": "../.."}, "evaluation_keys"),
        ({"more": 1}, "more"),
    ],
)
def test_malformed_file_names_its_member(change: dict[str, Any], field: str) -> None:
    metadata = Metadata(name="a", evaluation_keys="1" * 64, profile="2" * 64, created="2030-01-01T00:00:00Z")
    document = json.loads(seal(metadata, b"secret", PASSPHRASE).to_bytes()) | change
    with pytest.raises(InvalidInput, match="damaged") as raised:
        SealedKeys.from_bytes(json.dumps(document).encode())
    assert raised.value.field == field


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]"])
def test_damaged_keys_do_not_hide_the_others(keystore: Keystore, generated: tuple[Any, bytes], content: bytes) -> None:
    add(keystore, generated, "good", "a")
    bad = add(keystore, generated, "bad", "b")
    (bad.path / SECRET_FILE).write_bytes(content)
    assert [keys.name for keys in keystore.list()] == ["good"]
    assert [str(bad.path) in str(error) for error in keystore.damaged()] == [True]
    assert keystore.find().name == "good"
    with pytest.raises(InvalidInput, match="damaged"):
        keystore.find("bad")
    with pytest.raises(InvalidInput, match="damaged"):
        keystore.open(bad, PASSPHRASE)


def test_folder_of_other_keys_is_damaged(keystore: Keystore, generated: tuple[Any, bytes]) -> None:
    stored = add(keystore, generated, "default", "a")
    stored.path.rename(keystore.root / ("b" * 64))
    assert list(keystore.list()) == []
    assert "other evaluation keys" in str(keystore.damaged()[0])


def test_find(keystore: Keystore, generated: tuple[Any, bytes]) -> None:
    with pytest.raises(SecretKeysNotFound, match="no keys in"):
        keystore.find()
    add(keystore, generated, "laptop", "a")
    assert keystore.find().name == "laptop"
    add(keystore, generated, "work", "b")
    with pytest.raises(SecretKeysNotFound, match="several keys"):
        keystore.find()
    add(keystore, generated, "default", "c")
    assert keystore.find().name == "default"
    assert keystore.find("bbb").name == "work"
    assert keystore.find("work").evaluation_keys == "b" * 64
    with pytest.raises(SecretKeysNotFound, match="no keys 'home'"):
        keystore.find("home")


def test_ambiguous_digest(keystore: Keystore, generated: tuple[Any, bytes]) -> None:
    for name, digest in (("one", "ab" * 32), ("two", "ac" * 32)):
        keys = StandIn(generated, "0")
        keys.evaluation_keys = digest
        keystore.create(name, PASSPHRASE, keys, b"")  # type: ignore[arg-type]
    with pytest.raises(SecretKeysNotFound, match=r"fits several keys: one .*two"):
        keystore.find("a")
    assert keystore.find("ab").name == "one"


def test_names_are_unique_and_plain(keystore: Keystore, generated: tuple[Any, bytes]) -> None:
    add(keystore, generated, "default", "a")
    with pytest.raises(Conflict, match="already keys named 'default'"):
        add(keystore, generated, "default", "b")
    for name in ("", "Laptop", "a/b", "../a", "a b", "a\n"):
        with pytest.raises(InvalidInput, match="no name for keys"):
            add(keystore, generated, name, "c")


def test_short_passphrase(keystore: Keystore, generated: tuple[Any, bytes]) -> None:
    with pytest.raises(InvalidInput, match="7 characters"):
        keystore.create("default", "1234567", StandIn(generated, "a"), b"")  # type: ignore[arg-type]
    assert not keystore.root.exists()


def test_same_passphrase_in_another_unicode_spelling() -> None:
    metadata = Metadata(name="a", evaluation_keys="1" * 64, profile="2" * 64, created="2030-01-01T00:00:00Z")
    assert unseal(seal(metadata, b"secret", "caf\u00e9 cr\u00e8me"), "cafe\u0301 cre\u0300me") == b"secret"


def test_failed_write_leaves_nothing(keystore: Keystore, generated: tuple[Any, bytes]) -> None:
    add(keystore, generated, "default", "a")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        add(keystore, generated, "again", "a")  # the folder is there already
    assert sorted(path.name for path in keystore.root.iterdir()) == ["a" * 64]


def test_delete(keystore: Keystore, generated: tuple[Any, bytes]) -> None:
    keystore.delete(add(keystore, generated, "default", "a"))
    assert list(keystore.root.iterdir()) == []


def test_default_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EPAAS_KEYSTORE", str(tmp_path))
    assert Keystore().root == tmp_path
    monkeypatch.delenv("EPAAS_KEYSTORE")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert Keystore().root.name == "keys"


def test_secret_keys_are_neither_shown_nor_pickled(generated: tuple[Any, bytes]) -> None:
    assert "redacted" in repr(generated[0])
    with pytest.raises(TypeError):
        pickle.dumps(generated[0])


def test_two_key_sets_are_never_equal(generated: tuple[Any, bytes]) -> None:
    from epaas_client.crypto import generate_keys

    other, frame = generate_keys()
    assert other.to_bytes() != generated[0].to_bytes()
    assert other.evaluation_keys != generated[0].evaluation_keys
    assert frame != generated[1]
