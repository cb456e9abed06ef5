"""The training service's settings, read once at start from arguments and ``EPAAS_TRAIN_*`` variables."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_data_path
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from epaas_models.publishing import read_token
from epaas_shared.addresses import is_loopback
from epaas_shared.errors import ConfigurationError

_LEAST_TOKEN = 20


class ServiceSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="EPAAS_TRAIN_", env_ignore_empty=True, extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=8001, ge=0, le=65535)
    data_dir: Path = Field(default_factory=lambda: user_data_path("epaas-train"))
    """Jobs with their bundles, and the provider's own tables."""
    slots: int = Field(default=1, ge=1, le=64)
    """Trainings at a time."""
    token_file: Path | None = None
    """A file with the token that requests must bear. Without one the service listens to this machine alone."""
    prediction_server: str = ""
    """The address of the prediction server that jobs publish on, where they ask for it."""
    publish_token_file: Path | None = None
    """A file with a token of that server with the scope ``publish``."""
    max_table_bytes: int = Field(default=500_000_000, ge=1)

    def token(self) -> str | None:
        """Raises :class:`ConfigurationError` where none is given and others could reach the service, or it is short."""
        if self.token_file is None:
            if not is_loopback(self.host):
                raise ConfigurationError(
                    f"anybody who reaches {self.host} could start trainings",
                    field="EPAAS_TRAIN_TOKEN_FILE",
                    hint="name a file with a token, or listen on 127.0.0.1",
                )
            return None
        token = read_token(self.token_file)
        if len(token) < _LEAST_TOKEN:
            raise ConfigurationError(
                f"the token must have at least {_LEAST_TOKEN} characters",
                field="EPAAS_TRAIN_TOKEN_FILE",
                hint="`openssl rand -hex 32 > FILE` makes a good one",
            )
        return token
