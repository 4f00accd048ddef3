"""What this process counts. `docs/metrics.md` lists the metrics."""

from collections.abc import MutableMapping
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from recordings.model.feed_event import FeedEvent
from recordings.model.instants import SECOND
from recordings.model.recording import DeliveryState, Recording, State
from recordings.model.webhook import Webhook, WebhookAttempt
from recordings.ports.audio import MediaStoreUnavailableError
from recordings.ports.recording_store import StoreUnavailableError
from recordings.ports.webhook_store import WebhookReporter
from recordings.use_cases.unclear_writes import Reporter

disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

OTHER: Final = "other"
_ROUTES: Final = frozenset(
    {"graphql", "media", "stats", "export", "events", "ingest", "v1", "v2", "peers", "console", "healthz", "readyz"}
)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"})
_ENDED: Final = frozenset({State.STORED, State.DISCARDED, State.FAILED, State.LOST})
STREAMED: Final = "streamed"
"""The key in the state of a request whose response is a stream of results."""
_WAITS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200)

REQUESTS: Final = Counter(
    "recordings_requests", "Requests, by route, method and status.", ("route", "method", "status"), registry=REGISTRY
)
REQUEST_SECONDS: Final = Histogram(
    "recordings_request_seconds",
    "Time from the request to the end of its response, by route.",
    ("route",),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
    registry=REGISTRY,
)
GRAPHQL_COST: Final = Histogram(
    "recordings_graphql_cost",
    "Points of cost of a GraphQL operation.",
    buckets=(1, 10, 100, 1_000, 10_000, 100_000),
    registry=REGISTRY,
)
ENDED: Final = Counter(
    "recordings_ended",
    "Recordings with a result, by state, reason and cause of the end. `account` is empty unless --metrics-accounts is "
    "set.",
    ("state", "reason", "end_cause", "account"),
    registry=REGISTRY,
)
FINALIZING_SECONDS: Final = Histogram(
    "recordings_finalizing_seconds",
    "Time from the end of a recording's audio to its result.",
    buckets=_WAITS,
    registry=REGISTRY,
)
DELIVERIES: Final = Counter(
    "recordings_deliveries", "Finished deliveries to a `url`, by result.", ("result",), registry=REGISTRY
)
DELIVERY_SECONDS: Final = Histogram(
    "recordings_delivery_seconds",
    "Time from the end of a recording's audio to its delivery.",
    buckets=_WAITS,
    registry=REGISTRY,
)
FAULTS: Final = Counter(
    "recordings_step_faults", "Background steps that failed and are tried again, by step.", ("step",), registry=REGISTRY
)
WEBHOOK_ATTEMPTS: Final = Counter(
    "recordings_webhook_attempts",
    "Requests of webhooks, by result: delivered or failed.",
    ("result",),
    registry=REGISTRY,
)
WEBHOOK_EVENTS_GIVEN_UP: Final = Counter(
    "recordings_webhook_events_given_up", "Events that webhooks gave up after all attempts.", registry=REGISTRY
)
WEBHOOKS_DISABLED: Final = Counter(
    "recordings_webhooks_disabled", "Webhooks that the server disabled, by reason.", ("reason",), registry=REGISTRY
)
STORE_ERRORS: Final = Counter(
    "recordings_store_errors", "Requests and steps for which a store was unavailable.", ("store",), registry=REGISTRY
)
EVENTS_LOST: Final = Counter(
    "recordings_subscription_events_lost",
    "How often a subscription reported lost events, because its client was too slow.",
    registry=REGISTRY,
)


def count_request(scope: MutableMapping[str, Any], status: int | None, seconds: float) -> None:
    """Count a request. Its route is the first part of the path, so that there are few.

    The time of a WebSocket or of an event stream says nothing about this server: it ends when its client wants.
    """
    route = route_of(scope["path"])
    method = scope.get("method", "WEBSOCKET")
    REQUESTS.labels(route, method if method in _METHODS else OTHER, str(status or "none")).inc()
    if scope["type"] == "http" and STREAMED not in scope.get("state", {}):
        REQUEST_SECONDS.labels(route).observe(seconds)


def route_of(path: str) -> str:
    """Return the first part of a path, if it is one of the service's."""
    first = path.split("/", 2)[1] if "/" in path else ""
    return f"/{first}" if first in _ROUTES else OTHER


def count_store_error(error: Exception) -> None:
    """Count an error of a store. Ignore other errors."""
    if isinstance(error, MediaStoreUnavailableError):
        STORE_ERRORS.labels("media").inc()
    elif isinstance(error, StoreUnavailableError):
        STORE_ERRORS.labels("metadata").inc()


class CountingReporter:
    """A `Reporter` of the background work that counts, and passes everything on to another one."""

    def __init__(self, reporter: Reporter, *, by_account: bool) -> None:
        self._next = reporter
        self._by_account = by_account

    def moved(self, recording: Recording, step: str) -> None:
        """Count a result. `step` is the state before."""
        self._next.moved(recording, step)
        if step != recording.state.value.lower() and recording.state in _ENDED:
            account = recording.account_id if self._by_account else ""
            ENDED.labels(recording.state.value, _word(recording.reason), _word(recording.end_cause), account).inc()
            if recording.ended is not None:
                FINALIZING_SECONDS.observe(max(0, recording.modified - recording.ended) / SECOND)
        delivery = recording.delivery
        if step == State.STORED.value.lower() and delivery is not None and delivery.state is not DeliveryState.PENDING:
            DELIVERIES.labels(delivery.state.value).inc()
            if delivery.delivered_at is not None and recording.ended is not None:
                DELIVERY_SECONDS.observe(max(0, delivery.delivered_at - recording.ended) / SECOND)

    def fault(self, recording_id: str, step: str, error: Exception) -> None:
        """Count a failed step."""
        self._next.fault(recording_id, step, error)
        FAULTS.labels(step).inc()
        count_store_error(error)

    def left_alone(self, name: str) -> None:
        """Count nothing."""
        self._next.left_alone(name)


class CountingWebhookReporter:
    """A `WebhookReporter` that counts, and passes everything on to another one."""

    def __init__(self, reporter: WebhookReporter) -> None:
        self._next = reporter

    def attempted(self, webhook: Webhook, attempt: WebhookAttempt) -> None:
        """Count an attempt."""
        self._next.attempted(webhook, attempt)
        WEBHOOK_ATTEMPTS.labels("delivered" if attempt.succeeded else "failed").inc()

    def given_up(self, webhook: Webhook, event: FeedEvent) -> None:
        """Count an event that was given up."""
        self._next.given_up(webhook, event)
        WEBHOOK_EVENTS_GIVEN_UP.inc()

    def disabled(self, webhook: Webhook) -> None:
        """Count a disabled webhook."""
        self._next.disabled(webhook)
        WEBHOOKS_DISABLED.labels(_word(webhook.disabled)).inc()


def _word(value: Any) -> str:
    return "" if value is None else str(value.value)
