"""Jobs as tests put them into a queue, and what they look up of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select

from epaas_server.blobs import FolderBlobs
from epaas_server.database import reading
from epaas_server.evaluation_keys import KeyStore
from epaas_server.jobs.job import Claim, NewPrediction
from epaas_server.jobs.store import JobStore
from epaas_server.plan import LayerPlan, Plan
from epaas_server.tables import DEFAULT_TENANT, jobs
from epaas_server.tenants import Quotas, TenantStore
from epaas_shared.digest import digest_bytes
from epaas_shared.frame import EvaluationKeysHeader, FrameStart
from epaas_shared.ranges import SumRange

LEASE = 100.0
EXPIRED = -1.0
"""A lease that has run out when it is given."""
KEYS = "a" * 64
PLAN = Plan(
    layers=(
        LayerPlan(strategy="accumulate", sums=SumRange(-7, 30, 37, True, "worst-case"), bootstraps=30),
        LayerPlan(strategy="reduce-tree", sums=SumRange(-3, 2, 5, False, "measured"), bootstraps=15),
    )
)


def prediction(
    name: str,
    *,
    keys: str = KEYS,
    request: str = "r",
    key: str | None = None,
    seconds: float | None = None,
    tenant: str = DEFAULT_TENANT,
    memory: int | None = None,
) -> NewPrediction:
    return NewPrediction(
        id=name,
        model_name="toy",
        model_version=3,
        model_digest="b" * 64,
        evaluation_keys=keys,
        records=2,
        record_blob=f"jobs/{name}/record",
        plan=PLAN,
        bootstraps_total=90,
        predicted_seconds=seconds,
        idempotency_key=key or f"key of {name}",
        request_digest=request,
        record_bytes=100,
        predicted_memory_bytes=memory,
        tenant=tenant,
    )


def submit(store: JobStore, *names: str) -> None:
    for name in names:
        store.submit(prediction(name))


def claimed(store: JobStore, lease: float = LEASE) -> Claim:
    claim = store.claim("worker", lease)
    assert claim is not None
    return claim


def row_of(database: Engine, name: str) -> dict[str, Any]:
    with reading(database) as connection:
        return dict(connection.execute(select(jobs).filter_by(id=name)).one()._mapping)


def upload(database: Engine, tmp_path: Path, content: bytes, *, tenant: str = DEFAULT_TENANT) -> tuple[KeyStore, str]:
    """Keys in the state ``checking``, with their check queued."""
    blobs = FolderBlobs(tmp_path / "blobs")
    keys = KeyStore(
        database, blobs, JobStore(database, TenantStore(database, Quotas())), TenantStore(database, Quotas())
    )
    header = EvaluationKeysHeader(payload_bytes=len(content), profile="c" * 64, keyset_bytes=len(content))
    with blobs.writer() as writer:
        writer.write(content)
        keys.add(digest_bytes(content), writer, FrameStart(header, 0), tenant)
    return keys, digest_bytes(content)
