"""Publishing over HTTP, with a provider's token: upload a bundle, promote a version, roll back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from epaas_server.api.authorisation import CALLER_ERRORS, PublishingCaller
from epaas_server.api.dependencies import ModelName, ServicesDependency
from epaas_server.archives import unpack
from epaas_server.audit import Action
from epaas_server.blobs import storage_errors
from epaas_server.bundles import read_bundle
from epaas_server.services import Services
from epaas_shared.errors import (
    BundleFallsShort,
    Conflict,
    InvalidBundle,
    InvalidRequest,
    ModelNotFound,
    PayloadTooLarge,
    StorageFull,
)
from epaas_shared.protocol import (
    BUNDLE_MEDIA_TYPE,
    Alias,
    Instruction,
    Model,
    ModelVersion,
    Promotion,
    RollBack,
)
from epaas_web.bodies import limited_body, limited_chunks
from epaas_web.problems import problem_responses

router = APIRouter(prefix="/v1/models/{name}", tags=["publishing"])

_MAX_INSTRUCTION_BYTES = 4096
InstructionT = TypeVar("InstructionT", bound=Instruction)


def _json_body(document: type[Instruction], *, required: bool) -> dict[str, Any]:
    """What OpenAPI says of a body that a route reads for itself, after it knows who asks."""
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": _schema(document)}}}}


def _schema(document: type[Instruction]) -> dict[str, Any]:
    schema = document.model_json_schema()
    schema.pop("$defs", None)
    return schema


@router.post(
    "/versions",
    status_code=201,
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "An uncompressed zip of the four files of a bundle",
            "content": {BUNDLE_MEDIA_TYPE: {"schema": {"type": "string"}}},
        }
    },
    responses={
        200: {"model": ModelVersion, "description": "The bundle was this version already"},
        **problem_responses(*CALLER_ERRORS, InvalidBundle, BundleFallsShort, PayloadTooLarge, StorageFull),
    },
)
async def publish_version(
    name: ModelName,
    request: Request,
    response: Response,
    services: ServicesDependency,
    caller: PublishingCaller,
    alias: Annotated[Alias, Query(description="what names the version from now on")] = Alias.CANDIDATE,
    strategy: Annotated[
        list[str] | None, Query(description="how layers are evaluated: one for all, or one a layer; else the cheapest")
    ] = None,
    trust_measured_ranges: Annotated[
        bool, Query(description="provide for the sums that training measured and a margin, not for every record")
    ] = False,
) -> ModelVersion:
    """Publish a bundle as the next version of its name. One that is a version already stays it and is planned again."""
    with services.registry.bundles.incoming() as folder:
        archive = folder / "bundle.zip"
        with archive.open("xb", buffering=0) as file:
            async for chunk in limited_chunks(request, services.settings.max_bundle_bytes):
                with storage_errors():
                    await to_thread.run_sync(file.write, chunk)
        model, created = await to_thread.run_sync(
            _publish, services, archive, name, strategy or (), trust_measured_ranges, alias
        )
    await _noted(services, caller, Action.MODEL_PUBLISHED, f"{model.name} {model.version} {alias.value}")
    response.status_code = 201 if created else 200
    response.headers["Location"] = f"/v1/models/{model.name}/versions/{model.version}"
    return model


def _publish(
    services: Services, archive: Path, name: str, strategies: Sequence[str], trust_measured_ranges: bool, alias: Alias
) -> tuple[ModelVersion, bool]:
    folder = archive.with_suffix("")
    folder.mkdir()
    unpack(archive, folder)
    bundle = read_bundle(folder)
    if bundle.manifest.name != name:
        raise InvalidBundle(f"the bundle is of the model {bundle.manifest.name}", field="name")
    return services.registry.add(bundle, strategies, trust_measured_ranges=trust_measured_ranges, alias=alias)


@router.put(
    "/aliases/stable",
    openapi_extra=_json_body(Promotion, required=True),
    responses=problem_responses(*CALLER_ERRORS, ModelNotFound, Conflict, PayloadTooLarge),
)
async def promote_version(
    name: ModelName, request: Request, services: ServicesDependency, caller: PublishingCaller
) -> Model:
    """Let a version answer from now on. Predictions that were asked for before are finished by theirs."""
    promotion = await _instruction(request, Promotion)
    model = await to_thread.run_sync(services.registry.promote, name, promotion.version, promotion.expected)
    await _noted(services, caller, Action.MODEL_PROMOTED, f"{model.name} {model.version}")
    return model


@router.post(
    "/rollback",
    openapi_extra=_json_body(RollBack, required=False),
    responses=problem_responses(*CALLER_ERRORS, ModelNotFound, Conflict, PayloadTooLarge),
)
async def roll_back_model(
    name: ModelName, request: Request, services: ServicesDependency, caller: PublishingCaller
) -> Model:
    """Let the version answer that was stable before the present one; twice goes two back.

    With ``expected`` a request that is repeated, say after a time-out, does not go back twice.
    """
    back = await _instruction(request, RollBack, empty=b"{}")
    model = await to_thread.run_sync(services.registry.roll_back, name, back.expected)
    await _noted(services, caller, Action.MODEL_ROLLED_BACK, f"{model.name} {model.version}")
    return model


async def _noted(services: Services, caller: PublishingCaller, action: Action, subject: str) -> None:
    await to_thread.run_sync(services.audit.add, caller.tenant, caller.actor, action, subject)


async def _instruction(request: Request, document: type[InstructionT], empty: bytes = b"") -> InstructionT:
    body = await limited_body(request, _MAX_INSTRUCTION_BYTES)
    try:
        return document.model_validate_json(body or empty)
    except ValidationError as invalid:
        first = invalid.errors()[0]
        field = ".".join(["body", *(str(part) for part in first["loc"])])
        raise InvalidRequest(first["msg"].lower(), field=field) from None
