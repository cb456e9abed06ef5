"""Templates of a service beside those that all pages share. Every text is escaped by them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from epaas_shared import __version__
from epaas_shared.quantities import count, decimal

STATIC_FOLDER: Final = Path(__file__).parent / "static"
"""To be served at ``/static``."""

PAGE_HEADERS: Final = {
    "Cache-Control": "no-cache",  # pages tell of what changes: they are asked for anew, at little cost
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def environment(package: str) -> Environment:
    """The templates of a package, which find those that all services share."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("epaas_web.pages")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"exact": _exact, "decimal": decimal}
    made.globals |= {"release": __version__}
    return made


def _exact(value: str | float | None) -> str:
    """A number behind a diagram: whole ones as they are, others to four digits."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    return count(int(value)) if value == int(value) and abs(value) >= 2 else f"{value:.4g}"
