"""What routes are given."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request

from epaas_server.services import Services
from epaas_shared.digest import DIGEST_PATTERN
from epaas_shared.protocol import MAX_VERSION


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDependency = Annotated[Services, Depends(_services)]
DigestPath = Annotated[str, Path(pattern=DIGEST_PATTERN, description="SHA-256, 64 hexadecimal digits")]
ModelName = Annotated[str, Path(max_length=100)]
PredictionId = Annotated[str, Path(max_length=100)]
VersionPath = Annotated[int, Path(ge=1, le=MAX_VERSION)]
