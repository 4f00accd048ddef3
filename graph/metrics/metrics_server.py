"""The HTTP server for Prometheus: `GET /metrics` on a port of its own, in a thread of its own."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import start_http_server

from graph.metrics.counters import REGISTRY


@contextmanager
def metrics_server(host: str, port: int) -> Iterator[None]:
    """Serve the metrics until the end of the context. Raises `OSError` if the port is not free."""
    server, thread = start_http_server(port, host, REGISTRY)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
