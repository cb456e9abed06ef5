"""``epaas-train serve``: the service's beginning and end."""

from __future__ import annotations

import structlog
import uvicorn

from epaas_models.service.app import create_app
from epaas_models.service.settings import ServiceSettings
from epaas_web.logging import configure_logging
from epaas_web.serving import listen

_log = structlog.get_logger()


def serve(settings: ServiceSettings) -> None:
    """Serve until told to stop; trainings that run are interrupted, and go on with the next service.

    Raises :class:`ConfigurationError` for settings that cannot be served with, :class:`Unavailable` for a port in use.
    """
    configure_logging()
    app = create_app(settings)
    listener = listen(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    _log.info("listening", url=f"http://{host}:{port}", slots=settings.slots)
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5)
    uvicorn.Server(config).run(sockets=[listener])
