"""Make spans of requests, GraphQL operations, store and media calls, background steps, deliveries and webhooks.

The methods are wrapped while `instrumented` is entered, and only then. No span has a path, a query or a message of an
error, because these can have secrets. Calls of a store make a span only inside another one: the server also polls.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import wraps
from typing import Any, Final

import structlog
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from adapters.delivery import UrlCourier
from adapters.delivery.delivery_file import DeliveryFile
from adapters.delivery.webhook_sender import HttpWebhookSender
from adapters.media import MediaRouter
from adapters.metadata.sqlite import SqliteStore
from graph.execution.run_operation import OperationRunner
from graph.metrics.counters import route_of
from graph.server.request_log import RequestLog
from graph.tracing.recording_context import RecordingContexts
from recordings.model.work import work_of
from recordings.use_cases.finalizer import Finalizer
from recordings.use_cases.save_event import RecordingWriter
from recordings.use_cases.upkeep import Upkeep
from recordings.use_cases.webhook_attempt import WebhookRequests

Method = Callable[..., Any]
_PROPAGATOR: Final = TraceContextTextMapPropagator()
_SERVER_ERROR: Final = 500
_QUIET: Final = frozenset({"/healthz", "/readyz"})


@contextmanager
def instrumented(provider: TracerProvider) -> Iterator[None]:
    """Trace this process. At the end, nothing is traced any more."""
    wrapping = _Wrapping(provider.get_tracer("recordings"))
    with ExitStack() as stack:
        for owner, name, wrap in wrapping.all():
            method = getattr(owner, name)
            # A class may have inherited the method.
            stack.callback(*((setattr, owner, name, method) if name in vars(owner) else (delattr, owner, name)))
            setattr(owner, name, wrap(method))
        yield


def _outgoing() -> Mapping[str, str]:
    """Return the headers that carry the current trace to another server."""
    headers: dict[str, str] = {}
    _PROPAGATOR.inject(headers)
    return headers


class _Wrapping:
    """Wraps the methods of the parts."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._recordings = RecordingContexts()

    def all(self) -> Iterator[tuple[type, str, Callable[[Method], Method]]]:
        """Yield each class, the name of a method, and the function that wraps it."""
        yield RequestLog, "__call__", self._request
        yield OperationRunner, "run_found", self._operation
        yield Upkeep, "step", self._step
        yield WebhookRequests, "send", self._webhook
        yield RecordingWriter, "create", self._create
        yield HttpWebhookSender, "send", self._with_trace_header
        yield DeliveryFile, "headers", self._more_headers
        for owner, names, prefix in (
            (Finalizer, ("finalize", "purge"), "finalizer"),
            (UrlCourier, ("deliver",), "delivery"),
            (MediaRouter, ("put", "keep", "length", "delete", "copy"), "media"),
        ):
            for name in names:
                yield owner, name, self._inner(f"{prefix}.{name}")
        yield MediaRouter, "read", self._read
        for store in _stores():
            for name, _ in inspect.getmembers(store, inspect.iscoroutinefunction):
                if not name.startswith("_") and name not in {"open", "close"}:
                    yield store, name, self._inner(f"store.{name}")

    @contextmanager
    def _span(self, name: str, parent: Context | None = None, kind: SpanKind = SpanKind.INTERNAL) -> Iterator[Span]:
        """Run a span. Log lines in it have its trace."""
        with self._tracer.start_as_current_span(name, parent, kind, record_exception=False) as span:
            trace_id = format_trace_id(span.get_span_context().trace_id)
            with structlog.contextvars.bound_contextvars(trace_id=trace_id):
                yield span

    def _request(self, method: Method) -> Method:
        @wraps(method)
        async def call(log: Any, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] not in {"http", "websocket"} or scope["path"] in _QUIET:
                await method(log, scope, receive, send)
                return
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            parent, route = _PROPAGATOR.extract(headers), route_of(scope["path"])
            verb = scope.get("method", "WEBSOCKET")
            with self._span(f"{verb} {route}", parent, SpanKind.SERVER) as span:
                span.set_attributes({"http.request.method": verb, "http.route": route})

                async def noted(message: Any) -> None:
                    if message["type"] == "http.response.start":
                        span.set_attribute("http.response.status_code", message["status"])
                        if message["status"] >= _SERVER_ERROR:
                            span.set_status(StatusCode.ERROR)
                    await send(message)

                await method(log, scope, receive, noted)

        return call

    def _operation(self, method: Method) -> Method:
        @wraps(method)
        async def call(runner: Any, found: Any, *arguments: Any) -> Any:
            with self._span(f"graphql {found.kind.value}") as span:
                name = found.operation.name
                if name is not None:
                    span.set_attribute("graphql.operation.name", name.value)
                return await method(runner, found, *arguments)

        return call

    def _step(self, method: Method) -> Method:
        @wraps(method)
        async def call(upkeep: Any, recording: Any) -> Any:
            delivery = None if recording.delivery is None else recording.delivery.state.value
            work = work_of(recording.state.value, delivery).value
            with self._span(f"work {work}", self._recordings.of(recording.id)) as span:
                span.set_attribute("recording.id", recording.id)
                return await method(upkeep, recording)

        return call

    def _webhook(self, method: Method) -> Method:
        @wraps(method)
        async def call(requests: Any, webhook: Any, event: Any, *more: Any) -> Any:
            with self._span("webhook", self._recordings.of(event.subject), SpanKind.CLIENT) as span:
                span.set_attributes({"webhook.id": webhook.id, "event.type": event.type.value})
                answer = await method(requests, webhook, event, *more)
                if answer is not None and answer.status is not None:
                    span.set_attribute("http.response.status_code", answer.status)
                return answer

        return call

    def _create(self, method: Method) -> Method:
        @wraps(method)
        async def call(writer: Any, recording: Any, event: Any) -> Any:
            self._recordings.remember(recording.id)
            return await method(writer, recording, event)

        return call

    def _with_trace_header(self, method: Method) -> Method:
        @wraps(method)
        async def call(sender: Any, request: Any, *more: Any) -> Any:
            return await method(sender, replace(request, headers={**request.headers, **_outgoing()}), *more)

        return call

    def _more_headers(self, method: Method) -> Method:
        @wraps(method)
        def call(file: Any) -> Any:
            return {**method(file), **_outgoing()}

        return call

    def _inner(self, name: str) -> Callable[[Method], Method]:
        """Return a wrapper that makes a span inside another one."""

        def wrap(method: Method) -> Method:
            @wraps(method)
            async def call(*arguments: Any, **named: Any) -> Any:
                if not trace.get_current_span().get_span_context().is_valid:
                    return await method(*arguments, **named)
                with self._tracer.start_as_current_span(name, record_exception=False):
                    return await method(*arguments, **named)

            return call

        return wrap

    def _read(self, method: Method) -> Method:
        @wraps(method)
        async def call(*arguments: Any, **named: Any) -> AsyncIterator[bytes]:
            # The span is not the current one: the reader works between two chunks.
            span = self._tracer.start_span("media.read", contexts.get_current())
            length = 0
            try:
                async for chunk in method(*arguments, **named):
                    length += len(chunk)
                    yield chunk
            finally:
                span.set_attribute("media.bytes", length)
                span.end()

        return call


def _stores() -> Iterator[type]:
    yield SqliteStore
    from adapters.metadata.mongodb import MongoStore

    yield MongoStore
