"""The client of EPAAS: holds the secret keys; encodes, encrypts, submits, fetches, decrypts.

    from epaas_client import Client, generate_keys

    secret_keys, evaluation_keys = generate_keys()
    with Client("http://127.0.0.1:8000") as client:
        client.upload_keys(evaluation_keys)
        labels = client.predict("breast-cancer", record, secret_keys)

Names are loaded when they are first used, so that importing the package costs nothing and ``epaas --help`` does not
load the TFHE runtime.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from epaas_shared import __version__

if TYPE_CHECKING:
    from epaas_client.client import Client, batches, check_compatible
    from epaas_client.crypto import SecretKeys, generate_keys
    from epaas_client.job import Job, Label
    from epaas_client.job_log import JobLog, LoggedJob
    from epaas_client.keystore import Keystore, StoredKeys
    from epaas_client.records import Records, read_records
    from epaas_client.token import read_token
    from epaas_shared.errors import ConfigurationError, EpaasError

_HOMES = {
    "Client": "epaas_client.client",
    "batches": "epaas_client.client",
    "check_compatible": "epaas_client.client",
    "ConfigurationError": "epaas_shared.errors",
    "EpaasError": "epaas_shared.errors",
    "Job": "epaas_client.job",
    "JobLog": "epaas_client.job_log",
    "Keystore": "epaas_client.keystore",
    "Label": "epaas_client.job",
    "LoggedJob": "epaas_client.job_log",
    "Records": "epaas_client.records",
    "SecretKeys": "epaas_client.crypto",
    "StoredKeys": "epaas_client.keystore",
    "generate_keys": "epaas_client.crypto",
    "read_records": "epaas_client.records",
    "read_token": "epaas_client.token",
}

__all__ = [
    "Client",
    "ConfigurationError",
    "EpaasError",
    "Job",
    "JobLog",
    "Keystore",
    "Label",
    "LoggedJob",
    "Records",
    "SecretKeys",
    "StoredKeys",
    "__version__",
    "batches",
    "check_compatible",
    "generate_keys",
    "read_records",
    "read_token",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
