"""Send traces to a collector, as long as the server runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from graph.tracing.instrument import instrumented

_DISTRIBUTION = "call-recording-api"


@contextmanager
def exported_traces(url: str, node: str) -> Iterator[None]:
    """Trace the server, and send the spans to a collector. The variables `OTEL_…` of the SDK apply, too."""
    attributes = {"service.version": version(_DISTRIBUTION), "service.instance.id": node}
    resource = Resource.create({"service.name": "recordings", **attributes})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{url.rstrip('/')}/v1/traces")))
    try:
        with instrumented(provider):
            yield
    finally:
        provider.shutdown()
