"""The kinds of items that subscriptions return."""

from enum import StrEnum
from typing import Final

from graph.schema.enums import EventType, describe
from recordings.rules.event_document import MEANINGS

_LOST: Final = (
    "The client was too slow, and its queue was full. The subscription continues with the stored events after "
    "`cursor`, so none is missing."
)


class ChangeKind(StrEnum):
    """The type of an event, or that events were lost."""

    REQUESTED = EventType.REQUESTED
    ARMED = EventType.ARMED
    STARTED = EventType.STARTED
    PAUSED = EventType.PAUSED
    RESUMED = EventType.RESUMED
    MASKED = EventType.MASKED
    UNMASKED = EventType.UNMASKED
    ENDED = EventType.ENDED
    STORED = EventType.STORED
    DISCARDED = EventType.DISCARDED
    FAILED = EventType.FAILED
    LOST = EventType.LOST
    DELIVERED = EventType.DELIVERED
    DELIVERY_FAILED = EventType.DELIVERY_FAILED
    TRASHED = EventType.TRASHED
    RESTORED = EventType.RESTORED
    PURGED = EventType.PURGED
    HELD = EventType.HELD
    RELEASED = EventType.RELEASED
    AMENDED = EventType.AMENDED
    ACCESSED = EventType.ACCESSED
    POLICY_CHANGED = EventType.POLICY_CHANGED
    WEBHOOK_DISABLED = EventType.WEBHOOK_DISABLED
    WEBHOOK_TEST = EventType.WEBHOOK_TEST
    EVENTS_LOST = "events.lost"


describe(
    ChangeKind,
    "RecordingChangeKind",
    "What an item of `recordingChanged` reports: the type of an event, or that events were lost.",
    {**{ChangeKind(each): text for each, text in MEANINGS.items()}, ChangeKind.EVENTS_LOST: _LOST},
)
