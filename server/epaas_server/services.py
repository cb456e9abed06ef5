"""Everything a server process works with, made once from the settings and passed along."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from epaas_server.acceptance import Acceptance, read_acceptance
from epaas_server.blobs import Blobs
from epaas_server.database import open_database
from epaas_server.evaluation_keys import KeyStore
from epaas_server.jobs.store import JobStore
from epaas_server.registry import Registry
from epaas_server.settings import Settings
from epaas_server.tokens import TokenStore


@dataclass(frozen=True)
class Services:
    settings: Settings
    database: Engine
    blobs: Blobs
    registry: Registry
    keys: KeyStore
    jobs: JobStore
    tokens: TokenStore

    @classmethod
    def open(cls, settings: Settings) -> Services:
        """Raises :class:`ConfigurationError` where the acceptance file is wrong."""
        acceptance = read_acceptance(Path(settings.acceptance_file)) if settings.acceptance_file else Acceptance()
        database = open_database(settings.resolved_database_url)
        blobs = Blobs(settings.data_dir / "blobs")
        jobs = JobStore(database)
        return cls(
            settings=settings,
            database=database,
            blobs=blobs,
            registry=Registry(database, settings.data_dir / "bundles", acceptance),
            keys=KeyStore(database, blobs, jobs),
            jobs=jobs,
            tokens=TokenStore(database),
        )

    def close(self) -> None:
        self.database.dispose()
