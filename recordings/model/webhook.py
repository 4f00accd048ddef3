"""A webhook: a URL that gets the events of an account, and how far its delivery has come."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from recordings.model.feed_event import EventCursor, EventInclude, EventPosition, EventSelection, EventType, FeedEvent
from recordings.model.instants import HOUR, Millis
from recordings.model.query import EVERYTHING, Condition

MAX_WEBHOOKS: Final = 100
"""How many webhooks an account may have."""
MAX_ATTEMPTS_KEPT: Final = 100
"""How many attempts of a webhook are kept."""
MAX_ANSWER: Final = 1_024
"""Bytes of a response body that an attempt keeps."""
DEFAULT_OVERLAP: Final[Millis] = 24 * HOUR
"""How long the former secret signs, too, after a rotation."""
NOT_SENT: Final = frozenset({EventType.ACCESSED, EventType.WEBHOOK_TEST})
"""Types that a webhook without `types` does not get: one is frequent, and a test has its own request."""


class WebhookFormat(StrEnum):
    """The form of a request."""

    STANDARD = "STANDARD"
    """The JSON of Standard Webhooks 1.0."""
    CLOUDEVENTS_BINARY = "CLOUDEVENTS_BINARY"
    """CloudEvents 1.0, with the attributes in headers."""
    CLOUDEVENTS_STRUCTURED = "CLOUDEVENTS_STRUCTURED"
    """CloudEvents 1.0, with the attributes and the data in one JSON object."""
    KAZOO = "KAZOO"
    """The `object` hooks of Kazoo."""


class HttpVerb(StrEnum):
    """The method of a request. Only the format KAZOO allows others than POST."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"


class DisabledReason(StrEnum):
    """Why a webhook is disabled."""

    BY_CLIENT = "BY_CLIENT"
    """A client disabled it."""
    GONE = "GONE"
    """The receiver answered 410."""
    FAILING = "FAILING"
    """All attempts of the last days failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """The settings of a webhook.

    - `types`: the types of events that it gets. `None` means all except `NOT_SENT`.
    - `where`: it gets only events of recordings that meet this condition. `filter` is its text, as the client sent it.
    - `descendants`: it also gets the events of the accounts below its account.
    - `kazoo`: further settings of the format KAZOO, as clients of the v2 API wrote them.
    - `custom_data`: values that the format KAZOO adds to each request.
    - `overlap`: how long the former secret signs, too, after a rotation. `old_secret_until` is when that ends.
    - `disabled`, `disabled_at`, `disabled_detail`: why and when it was disabled. `None` if it is enabled.
    - `revision`: it increases with each change of these settings.
    - `fingerprint`: the digest of the request that created it, if that had an idempotency key.
    """

    id: str
    account_id: str
    url: str
    name: str = ""
    types: frozenset[EventType] | None = None
    where: Condition = EVERYTHING
    filter: str = ""
    include: frozenset[EventInclude] = frozenset()
    format: WebhookFormat = WebhookFormat.STANDARD
    verb: HttpVerb = HttpVerb.POST
    descendants: bool = False
    kazoo: Mapping[str, Any] = field(default_factory=dict)
    custom_data: Mapping[str, Any] = field(default_factory=dict)
    overlap: Millis = DEFAULT_OVERLAP
    old_secret_until: Millis = 0
    disabled: DisabledReason | None = None
    disabled_at: Millis | None = None
    disabled_detail: str = ""
    created: Millis
    modified: Millis
    revision: int = 1
    fingerprint: str = ""

    @property
    def enabled(self) -> bool:
        """True if it gets events."""
        return self.disabled is None

    @property
    def wanted(self) -> frozenset[EventType]:
        """The types of events that it gets."""
        return frozenset(EventType) - NOT_SENT if self.types is None else self.types

    @property
    def selection(self) -> EventSelection:
        """The events that it gets."""
        types = self.wanted - {EventType.WEBHOOK_TEST}
        return EventSelection(account_id=self.account_id, descendants=self.descendants, types=types, where=self.where)


@dataclass(frozen=True, slots=True)
class WaitingEvent:
    """An event whose delivery failed, or that waits for an earlier event of its recording.

    `attempts` is the number of failed attempts. It is 0 for an event that only waits. `due_at` is the time of the next
    attempt.
    """

    event: FeedEvent
    attempts: int
    due_at: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A request to send old events again: those from the time `since` to before `until`.

    While it runs, the cursor is in the past. After it, the delivery continues at `resume`.
    """

    since: Millis
    until: Millis
    types: frozenset[EventType] | None = None
    resume: EventCursor


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookProgress:
    """How far the delivery of a webhook has come. A server changes it under a lease.

    - `cursor`: the receiver got all events up to it, except `waiting` ones.
    - `replay`: the replay that runs now.
    - `waiting`: events that failed, and the later ones of their recordings, by position.
    - `failures`, `failing_since`, `last_failure`: the attempts since the last success, all of them failed.
    - `pauses`, `pause_until`: the receiver is down or throttles. No attempt is made before this time. `pauses` counts
      the pauses since the last success.
    - `given_up`, `given_up_since`: how many events were given up after all attempts, and the stamp of the first one.
      A replay sends them again.
    - `sent`: how many attempts were made in all.
    - `due_at`: when the next work is due. While it is leased, the end of the lease. `None` if it only waits for events.
    - `holder`: the lease. It is empty if no server works on it.
    - `revision`: it increases with each change.
    """

    webhook_id: str
    cursor: EventCursor
    replay: Replay | None = None
    waiting: tuple[WaitingEvent, ...] = ()
    failures: int = 0
    failing_since: Millis | None = None
    last_failure: Millis | None = None
    pauses: int = 0
    pause_until: Millis = 0
    given_up: int = 0
    given_up_since: Millis | None = None
    sent: int = 0
    last_success: Millis | None = None
    due_at: Millis | None = None
    holder: str = ""
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAttempt:
    """One request to a receiver, and its response.

    - `number`: the number of the attempt of this webhook. `attempt`: that of this event, from 1.
    - `status`: the status of the response; `None` if there was none. `error` then says why.
    - `answer`: the first `MAX_ANSWER` bytes of the response body, as text. `headers`: those of the response.
    """

    number: int
    event_id: str
    type: EventType
    subject: str
    attempt: int
    at: Millis
    duration_ms: int
    succeeded: bool
    status: int | None = None
    error: str = ""
    answer: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A request to a receiver, without its signature."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """The response to a request; or the `error`, if there was no response.

    `retry_after` is the wait that the receiver asked for, at most a day. `text` has the first `MAX_ANSWER` bytes of the
    body. `headers` has no secret. Neither has `error`.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    retry_after: Millis | None = None
    error: str = ""
    duration_ms: int = 0


def start_of(at: Millis) -> EventCursor:
    """Return the cursor behind all events with a stamp before a time."""
    return EventCursor(EventPosition(at))
