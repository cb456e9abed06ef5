"""What every command shares: the global options, the client and keystore made from them, and the passphrase.

A passphrase comes from a file or from a prompt on the terminal, a token from a file or the environment; neither from an
option's value, which every process on the machine can read.
"""

from __future__ import annotations

import getpass
import os
import sys
from functools import cached_property
from pathlib import Path
from typing import Annotated

import typer

import epaas_client
from epaas_client.console import Console
from epaas_client.passphrase import check_passphrase
from epaas_shared.errors import ConfigurationError, EpaasError
from epaas_shared.quantities import duration

DEFAULT_SERVER = "http://127.0.0.1:8000"
TOKEN_VARIABLE = "EPAAS_TOKEN"  # noqa: S105  (a name)

KeysOption = Annotated[
    str | None, typer.Option("--keys", "-k", help="Name of the secret keys, or the start of their digest.")
]
PassphraseOption = Annotated[
    Path | None, typer.Option("--passphrase-file", help="File whose first line is the passphrase; else you are asked.")
]
ModelOption = Annotated[str, typer.Option("--model", "-m", help="Name of the model; see `epaas models list`.")]
VersionOption = Annotated[int | None, typer.Option("--version", min=1, help="Version; else the stable one.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


class State:
    """The global options of one run. ``server`` is ``None`` where the user named none."""

    def __init__(
        self,
        server: str | None = None,
        keystore: Path | None = None,
        *,
        token_file: Path | None = None,
        token_over_http: bool = False,
        ca_file: Path | None = None,
        as_json: bool = False,
        quiet: bool = False,
    ) -> None:
        self.server = server
        self.keystore_root = keystore
        self.console = Console(quiet=quiet, as_json=as_json)
        self._token_file = token_file
        self._token_over_http = token_over_http
        self._ca_file = ca_file
        self._without_token: set[str] = set()

    @classmethod
    def of(cls, context: typer.Context) -> State:
        """The state that the root command made."""
        state = context.find_object(cls)
        assert state is not None
        return state

    @property
    def as_json(self) -> bool:
        return self.console.as_json

    def client(self, server: str | None = None) -> epaas_client.Client:
        """A client of the server that the user named; else of ``server``; else of the default.

        The token is for the server that the user named, or the default: a server of the job log may be anybody's.
        """
        address = self.server or server or DEFAULT_SERVER
        token = self._token
        if token is not None and not self.server and address != DEFAULT_SERVER:
            token = None
            if address not in self._without_token:
                self._without_token.add(address)
                self.console.note(f"the token is not sent to {address}, which --server or EPAAS_URL does not name")
        return epaas_client.Client(
            address,
            token=token,
            token_over_http=self._token_over_http,
            ca_file=self._ca_file,
            on_wait=self._show_wait,
        )

    @cached_property
    def _token(self) -> str | None:
        if self._token_file is not None:
            return epaas_client.read_token(self._token_file)
        return os.environ.get(TOKEN_VARIABLE) or None

    def _show_wait(self, seconds: int, error: EpaasError) -> None:
        self.console.note(f"waiting {duration(seconds)}, as the server asks: {error}")

    def keystore(self) -> epaas_client.Keystore:
        return epaas_client.Keystore(self.keystore_root)

    def job_log(self) -> epaas_client.JobLog:
        return epaas_client.JobLog(self.keystore().root / "jobs.jsonl")

    def open_keys(self, stored: epaas_client.StoredKeys, passphrase_file: Path | None) -> epaas_client.SecretKeys:
        """Unlock keys with the passphrase from the file or the terminal."""
        passphrase = read_passphrase(passphrase_file, f"passphrase of the keys {stored.name!r}")
        return self.keystore().open(stored, passphrase)

    def confirm(self, question: str, yes: bool) -> None:
        """Go on only if the user agrees."""
        if yes:
            return
        if not sys.stdin.isatty():
            raise ConfigurationError("there is no terminal to ask on", hint="give --yes to go on without being asked")
        if not self.console.ask(question):
            raise typer.Exit(1)


def read_passphrase(file: Path | None, what: str) -> str:
    """The first line of the file, or what is typed, unseen, on the terminal."""
    if file is not None:
        try:
            with file.open(encoding="utf-8") as lines:
                return lines.readline().rstrip("\r\n")
        except OSError as error:
            raise ConfigurationError(f"the passphrase file {file} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigurationError(f"the passphrase file {file} is not UTF-8") from None
    if not _has_terminal():
        raise ConfigurationError(
            "there is no terminal to ask for the passphrase", hint="give a file of it with --passphrase-file"
        )
    return getpass.getpass(f"epaas: {what}: ")


def read_new_passphrase(file: Path | None) -> str:
    """A passphrase for new keys: long enough and, on the terminal, typed twice."""
    passphrase = read_passphrase(file, "new passphrase")
    check_passphrase(passphrase)
    if file is None and getpass.getpass("epaas: the same again: ") != passphrase:
        raise ConfigurationError("the two passphrases differ", hint="try again")
    return passphrase


def _has_terminal() -> bool:
    try:
        os.close(os.open(os.ctermid(), os.O_RDWR | os.O_NOCTTY))
    except (AttributeError, OSError):
        return sys.stdin is not None and sys.stdin.isatty()
    return True
