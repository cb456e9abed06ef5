"""Published models and the input schemas of their tasks."""

from __future__ import annotations

from fastapi import APIRouter

from epaas_server.api.dependencies import DigestPath, ModelName, ServicesDependency, VersionPath
from epaas_shared.errors import ModelNotFound, SchemaNotFound
from epaas_shared.protocol import Model, ModelList, ModelVersion, ModelVersions
from epaas_shared.schema import InputSchema
from epaas_web.problems import problem_responses

router = APIRouter(prefix="/v1", tags=["models"])


@router.get("/models", responses=problem_responses())
def list_models(services: ServicesDependency) -> ModelList:
    """The stable version of every model."""
    return ModelList(models=services.registry.versions())


@router.get("/models/{name}", responses=problem_responses(ModelNotFound))
def get_model(name: ModelName, services: ServicesDependency) -> Model:
    """The stable version of a model, which answers where no version is named, and what its aliases name."""
    return services.registry.model(name)


@router.get("/models/{name}/versions", responses=problem_responses(ModelNotFound))
def list_model_versions(name: ModelName, services: ServicesDependency) -> ModelVersions:
    """All versions of a model, what its aliases name, and what was stable when."""
    return services.registry.versions_of(name)


@router.get("/models/{name}/versions/{version}", responses=problem_responses(ModelNotFound))
def get_model_version(name: ModelName, version: VersionPath, services: ServicesDependency) -> ModelVersion:
    return services.registry.version(name, version)


@router.get("/schemas/{digest}", responses=problem_responses(SchemaNotFound))
def get_schema(digest: DigestPath, services: ServicesDependency) -> InputSchema:
    """The input schema with this digest; the client checks the digest before it uses it."""
    return services.registry.schema(digest)
