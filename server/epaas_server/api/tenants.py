"""What a tenant has and has used; for administrators all tenants', the audit log, and erasure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, BeforeValidator

from epaas_server.api.authorisation import CALLER_ERRORS, AdminCaller, PredictingCaller, requires
from epaas_server.api.dependencies import ServicesDependency
from epaas_server.audit import Action
from epaas_server.scopes import Scope
from epaas_server.services import Services
from epaas_server.tenants import Quotas, Used
from epaas_shared.errors import TenantNotFound
from epaas_shared.protocol import Document
from epaas_web.problems import problem_responses

router = APIRouter(prefix="/v1", tags=["tenants"])

_NAME = r"^[a-z0-9-]{1,40}$"  # what is asked for is in the audit log, which people read
TenantName = Annotated[str, Path(pattern=_NAME)]


class TenantUsage(Document):
    name: str
    created_at: datetime
    quotas: Quotas
    used: Used


class TenantList(Document):
    tenants: list[TenantUsage]


class ErasedData(Document):
    predictions: int
    keysets: int


class AuditEntry(Document):
    at: datetime
    tenant: str
    actor: str
    action: str
    subject: str


class AuditEntries(Document):
    events: list[AuditEntry]


@router.get("/usage", responses=problem_responses(*CALLER_ERRORS))
def get_usage(services: ServicesDependency, caller: PredictingCaller) -> TenantUsage:
    """What the caller's tenant has and has used today, and what it may."""
    return _usage(services, caller.tenant)


@router.get("/tenants", dependencies=[requires(Scope.ADMIN)], responses=problem_responses(*CALLER_ERRORS))
def list_tenants(services: ServicesDependency) -> TenantList:
    """All tenants, what they have and have used today, and what they may."""
    return TenantList(tenants=[_usage(services, tenant.name) for tenant in services.tenants.all()])


@router.delete("/tenants/{name}/data", responses=problem_responses(*CALLER_ERRORS, TenantNotFound))
def erase_tenant_data(name: TenantName, services: ServicesDependency, caller: AdminCaller) -> ErasedData:
    """Erase all keys, records and predictions of a tenant; running ones are stopped. Its tokens stay valid."""
    erased = services.retention.erase_all_of(name)
    services.audit.add(name, caller.actor, Action.TENANT_ERASED, name)
    return ErasedData(predictions=erased.predictions, keysets=erased.keysets)


def _no_number(text: object) -> object:
    """A number would be read as seconds since 1970, which nobody who writes one here need mean."""
    try:
        float(str(text))
    except ValueError:
        return text
    raise ValueError("is no date and time")


def _in_utc(moment: datetime | None) -> datetime | None:
    if moment is None or moment.tzinfo is None:
        return moment
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("before the year 1 or after 9999 in UTC") from None


@router.get("/audit", responses=problem_responses(*CALLER_ERRORS))
def read_audit_log(
    services: ServicesDependency,
    caller: AdminCaller,
    tenant: Annotated[str | None, Query(pattern=_NAME)] = None,
    since: Annotated[
        datetime | None,
        Query(description="from this time on; UTC where it names no zone"),
        BeforeValidator(_no_number),
        AfterValidator(_in_utc),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="the newest so many")] = 1000,
) -> AuditEntries:
    """Who did what to whose things and when. Reading it is noted too."""
    events = services.audit.read(tenant=tenant, since=since, limit=limit)
    services.audit.add(caller.tenant, caller.actor, Action.AUDIT_READ, tenant or "all")
    return AuditEntries(events=[AuditEntry(**vars(event)) for event in events])


def _usage(services: Services, name: str) -> TenantUsage:
    tenant = services.tenants.get(name)
    used = services.tenants.used(name)
    return TenantUsage(name=name, created_at=tenant.created_at, quotas=tenant.quotas, used=used)
