"""``epaas-server tenant``, ``token`` and ``audit``: who may use the server, how much, and what they did."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from epaas_server.cli.output import DataDir, Json, result, services_of
from epaas_server.scopes import Scope

if TYPE_CHECKING:
    from epaas_server.services import Services
    from epaas_server.tenants import Tenant
    from epaas_server.tokens import Token

app = typer.Typer()
tenant = typer.Typer(no_args_is_help=True, help="Tenants: who keys and predictions belong to, and their quotas.")
token = typer.Typer(no_args_is_help=True, help="Tokens: who may predict, publish and look after tenants.")

TenantArgument = Annotated[str, typer.Argument(metavar="NAME", help="The tenant's name.")]
_QUOTAS = "keysets, stored_bytes, unfinished_predictions, seconds_a_day"


@tenant.command("create")
def create_tenant(name: TenantArgument, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Make a tenant. Its keys and predictions are its own: nobody else sees or uses them.

    Example: epaas-server tenant create st-mary
    """
    from epaas_server.audit import COMMAND, Action

    services = services_of(data_dir)
    made = services.tenants.create(name)
    services.audit.add(name, COMMAND, Action.TENANT_CREATED, name)
    result(_tenant_document(services, made), f"{name} is a tenant; `epaas-server token create` lets it in", as_json)


