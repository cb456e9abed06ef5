"""Traces: OpenTelemetry's SDK, sending by OTLP over HTTP; off unless a collector is named in the environment.

The collector, sampling, headers and the rest are set by the standard ``OTEL_*`` variables, which the SDK reads. W3C
trace contexts pass through whether or not this process records anything. A collector that is away costs its spans and
nothing else.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from epaas_shared import __version__

_log = structlog.get_logger()
_PROPAGATOR = TraceContextTextMapPropagator()
_FLUSH_SECONDS = 3.0
KEY_DIGITS = 12
"""Of the digest of evaluation keys, in traces and in the lines of requests."""
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def collector(environment: Mapping[str, str]) -> str | None:
    """The address of the collector, as it is written in the environment; None where nothing is to be traced."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none":
        return None
    return next((environment[name] for name in _ENDPOINTS if environment.get(name)), None)


def start_tracing(component: str) -> Callable[[], None]:
    """Record spans of this process as those of ``component``; what is returned sends the last ones, briefly."""
    endpoint = collector(os.environ)
    if endpoint is None:
        return lambda: None
    # loaded only where it is used
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    attributes = {SERVICE_VERSION: __version__}
    if not os.environ.get("OTEL_SERVICE_NAME"):
        attributes[SERVICE_NAME] = component
    provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    _log.info("tracing", component=component)

    def stop() -> None:
        flushing = threading.Thread(target=provider.shutdown, daemon=True)
        flushing.start()
        flushing.join(_FLUSH_SECONDS)

    return stop


def tracer() -> Tracer:
    """What records spans, or does not."""
    return trace.get_tracer("epaas", __version__)


def recording() -> bool:
    """Whether this process records spans."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def context_of(traceparent: str | None, tracestate: str | None = None) -> Context:
    """The W3C trace context of a request or a job; an empty one where there is none, or one that is not valid."""
    given = {"traceparent": traceparent, "tracestate": tracestate}
    carrier = {name: value for name, value in given.items() if value is not None}
    return _PROPAGATOR.extract(carrier, context=Context())


def current_traceparent() -> str | None:
    """The W3C trace context of what is going on here; None where nothing is traced."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent")


def trace_id_of(context: Context | None = None) -> str | None:
    """The id of the trace, 32 hexadecimal digits, of this context or of what is going on here."""
    span = trace.get_current_span(context).get_span_context()
    return trace.format_trace_id(span.trace_id) if span.is_valid else None
