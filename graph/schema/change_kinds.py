"""The kinds of items that subscriptions return."""

from enum import StrEnum
from typing import Final

from graph.schema.enums import EventType, describe
from recordings.ports.call_updates import CallUpdateKind
from recordings.rules.event_document import MEANINGS

__all__ = ["CallUpdateKind", "ChangeKind"]

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
describe(
    CallUpdateKind,
    "CallChangeKind",
    "What an item of `callsChanged` reports.",
    {
        CallUpdateKind.CURRENT: "The call is in progress. The calls in progress come first, and again after "
        "`EVENTS_LOST`.",
        CallUpdateKind.STARTED: "The call started.",
        CallUpdateKind.CHANGED: "The call has other data: its parties, or the server that receives its audio.",
        CallUpdateKind.ENDED: "The call ended. `call` has its last data.",
        CallUpdateKind.EVENTS_LOST: "Changes may be missing: the client was too slow, or the place in `since` is too "
        "old. Forget all calls: those in progress follow.",
    },
)