@tenant.command("list")
def list_tenants(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the tenants, what each has, and what it may have."""
    services = services_of(data_dir)
    documents = [_tenant_document(services, each) for each in services.tenants.all()]
    result({"tenants": documents}, "\n".join(_tenant_line(each) for each in documents), as_json)


@tenant.command("quota")
def set_quota(
    name: TenantArgument,
    quotas: Annotated[list[str], typer.Argument(metavar="QUOTA=N...", help=f"{_QUOTAS}; =none lifts one.")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Change what a tenant may have. What is not named stays.

    Example: epaas-server tenant quota st-mary keysets=5 seconds_a_day=3600
    """
    from epaas_server.audit import COMMAND, Action

    services = services_of(data_dir)
    changed = services.tenants.set_quotas(name, dict(_quota(each) for each in quotas))
    services.audit.add(name, COMMAND, Action.QUOTAS_CHANGED, " ".join(quotas))
    document = _tenant_document(services, changed)
    result(document, _tenant_line(document), as_json)


@tenant.command("erase")
def erase_tenant(
    name: TenantArgument,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the tenant and its tokens.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Erase all keys, records, predictions and tokens of a tenant, and the tenant. Running predictions are stopped.

    Example: epaas-server tenant erase st-mary
    """
    from epaas_server.audit import COMMAND, Action

    services = services_of(data_dir)
    if not keep:
        services.tenants.check_may_go(name)
    erased = services.retention.erase_all_of(name)
    if not keep:
        services.tenants.delete(name)
    services.audit.add(name, COMMAND, Action.TENANT_ERASED, name)
    text = f"{erased.predictions} predictions and {erased.keysets} keysets of {name} are erased"
    result({"tenant": name, "kept": keep, **erased.model_dump()}, text, as_json)


@token.command("create")
def create_token(
    name: Annotated[str, typer.Argument(help="Whose it is, for the list.")],
    scope: Annotated[list[Scope], typer.Option(help="What it allows; may be given several times.")],
    tenant: Annotated[str, typer.Option(help="Whose keys and predictions it is for.")] = "default",
    days: Annotated[float | None, typer.Option(min=0, help="How long it is valid [default: until revoked].")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a token and print it. It is shown only now: the server keeps no more than its SHA-256.

    Examples: epaas-server token create "ward 7" --scope predict --tenant st-mary --days 90;
    epaas-server token create "training service" --scope publish
    """
    from epaas_server.audit import COMMAND, Action

    services = services_of(data_dir)
    lifetime = None if days is None else timedelta(days=days)
    made, text = services.tokens.create(name, scope, tenant, lifetime)
    services.audit.add(tenant, COMMAND, Action.TOKEN_CREATED, made.id)
    result({**_token_document(made), "token": text}, text, as_json)


@token.command("list")
def list_tokens(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the tokens that were not revoked: their ids, tenants, scopes and names."""
    found = services_of(data_dir).tokens.all()
    lines = [
        f"{each.id} {each.tenant} {each.scope.replace(' ', '+')} {each.created_at:%Y-%m-%d} "
        f"{'-' if each.expires_at is None else f'{each.expires_at:%Y-%m-%d}'} {each.name}"
        for each in found
    ]
    result({"tokens": [_token_document(each) for each in found]}, "\n".join(lines), as_json)


@token.command("revoke")
def revoke_token(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `token list` shows it.")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Let a token allow nothing from now on.

    Example: epaas-server token revoke 3f0c5a9e1b2d4c68 --data-dir ./data
    """
    from epaas_server.audit import COMMAND, Action

    services = services_of(data_dir)
    revoked = services.tokens.revoke(token_id)
    services.audit.add(revoked.tenant, COMMAND, Action.TOKEN_REVOKED, token_id)
    result({"revoked": token_id}, f"{token_id} is revoked", as_json)


@app.command()
def audit(
    tenant: Annotated[str | None, typer.Option(help="Of this tenant only.")] = None,
    since: Annotated[datetime | None, typer.Option(help="From this time on, UTC.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 1000,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Print the audit log: who did what to whose things and when.

    Example: epaas-server audit --tenant st-mary --since 2026-11-01
    """
    from datetime import UTC

    moment = None if since is None else since.replace(tzinfo=UTC)
    events = services_of(data_dir).audit.read(tenant=tenant, since=moment, limit=limit)
    lines = [f"{e.at:%Y-%m-%dT%H:%M:%SZ} {e.tenant} {e.actor} {e.action} {e.subject}" for e in events]
    documents = [{**vars(event), "at": event.at.isoformat()} for event in events]
    result({"events": documents}, "\n".join(lines), as_json)


def _quota(text: str) -> tuple[str, float | None]:
    """One ``NAME=N`` or ``NAME=none``. Raises :class:`InvalidRequest`."""
    from epaas_server.tenants import Quotas
    from epaas_shared.errors import InvalidRequest

    name, _, value = text.partition("=")
    if name not in Quotas.model_fields:
        raise InvalidRequest(f"there is no quota {name[:40]!r}", field="quota", hint=f"there are {_QUOTAS}")
    if value == "none":
        return name, None
    try:
        number = float(value)
        Quotas.model_validate({name: number})
    except ValueError:
        raise InvalidRequest(f"{value[:40]!r} is no amount", field=name, hint="a number from 0 on, or none") from None
    return name, number if name == "seconds_a_day" else int(number)


def _tenant_document(services: Services, tenant: Tenant) -> dict[str, Any]:
    return {
        "name": tenant.name,
        "created_at": tenant.created_at.isoformat(),
        "quotas": tenant.quotas.model_dump(),
        "used": services.tenants.used(tenant.name).model_dump(),
    }


def _tenant_line(document: dict[str, Any]) -> str:
    used, quotas = document["used"], document["quotas"]
    pairs = [
        ("keysets", "keysets"),
        ("stored_bytes", "stored_bytes"),
        ("unfinished_predictions", "unfinished_predictions"),
        ("seconds_today", "seconds_a_day"),
    ]
    allowed = {quota: "any" if value is None else f"{value:g}" for quota, value in quotas.items()}
    parts = [f"{quota} {used[now]:g}/{allowed[quota]}" for now, quota in pairs]
    return f"{document['name']}: {', '.join(parts)}"


def _token_document(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "scope": token.scope,
        "tenant": token.tenant,
        "created_at": token.created_at.isoformat(),
        "expires_at": None if token.expires_at is None else token.expires_at.isoformat(),
    }
