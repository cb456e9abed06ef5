"""What tokens may allow."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """What a token allows; it has one or more."""

    PREDICT = "predict"
    """Upload evaluation keys, ask for predictions and fetch them, all of the token's tenant."""
    PUBLISH = "publish"
    """Publish bundles, promote versions and roll back."""
    ADMIN = "admin"
    """Look at all tenants' usage and at the audit log, and erase what a tenant has."""
