"""Everything a server process works with, made once from the settings and passed along."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine

from epaas_server.acceptance import Acceptance, read_acceptance
from epaas_server.audit import AuditLog
from epaas_server.blobs import Blobs, open_blobs
from epaas_server.bundle_store import BundleStore
from epaas_server.database import open_database
from epaas_server.evaluation_keys import KeyStore
from epaas_server.jobs.presence import WorkerPresence
from epaas_server.jobs.store import JobStore
from epaas_server.rate_limits import RateLimits
from epaas_server.registry import Registry
from epaas_server.retention import Retention
from epaas_server.settings import Settings
from epaas_server.tenants import TenantStore
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
    tenants: TenantStore
    presence: WorkerPresence
    audit: AuditLog
    rate_limits: RateLimits
    retention: Retention

    @classmethod
    def open(cls, settings: Settings) -> Services:
        """Raises :class:`ConfigurationError` where the acceptance file or the address of a store is wrong."""
        acceptance = read_acceptance(Path(settings.acceptance_file)) if settings.acceptance_file else Acceptance()
        database = open_database(settings.resolved_database_url, settings.database_password_file)
        blobs = open_blobs(settings.blob_store, settings.data_dir / "blobs")
        bundles = BundleStore(settings.data_dir / "bundles", blobs if settings.blob_store else None)
        tenants = TenantStore(database, settings.quotas)
        jobs = JobStore(database, tenants)
        keys = KeyStore(database, blobs, jobs, tenants)
        audit = AuditLog(database)
        return cls(
            settings=settings,
            database=database,
            blobs=blobs,
            registry=Registry(database, bundles, acceptance),
            keys=keys,
            jobs=jobs,
            tokens=TokenStore(database),
            tenants=tenants,
            presence=WorkerPresence(database),
            audit=audit,
            rate_limits=RateLimits(settings.rate_limit),
            retention=Retention(
                database=database,
                blobs=blobs,
                bundles=bundles,
                jobs=jobs,
                keys=keys,
                tenants=tenants,
                audit=audit,
                finished=timedelta(days=settings.keep_finished_days),
                unused_keys=timedelta(days=settings.keep_unused_keys_days),
                events=timedelta(days=settings.keep_audit_days),
            ),
        )

    def close(self) -> None:
        self.database.dispose()
