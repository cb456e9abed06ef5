from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from epaas_client import Client, read_token
from epaas_client.token import check_token
from epaas_shared.errors import ConfigurationError

TOKEN = f"epaas_0123456789abcdef_{'5e' * 32}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


def test_token_of_a_file(file: Path) -> None:
    assert read_token(file) == read_token(str(file)) == TOKEN
    file.chmod(0o400)
    assert read_token(file) == TOKEN


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o660, 0o602, 0o777])
def test_file_that_others_may_read_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(ConfigurationError, match="can be read by others") as raised:
        read_token(file)
    assert raised.value.hint == f"run `chmod 600 {file}`"


def test_token_of_a_pipe(tmp_path: Path) -> None:
    """As of ``--token-file <(pass show epaas)``."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    writer = threading.Thread(target=pipe.write_text, args=(TOKEN,))
    writer.start()
    assert read_token(pipe) == TOKEN
    writer.join()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"two words", "is not one word"),
        (b"a\nb\n", "is not one word"),
        (b"secret\x00", "is not one word"),
        ("sécret".encode(), "is not one word"),
        (b"a" * 1001, "is not one word"),
        (b"a\r\nX-Other: b", "is not one word"),
    ],
)
def test_content_that_is_no_token(file: Path, content: bytes, message: str) -> None:
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message) as raised:
        read_token(file)
    assert str(file) in str(raised.value)
    assert not any(word in f"{raised.value} {raised.value.hint}" for word in ("secret", "two words", "X-Other"))
    with pytest.raises(ConfigurationError, match=message):
        check_token(content.decode())


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_token(tmp_path / "none")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_token(tmp_path)


def test_an_endless_file_is_not_read_to_its_end() -> None:
    with pytest.raises(ConfigurationError):
        read_token("/dev/zero")


@pytest.mark.parametrize(
    "address", ["http://epaas.example.org", "http://10.0.0.1:8000", "http://127.0.0.1.example.org", "http://[2001::1]"]
)
def test_token_does_not_travel_without_tls(address: str) -> None:
    with pytest.raises(ConfigurationError, match="without TLS") as raised:
        Client(address, token=TOKEN)
    assert "EPAAS_TOKEN_OVER_HTTP" in str(raised.value.hint)
    Client(address, token=TOKEN, token_over_http=True).close()
    Client(address).close()


@pytest.mark.parametrize(
    "address", ["https://epaas.example.org", "http://127.0.0.1:8000", "http://localhost", "http://[::1]:8000"]
)
def test_token_travels_with_tls_and_within_this_machine(address: str) -> None:
    Client(address, token=TOKEN).close()


def test_token_beside_a_password_is_refused() -> None:
    """Both would be the one header, and the password would win."""
    with pytest.raises(ConfigurationError, match="user name or password") as raised:
        Client("https://user:hidden@epaas.example.org", token=TOKEN)
    assert "hidden" not in f"{raised.value} {raised.value.hint}"


@pytest.mark.parametrize("token", ["", "two words", "line\nfeed", "ünicode"])
def test_bad_token_of_a_program(token: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^token: ") as raised:
        Client(token=token)
    assert not token or token not in f"{raised.value} {raised.value.hint}"


def test_token_is_not_shown() -> None:
    with Client(token=TOKEN) as client:
        shown = f"{client!r} {client} {vars(client)} {vars(client._transport)} {client._transport._client.headers!r}"
    assert TOKEN not in shown
