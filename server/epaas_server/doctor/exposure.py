"""Who can reach the service, who may use it, and who can read its secrets."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from epaas_server.doctor.patient import Finding, Patient, error, ok, variable, warning
from epaas_server.scopes import Scope
from epaas_server.tokens import TokenStore
from epaas_shared.addresses import is_loopback

_SECRETS_OF_CONTAINERS = Path("/run/secrets")
"""Mounted for the one service in the container."""
_SOON = timedelta(days=14)


def exposure(patient: Patient) -> Iterator[Finding]:
    settings = patient.settings
    beyond = not is_loopback(settings.host)
    if beyond and not settings.asks_for_tokens:
        yield error(
            f"whoever reaches {settings.host} may predict: no tokens are asked for",
            f"set {variable('authentication')} to tokens, or {variable('host')} to 127.0.0.1",
        )
    elif beyond and not settings.rate_limit:
        yield warning(
            f"it listens on {settings.host}, and whoever has a token may ask as often as they can",
            f"set {variable('rate_limit')}, for example to 1200/minute",
        )
    elif beyond:
        yield ok(f"it listens on {settings.host}; TLS is the matter of a proxy before it")
    else:
        yield ok(f"only this machine reaches {settings.host}")


def tokens(patient: Patient) -> Iterator[Finding]:
    assert patient.database is not None
    now = datetime.now(UTC)
    known = TokenStore(patient.database).all()
    expired = [token for token in known if token.expires_at is not None and token.expires_at <= now]
    good = [token for token in known if token not in expired]
    soon = [token for token in good if token.expires_at is not None and token.expires_at <= now + _SOON]
    wrong = False
    if patient.settings.asks_for_tokens and not any(Scope.PREDICT.value in token.scopes for token in good):
        wrong = True
        yield warning(
            "predictions need a token, and no valid one allows them",
            "`epaas-server token create NAME --scope predict --tenant TENANT`",
        )
    for token in expired:
        wrong = True
        yield warning(
            f"token {token.id} ({token.name}) expired on {token.expires_at:%Y-%m-%d}",
            f"`epaas-server token revoke {token.id}`, and a new one if it is still needed",
        )
    for token in soon:
        wrong = True
        yield warning(
            f"token {token.id} ({token.name}) expires on {token.expires_at:%Y-%m-%d}",
            "`epaas-server token create` makes the next one; give it out before then",
        )
    if not wrong:
        yield ok(f"{len(good)} valid")


def secrets(patient: Patient) -> Iterator[Finding]:
    wrong = False
    if _has_password(patient.settings.database_url):
        wrong = True
        yield warning(
            f"{variable('database_url')} has a password in it, which the environment and lists of processes show",
            f"put it into a file that {variable('database_password_file')} names",
        )
    named = {
        variable("database_password_file"): patient.settings.database_password_file,
        "AWS_SHARED_CREDENTIALS_FILE": patient.environment.get("AWS_SHARED_CREDENTIALS_FILE", ""),
    }
    files = {name: Path(path) for name, path in named.items() if path}
    for name, path in files.items():
        if not path.is_file():
            wrong = True
            yield error(f"{name} names {path}, which is no file", "put the secret there, or name another file")
        elif readable_for_all(path):
            wrong = True
            yield error(
                f"anybody on this machine can read the secret in {path}",
                f"chmod 600 {path}, owned by the service's user; then change the secret",
            )
    if not wrong:
        yield ok(f"{len(files)} files of secrets, none open to others")


def readable_for_all(path: Path) -> bool:
    """Whether any user of this machine can read a file, all folders on the way to it considered."""
    resolved = path.resolve()
    if resolved.is_relative_to(_SECRETS_OF_CONTAINERS):
        return False
    reachable = all(parent.stat().st_mode & stat.S_IXOTH for parent in resolved.parents)
    return reachable and bool(resolved.stat().st_mode & stat.S_IROTH)


def _has_password(url: str) -> bool:
    try:
        return bool(url) and make_url(url).password is not None
    except ArgumentError:
        return False
