"""Errors of this machine's own set-up. Everything that a server may also say is in :mod:`epaas_shared.errors`."""

from __future__ import annotations

from epaas_shared.errors import EpaasError


class ConfigurationError(EpaasError):
    """A setting, an address or the permissions of a file are not as they must be."""

    code = "configuration"
    title = "The client is not set up for this"
    status = 400
    exit_code = 3
