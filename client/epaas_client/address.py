"""The address of a server: what it must look like, how it is shown, and whether a token may travel there."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from epaas_shared.addresses import is_loopback
from epaas_shared.errors import ConfigurationError


@dataclass(frozen=True)
class Address:
    """``host`` is as in the URL, an IPv6 address in brackets."""

    scheme: str
    host: str
    port: int | None
    path: str
    has_password: bool

    def __str__(self) -> str:
        """As it may be shown and logged: without a user name or password."""
        return f"{self.scheme}://{self.host}{f':{self.port}' if self.port else ''}{self.path}"

    @property
    def on_this_machine(self) -> bool:
        return is_loopback(self.host.strip("[]"))

    def check_token_may_go(self, over_http: bool) -> None:
        """Raises :class:`ConfigurationError` where a token could be read on the way, unless ``over_http`` allows it."""
        if self.has_password:
            raise ConfigurationError(
                "there is a token, and a user name or password in the server's address",
                field="server",
                hint="leave out one of them: both are sent in the header Authorization",
            )
        if self.scheme != "https" and not self.on_this_machine and not over_http:
            raise ConfigurationError(
                f"{self} is without TLS: the token could be read on the way",
                field="token",
                hint="use an https address; on a network that you trust, EPAAS_TOKEN_OVER_HTTP=1 allows it",
            )


def parse_address(url: str) -> Address:
    """Raises :class:`ConfigurationError` for what is no http or https URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError(
            "the server address is no http or https URL", hint="give one such as http://127.0.0.1:8000"
        )
    return Address(
        scheme=parts.scheme,
        host=f"[{host}]" if ":" in host else host,
        port=port,
        path=parts.path.rstrip("/"),
        has_password=bool(parts.username or parts.password),
    )
