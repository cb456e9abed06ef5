"""Publishes a bundle on a prediction server over HTTP, with a provider's token. Knows nothing of what is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from epaas_shared.bundle import MANIFEST_FILE, BundleManifest
from epaas_shared.bundle_archive import packed
from epaas_shared.errors import BundleFallsShort, ConfigurationError, InvalidBundle, ServerUnreachable, Shortfall
from epaas_shared.protocol import BUNDLE_MEDIA_TYPE, Alias, ModelVersion, Problem

_SECONDS = 120.0


def publish(
    bundle: Path,
    server: str,
    token: str,
    *,
    alias: Alias = Alias.CANDIDATE,
    strategies: Sequence[str] = (),
    trust_measured_ranges: bool = False,
) -> ModelVersion:
    """Make the bundle in a folder a version on the server, which ``alias`` names from then on.

    Raises what the server says, among it :class:`BundleFallsShort` with all that the report does not reach;
    :class:`ServerUnreachable`; :class:`InvalidBundle` for a folder that is none.
    """
    archive = packed(bundle)
    try:
        name = BundleManifest.model_validate_json((bundle / MANIFEST_FILE).read_bytes()).name
    except ValidationError:
        raise InvalidBundle("this is no manifest", field=MANIFEST_FILE) from None
    address = f"{server.rstrip('/')}/v1/models/{quote(name, safe='')}/versions"
    asked: dict[str, Any] = {
        "alias": alias.value,
        "strategy": list(strategies),
        "trust_measured_ranges": trust_measured_ranges,
    }
    answer = _answer(
        server, "POST", address, token, content=archive, params=asked, headers={"Content-Type": BUNDLE_MEDIA_TYPE}
    )
    try:
        return ModelVersion.model_validate_json(answer.content)
    except ValidationError:
        raise _no_server(server, answer) from None


def publish_within(
    bundle: Path, server: str, token: str, *, alias: Alias, seconds: float | None, trust_measured_ranges: bool = False
) -> ModelVersion:
    """:func:`publish`, but under ``alias`` only if a record takes at most so many ``seconds`` on the server.

    A bundle over this budget stays a candidate. Raises :class:`BundleFallsShort` then, or if the server has not
    measured yet how fast it is.
    """
    if seconds is None:
        return publish(bundle, server, token, alias=alias, trust_measured_ranges=trust_measured_ranges)
    published = publish(bundle, server, token, trust_measured_ranges=trust_measured_ranges)
    took = published.cost.seconds
    if took is None or took > seconds:
        raise BundleFallsShort(
            "a record takes longer than the budget" if took else "the server cannot say yet what a record takes",
            field="budget_seconds",
            hint="fewer neurons, narrower sums, or trust_measured_ranges; the bundle stays a candidate",
            shortfalls=(Shortfall(measure="seconds", required=seconds, bound="at most", measured=took),),
        )
    if alias is Alias.STABLE:
        promote(published.name, published.version, server, token)
    return published


def promote(name: str, version: int, server: str, token: str) -> None:
    """Let a version answer from now on. Raises what the server says."""
    address = f"{server.rstrip('/')}/v1/models/{quote(name, safe='')}/aliases/stable"
    _answer(server, "PUT", address, token, json={"version": version})


def _answer(
    server: str, method: str, address: str, token: str, headers: Mapping[str, str] | None = None, **request: Any
) -> httpx.Response:
    """A successful answer of a prediction server. Raises what it says otherwise."""
    headers = {"Authorization": f"Bearer {token}", **(headers or {})}
    try:
        answer = httpx.request(method, address, headers=headers, timeout=_SECONDS, **request)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ServerUnreachable(f"{server} does not answer: {error}", field="server") from None
    if answer.is_success:
        return answer
    try:
        raise Problem.model_validate_json(answer.content).error()
    except ValidationError:
        raise _no_server(server, answer) from None


def _no_server(server: str, answer: httpx.Response) -> ServerUnreachable:
    detail = f"{server} answers with {answer.status_code} and no document of a prediction server"
    return ServerUnreachable(detail, field="server", hint="is this its address?")


def read_token(file: Path) -> str:
    """The token in a file, one word. Raises :class:`ConfigurationError`."""
    try:
        token = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no plain text"
        raise ConfigurationError(f"{file} cannot be read: {reason}", field="token") from None
    if len(token.split()) != 1:
        raise ConfigurationError(f"{file} must hold one token and nothing else", field="token")
    return token
