"""What a passphrase must be. Apart from :mod:`epaas_client.sealed`, so that asking for one loads no cryptography."""

from __future__ import annotations

from epaas_shared.errors import InvalidInput

PASSPHRASE_MINIMUM = 8


def check_passphrase(passphrase: str) -> None:
    """Refuse a new passphrase that is too short."""
    if len(passphrase) < PASSPHRASE_MINIMUM:
        raise InvalidInput(
            f"has {len(passphrase)} characters where at least {PASSPHRASE_MINIMUM} are due",
            field="passphrase",
            hint="four random words make a good one",
        )
