"""OpenTelemetry traces: from an upload to its webhook, over a real exporter to a collector."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from adapters.delivery.delivery_file import DeliveryFile
from adapters.delivery.webhook_sender import HttpWebhookSender
from adapters.metadata.sqlite import SqliteStore
from graph.server.request_log import RequestLog
from graph.tracing.instrument import instrumented
from graph.tracing.recording_context import RecordingContexts
from recordings.model.feed_event import EventType, FeedEvent
from recordings.model.webhook import WebhookRequest
from tests.e2e.installation import ACCOUNT, make_account, make_ingest
from tests.e2e.server import Server, until
from tests.e2e.server import command as run_command
from tests.e2e.sound import wav
from tests.servers.customer_server import Customer

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
REQUEST = WebhookRequest("POST", "https://example.org/", {}, b"")


@pytest.fixture
def customer() -> Iterator[Customer]:
    made = Customer()
    made.start()
    yield made
    made.stop()


def spans(customer: Customer) -> dict[str, list[Any]]:
    """Return the exported spans of the trace of the upload, by name."""
    found: dict[str, list[Any]] = {}
    for request in customer.received:
        if request.path == "/v1/traces":
            message = ExportTraceServiceRequest.FromString(request.body)
            for span in (span for part in message.resource_spans for scope in part.scope_spans for span in scope.spans):
                if span.trace_id.hex() == TRACE:
                    found.setdefault(span.name, []).append(span)
    return found


def test_an_upload_and_its_webhook_are_one_trace(tmp_path: Path, customer: Customer) -> None:
    data = tmp_path / "data"
    token, ingest = make_account(data), make_ingest(data)
    options = ("--private-hosts", "127.0.0.1", "--otel", customer.url, "--log-format", "json")
    hook = ("webhook", "create", "--account", ACCOUNT, "--url", f"{customer.url}/hook", "--types", "recording.stored")
    made = run_command(*hook, "--private-hosts", "127.0.0.1", data=data)
    if made.returncode == 2:
        made = run_command(*hook, data=data, RECORDINGS_PRIVATE_HOSTS="127.0.0.1")
    assert made.returncode == 0, made.stderr
    with Server(data, *options, OTEL_BSP_SCHEDULE_DELAY="100") as server:
        client = server.client(token)
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "Content-Type": "audio/x-wav"}
        answer = client.http.put(f"{ingest}/call_recording_1.wav", content=wav(seconds=1), headers=headers)
        assert answer.status_code < 300, answer.text
        sent = until(lambda: [each for each in customer.received if each.path == "/hook"])
        wanted = {"PUT /ingest", "store.insert", "work FINALIZE", "finalizer.finalize", "media.keep", "webhook"}
        until(lambda: wanted <= spans(customer).keys())
        text = server.log.read_text()
    found = spans(customer)
    header = next(value for name, value in sent[0].headers.items() if name.lower() == "traceparent")
    assert header.split("-")[1] == TRACE
    (request,) = found["PUT /ingest"]
    assert request.parent_span_id.hex() == PARENT
    assert header.split("-")[2] == found["webhook"][0].span_id.hex()
    assert found["media.keep"][0].parent_span_id == found["finalizer.finalize"][0].span_id
    lines = [json.loads(line) for line in text.splitlines()]
    traced = {line["event"] for line in lines if line.get("trace_id") == TRACE}
    assert {"request", "recording stored"} <= traced
    # No span has the secret of the address.
    assert not any(ingest.rpartition("/")[2].encode() in request.body for request in customer.received)


def test_a_server_imports_no_large_library_and_no_other_command_before_it_needs_them() -> None:
    program = (
        "import sys, graph.server.run, graph.cli.main; graph.cli.main.recordings.commands['serve'];"
        "unwanted = {'opentelemetry', 'av', 'fsspec', 'rich.progress', 'graph.cli.import_command'};"
        "print(unwanted & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


async def test_the_classes_are_as_before_at_the_end() -> None:
    before = {name: getattr(SqliteStore, name) for name in dir(SqliteStore)}, RequestLog.__call__
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with instrumented(provider):
        assert RequestLog.__call__ is not before[1]
    assert ({name: getattr(SqliteStore, name) for name in dir(SqliteStore)}, RequestLog.__call__) == before


def test_a_delivery_carries_the_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DeliveryFile, "headers", lambda _file: {"Content-Type": "audio/mpeg"})
    provider = TracerProvider()
    with instrumented(provider), provider.get_tracer("x").start_as_current_span("delivery") as span:
        headers = DeliveryFile.headers(None)  # type: ignore[arg-type]
        trace_id = f"{span.get_span_context().trace_id:032x}"
    assert headers["Content-Type"] == "audio/mpeg"
    assert headers["traceparent"].split("-")[1] == trace_id


async def test_a_webhook_is_sent_with_its_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    async def send(*given: Any) -> tuple[Any, ...]:
        return given

    monkeypatch.setattr(HttpWebhookSender, "send", send)
    with instrumented(TracerProvider()):
        _, request, limit = cast("Any", await HttpWebhookSender.send(cast("Any", None), REQUEST, 8))
    assert (request.url, limit) == (REQUEST.url, 8)


def test_another_server_uses_a_trace_of_the_recordings_id() -> None:
    event = FeedEvent(account_id="a", subject=f"202611-{TRACE}", revision=1, type=EventType.STORED, time=1)
    contexts = [RecordingContexts().of(event.subject) for _ in range(2)]
    found = {trace.get_current_span(each).get_span_context().trace_id for each in contexts}
    assert found == {int(TRACE, 16)}
    assert RecordingContexts().of("imported id") is None
