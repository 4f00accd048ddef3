"""The event that clients get for each change of a recording.

Most changes have a type of their own. The others have the type of the state that they lead to. A change without a type
of its own that leaves the state as it is, such as a new retention, is an `amended`.
"""

from collections.abc import Mapping
from typing import Final

from recordings.model import events
from recordings.model.events import Cause, Created, Event, KeyStored, Moved, Rescheduled, Withdrawn
from recordings.model.feed_event import EventType, FeedEvent
from recordings.model.recording import Recording, State

_BY_CAUSE: Final[Mapping[type[Event], EventType]] = {
    events.Paused: EventType.PAUSED,
    events.Resumed: EventType.RESUMED,
    events.Masked: EventType.MASKED,
    events.Unmasked: EventType.UNMASKED,
    events.Restored: EventType.RESTORED,
    events.Delivered: EventType.DELIVERED,
    events.DeliveryFailed: EventType.DELIVERY_FAILED,
    events.Held: EventType.HELD,
    events.Released: EventType.RELEASED,
    events.Annotated: EventType.AMENDED,
    events.Redelivered: EventType.AMENDED,
    events.Retained: EventType.AMENDED,
    events.Consented: EventType.AMENDED,
    events.Interrupted: EventType.AMENDED,
}
_BY_STATE: Final[Mapping[State, EventType]] = {
    State.REQUESTED: EventType.REQUESTED,
    State.ARMED: EventType.ARMED,
    State.RECORDING: EventType.STARTED,
    State.FINALIZING: EventType.ENDED,
    State.STORED: EventType.STORED,
    State.DISCARDED: EventType.DISCARDED,
    State.FAILED: EventType.FAILED,
    State.LOST: EventType.LOST,
    State.TRASHED: EventType.TRASHED,
    State.PURGED: EventType.PURGED,
}


def event_of(cause: Cause, after: Recording | None) -> FeedEvent | None:
    """Return the event of a change. Return `None` if clients do not get one.

    There is none for a new due date, for audio at another URL, for an idempotency key alone, and for the beginning of
    an upload: until its file is complete, an upload may be withdrawn without a trace.
    """
    if after is None or isinstance(cause, Rescheduled | Withdrawn | Moved | KeyStored):
        return None
    if isinstance(cause, Created) and after.source_key is not None and after.in_progress:
        return None
    kind = _BY_CAUSE.get(type(cause)) if isinstance(cause, Event) else None
    return FeedEvent(
        account_id=after.account_id,
        subject=after.id,
        revision=after.revision,
        type=kind or _BY_STATE[after.state],
        time=cause.at,
        state=after.state.value,
        reason=None if after.reason is None else after.reason.value,
        duration_ms=after.duration_ms,
    )
