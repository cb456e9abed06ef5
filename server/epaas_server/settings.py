"""The server's settings, read once at start from arguments and ``EPAAS_SERVER_*`` variables, then passed along."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path, user_data_path
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MEGABYTE = 1_000_000


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="EPAAS_SERVER_", env_nested_delimiter="__", extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    data_dir: Path = Field(default_factory=lambda: user_data_path("epaas-server"))
    """Bundles, blobs and, by default, the database."""
    cache_dir: Path = Field(default_factory=lambda: user_cache_path("epaas-server"))
    """The compiled circuit library; may be removed at any time and is then built again."""
    database_url: str = ""
    """Empty: SQLite in ``data_dir``."""
    acceptance_file: str = ""
    """What is required of models before they are published (``acceptance``), TOML. Empty: a valid report."""

    workers: int = Field(default=1, ge=0, le=64)
    """Evaluation slots that ``serve`` starts; each has one child process."""
    threads: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    """Threads of one evaluation."""
    keyset_cache_bytes: int = Field(default=2_000 * MEGABYTE, ge=0)
    """Evaluation keys held in memory by one slot."""
    child_memory_bytes: int = Field(default=8_000 * MEGABYTE, ge=3_000 * MEGABYTE)
    """Address space that an evaluation child may use beyond what loading the runtime takes. The runtime reserves 2.2 GB
    of it at its first call, of which it uses little, and hangs where it does not get them."""

    max_bundle_bytes: int = Field(default=64 * MEGABYTE, ge=1)
    """The largest bundle that is taken over HTTP, report and all."""
    max_evaluation_keys_bytes: int = Field(default=200 * MEGABYTE, ge=1)
    max_record_bytes: int = Field(default=16 * MEGABYTE, ge=1)
    max_records_per_prediction: int = Field(default=64, ge=1)

    lease_seconds: float = Field(default=10.0, gt=0)
    """How long a worker that stops answering keeps its job."""
    heartbeat_seconds: float = Field(default=1.0, gt=0)
    poll_seconds: float = Field(default=0.05, gt=0)
    max_attempts: int = Field(default=5, ge=1)
    """How often a job whose child or worker died is begun again before it fails."""
    max_wait_seconds: int = Field(default=30, ge=0)
    """Longest long poll (``Prefer: wait=N``)."""

    @property
    def resolved_database_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'epaas.db'}"
