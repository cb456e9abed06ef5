"""The server's settings, read once at start from arguments and ``EPAAS_SERVER_*`` variables, then passed along."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from platformdirs import user_cache_path, user_data_path
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from epaas_server.machine import available_memory_bytes
from epaas_server.tenants import Quotas
from epaas_shared.addresses import is_loopback

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
    """Empty: SQLite in ``data_dir``. Or ``postgresql+psycopg://USER@HOST/DATABASE``."""
    database_password_file: str = ""
    """A file with the password of the database's user."""
    blob_store: str = ""
    """Empty: folders in ``data_dir``. ``s3://BUCKET/PREFIX``: there, by the address and credentials in ``AWS_*``."""
    acceptance_file: str = ""
    """What is required of models before they are published (``acceptance``), TOML. Empty: a valid report."""

    authentication: Literal["auto", "none", "tokens"] = "auto"
    """Who may predict: whoever reaches the server (``none``; all are the tenant ``default``), or tokens of tenants with
    the scope ``predict``. ``auto`` asks for tokens where the server listens beyond loopback."""
    quotas: Quotas = Quotas()
    """Of tenants that have none of their own."""
    rate_limit: str = ""
    """Requests of a token, or of an address without one, as ``1200/minute``; each API process counts. Empty: any."""
    max_backlog_seconds: float = Field(default=7 * 86_400.0, gt=0)
    """Predicted seconds of evaluation that may wait; beyond them predictions are refused for the time being."""
    keep_finished_days: float = Field(default=30.0, gt=0)
    """How long finished predictions and their results are kept."""
    keep_unused_keys_days: float = Field(default=365.0, gt=0)
    """How long evaluation keys are kept after their last prediction."""
    keep_audit_days: float = Field(default=730.0, gt=0)

    engine: Literal["local", "ray"] = "local"
    """Where workers evaluate: on their machine, or on all machines of a Ray cluster (docs/fan-out.md)."""
    ray_address: str = ""
    """HOST:PORT of the cluster's head."""
    workers: int = Field(default=1, ge=0, le=64)
    """Evaluation slots that ``serve`` starts; each has one child process."""
    threads: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    """Threads of one evaluation; with ``ray``, on each machine, and no more than it has."""
    keyset_cache_bytes: int = Field(default=2_000 * MEGABYTE, ge=0)
    """Evaluation keys held in memory by one slot; never more than a quarter of ``memory_bytes``."""
    memory_bytes: int = Field(default=0, ge=0)
    """Memory of one slot, evaluation and keys. 0: what this machine or container has, divided among ``workers``."""
    child_memory_bytes: int = Field(default=8_000 * MEGABYTE, ge=3_000 * MEGABYTE)
    """Address space that an evaluation child may use beyond what loading the runtime takes. The runtime reserves 2.2 GB
    of it at its first call, of which it uses little, and hangs where it does not get them."""

    max_bundle_bytes: int = Field(default=64 * MEGABYTE, ge=1)
    """The largest bundle that is taken over HTTP, report and all."""
    max_evaluation_keys_bytes: int = Field(default=200 * MEGABYTE, ge=1)
    max_record_bytes: int = Field(default=16 * MEGABYTE, ge=1)
    max_records_per_prediction: int = Field(default=64, ge=1)

    lease_seconds: float = Field(default=10.0, gt=0, le=3600)
    """How long a worker that stops answering keeps its job."""
    heartbeat_seconds: float = Field(default=1.0, gt=0)
    poll_seconds: float = Field(default=0.05, gt=0)
    stall_seconds: float = Field(default=600.0, gt=0)
    """A child that has finished no call for so long hangs, and is killed; a call takes seconds."""
    max_attempts: int = Field(default=5, ge=1)
    """How often a job whose child or worker died is begun again before it fails."""
    max_wait_seconds: int = Field(default=30, ge=0)
    """Longest long poll (``Prefer: wait=N``)."""

    @property
    def asks_for_tokens(self) -> bool:
        return self.authentication == "tokens" or (self.authentication == "auto" and not is_loopback(self.host))

    @property
    def slot_keyset_bytes(self) -> int:
        """Of keysets that a slot holds in memory."""
        return min(self.keyset_cache_bytes, self._slot_bytes // 4)

    @property
    def slot_evaluation_bytes(self) -> int:
        """Of memory that an evaluation may take beside them."""
        return self._slot_bytes - self.slot_keyset_bytes

    @property
    def _slot_bytes(self) -> int:
        return self.memory_bytes or available_memory_bytes() // max(1, self.workers)

    @property
    def resolved_database_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'epaas.db'}"
