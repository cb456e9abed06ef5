"""What all commands share: settings from options, results on stdout, warnings on stderr."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from epaas_server.services import Services
    from epaas_server.settings import Settings

DataDir = Annotated[Path | None, typer.Option(help="Where bundles, keys, jobs and the database are kept.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def settings_of(**given: Any) -> Settings:
    """Settings from the environment, overridden by the options that were given. Raises :class:`InvalidRequest`."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from epaas_server.settings import Settings
    from epaas_shared.errors import InvalidRequest

    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as invalid:
        first = invalid.errors()[0]
        raise InvalidRequest(first["msg"].lower(), field=".".join(str(part) for part in first["loc"])) from None
    except SettingsError as invalid:
        field = str(invalid).partition('"')[2].partition('"')[0]
        raise InvalidRequest("is not JSON", field=field, hint=f"or set EPAAS_SERVER_{field.upper()}__NAME") from None


def services_of(data_dir: Path | None) -> Services:
    """Everything that a command works with."""
    from epaas_server.services import Services

    return Services.open(settings_of(data_dir=data_dir))


def warn(text: str) -> None:
    sys.stderr.write(f"epaas-server: warning: {text}\n")


def result(document: dict[str, Any], text: str, as_json: bool) -> None:
    sys.stdout.write((json.dumps(document) if as_json else text) + "\n")
