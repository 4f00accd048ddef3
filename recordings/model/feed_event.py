"""The events that clients read: one for each change of a recording.

The store writes an event together with the change itself, and gives it the `changed` of that write as its `stamp`. So
the events of a store have one order: by stamp, then by subject, then by revision. The events of one recording are in
the order of its revisions.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from recordings.model.fields import RecordingRow
from recordings.model.instants import EARLIEST, Millis
from recordings.model.query import EVERYTHING, Condition, matches


class EventType(StrEnum):
    """The type of an event. Its value is the name that clients see."""

    REQUESTED = "recording.requested"
    ARMED = "recording.armed"
    STARTED = "recording.started"
    PAUSED = "recording.paused"
    RESUMED = "recording.resumed"
    MASKED = "recording.masked"
    UNMASKED = "recording.unmasked"
    ENDED = "recording.ended"
    STORED = "recording.stored"
    DISCARDED = "recording.discarded"
    FAILED = "recording.failed"
    LOST = "recording.lost"
    DELIVERED = "recording.delivered"
    DELIVERY_FAILED = "recording.delivery_failed"
    TRASHED = "recording.trashed"
    RESTORED = "recording.restored"
    PURGED = "recording.purged"
    HELD = "recording.held"
    RELEASED = "recording.released"
    AMENDED = "recording.amended"
    ACCESSED = "recording.accessed"
    POLICY_CHANGED = "policy.changed"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_TEST = "webhook.test"

    @property
    def is_of_account(self) -> bool:
        """True if the event is about an account's settings: its subject is no recording."""
        return self in ACCOUNT_EVENTS


ACCOUNT_EVENTS: Final = frozenset({EventType.POLICY_CHANGED, EventType.WEBHOOK_DISABLED, EventType.WEBHOOK_TEST})
RECORDING_EVENTS: Final = frozenset(EventType) - ACCOUNT_EVENTS


class EventInclude(StrEnum):
    """A part of the recording that a receiver may add to the data."""

    PARTIES = "PARTIES"
    METADATA = "METADATA"


class EventPosition(NamedTuple):
    """The place of an event in the order of all events. It is comparable."""

    stamp: Millis
    subject: str = ""
    revision: int = 0


MARK_BYTES: Final = 6
"""The length of the mark of an event in a cursor. Two of 512 events have the same one in 1 of 2,000,000,000 cases."""
BEGINNING: Final = EventPosition(EARLIEST)
"""The position before all events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEvent:
    """One event.

    - `subject`: the id of the recording. That of an account event is unique in the store, too.
    - `revision`: the revision of the subject that the event made.
    - `time`: when it happened, by the clock of the server that reported it.
    - `stamp`: when the store wrote it, by the store's clock. 0 until the store has set it.
    - `state`, `reason`, `duration_ms`: the values of the recording after the change.
    """

    account_id: str
    subject: str
    revision: int
    type: EventType
    time: Millis
    stamp: Millis = 0
    state: str | None = None
    reason: str | None = None
    duration_ms: Millis | None = None

    @property
    def position(self) -> EventPosition:
        """The place of the event in the order of all events."""
        return EventPosition(self.stamp, self.subject, self.revision)

    @property
    def key(self) -> tuple[str, int]:
        """The identity of the event: its subject and revision."""
        return self.subject, self.revision


@dataclass(frozen=True, slots=True)
class EventCursor:
    """A place from which a reader continues.

    It has got all events up to `position`, and behind it the events with the marks `seen`.
    """

    position: EventPosition = BEGINNING
    seen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSelection:
    """The events that a reader wants: of one account, and of all accounts below it with `descendants`.

    - `owner_id`: only events of this owner's recordings.
    - `types`: only these types. `None` means all.
    - `recording_id`: only events of this recording.
    - `where`: only events of recordings that meet the condition as they are now. A purged recording meets every one.
    """

    account_id: str
    descendants: bool = False
    owner_id: str | None = None
    types: frozenset[EventType] | None = None
    recording_id: str | None = None
    where: Condition = EVERYTHING

    def selects(self, event: FeedEvent, row: RecordingRow | None) -> bool:
        """Return true if the reader wants an event of its accounts. `row` is its recording, if it is about one."""
        if self.types is not None and event.type not in self.types:
            return False
        if self.recording_id is not None and event.subject != self.recording_id:
            return False
        if row is None:
            # Settings have no owner. They meet no condition on recordings.
            return event.type.is_of_account and self.owner_id is None and self.where == EVERYTHING
        if self.owner_id is not None and row["owner_id"] != self.owner_id:
            return False
        return self.where is EVERYTHING or row["state"] == "PURGED" or matches(self.where, row)
