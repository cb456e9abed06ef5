"""Structured logs on stderr, one JSON object a line. Ids and states only: never a payload, a key or a token."""

from __future__ import annotations

import logging
import sys
import threading

import structlog
from structlog.typing import Processor


def configure_logging() -> None:
    """Route structlog and the standard library's warnings (uvicorn's among them) to the same lines.

    What :func:`structlog.contextvars.bind_contextvars` has bound is in all lines of a request or task.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, renderer],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    foreign: list[Processor] = [structlog.stdlib.add_logger_name, *shared]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer], foreign_pre_chain=foreign
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    threading.excepthook = _thread_died


def _thread_died(what: threading.ExceptHookArgs) -> None:
    structlog.get_logger().error("a thread died", exc_info=what.exc_value)
