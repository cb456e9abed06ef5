"""What every command shares: the global options, the client and keystore made from them, and the passphrase.

A passphrase comes from a file or from a prompt on the terminal, never from an option's value or the environment, where
other processes could read it.
"""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

import epaas_client
from epaas_client.console import Console
from epaas_client.passphrase import check_passphrase
from epaas_shared.errors import ConfigurationError

DEFAULT_SERVER = "http://127.0.0.1:8000"

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
        self, server: str | None = None, keystore: Path | None = None, *, as_json: bool = False, quiet: bool = False
    ) -> None:
        self.server = server
        self.keystore_root = keystore
        self.console = Console(quiet=quiet, as_json=as_json)

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
        """A client of the server that the user named; else of ``server``; else of the default."""
        return epaas_client.Client(self.server or server or DEFAULT_SERVER)

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
