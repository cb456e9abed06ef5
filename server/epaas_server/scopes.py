"""What tokens may allow."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """What a token allows; each has one."""

    PUBLISH = "publish"
    """Publish bundles, promote versions and roll back."""
