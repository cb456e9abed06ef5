"""Publishes a bundle on a prediction server over HTTP, with a provider's token. Knows nothing of what is in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from epaas_shared.bundle import MANIFEST_FILE, BundleManifest
from epaas_shared.bundle_archive import packed
from epaas_shared.errors import ConfigurationError, InvalidBundle, ServerUnreachable
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
    headers = {"Authorization": f"Bearer {token}", "Content-Type": BUNDLE_MEDIA_TYPE}
    try:
        answer = httpx.post(address, content=archive, params=asked, headers=headers, timeout=_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ServerUnreachable(f"{server} does not answer: {error}", field="server") from None
    try:
        if answer.is_success:
            return ModelVersion.model_validate_json(answer.content)
        raise Problem.model_validate_json(answer.content).error()
    except ValidationError:
        detail = f"{server} answers with {answer.status_code} and no document of a prediction server"
        raise ServerUnreachable(detail, field="server", hint="is this its address?") from None


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
