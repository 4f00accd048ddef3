"""The only code that writes recordings.

`RecordingWriter` loads a recording, applies an event, and saves the result with a compare-and-set on the revision. A
write that loses a race loads and applies again; it never overwrites. Each write is a `Change` with its cause, and all
of them pass through `RecordingWriter._write`. The same write stores the event that clients get (`rules.event_types`).
"""

from dataclasses import dataclass
from typing import Final

from recordings.model.errors import Conflict
from recordings.model.events import Cause, Created, Event, KeyStored, Moved, Rescheduled, Withdrawn
from recordings.model.recording import Lease, Recording, State
from recordings.ports.recording_store import RecordingStore
from recordings.rules.event_types import event_of
from recordings.rules.idempotency import remember, was_applied
from recordings.rules.lifecycle import apply, leased, move, reschedule

MAX_TRIES: Final = 8
"""How often a write is tried while other processes win the race. Then the caller gets `Conflict`."""


@dataclass(frozen=True, slots=True)
class Change:
    """One write: its cause, and the recording before and after it.

    `before` is `None` for a new recording, `after` is `None` for a removed one.
    """

    cause: Cause
    before: Recording | None
    after: Recording | None


class RecordingWriter:
    """Writes recordings to a store."""

    def __init__(self, store: RecordingStore) -> None:
        self._store = store

    async def create(self, recording: Recording, event: Created) -> Recording:
        """Insert a new recording.

        Raises:
            Taken: another recording has its id, its active call or its start key.
        """
        await self._write(Change(event, None, recording))
        return recording

    async def save_event(
        self, recording: Recording, event: Event, *, only_in: State | None = None, lease: Lease | None = None
    ) -> Recording:
        """Apply an event and save the result. After a lost race, load the recording and apply the event to it again.

        With `only_in`, the event is applied in that state only; in any other state the recording is returned unchanged.
        With a `lease`, the same write leases the recording's next step.

        Raises:
            Refused: the event is not allowed in the state that the recording has now.
            Taken: another recording has the value of a unique field that the event sets.
            Conflict: another process won the race `MAX_TRIES` times.
        """
        current: Recording | None = recording
        for _ in range(MAX_TRIES):
            if current is None:
                break
            if only_in is not None and current.state is not only_in:
                return current
            changed = apply(current, event)
            if changed is not current and lease is not None:
                changed = leased(changed, lease)
            if changed is current or await self._write(Change(event, current, changed)):
                return changed
            current = await self._store.load(recording.id)
        raise _keeps_changing(recording.id)

    async def save_action(
        self, recording: Recording, event: Event, key: str | None, action: str
    ) -> tuple[Recording, bool]:
        """Apply the event of a caller's action, as in `save_event`. Return the recording, and false for a repeated key.

        `key` is the caller's idempotency key. The write that applies the event also stores the key. So the same key is
        applied once, however many servers receive it at the same time.

        Raises:
            IdempotencyKeyReused: the key was used for another action.
            Refused: the event is not allowed in the state that the recording has now.
            Conflict: another process won the race `MAX_TRIES` times.
        """
        current: Recording | None = recording
        for _ in range(MAX_TRIES):
            if current is None:
                break
            if was_applied(current, key, action):
                return current, False
            applied = apply(current, event)
            changed = remember(applied, current, key, action)
            cause = KeyStored(at=event.at) if applied is current else event
            if changed is current or await self._write(Change(cause, current, changed)):
                return changed, True
            current = await self._store.load(recording.id)
        raise _keeps_changing(recording.id)

    async def save_event_once(
        self, recording: Recording, event: Event, *, lease: Lease | None = None
    ) -> Recording | None:
        """Apply an event and save the result. Return `None` after a lost race, without a second try.

        Use this if the event must not be applied to another process's result. With a `lease`, the same write leases
        the recording's next step.

        Raises:
            Refused: the event is not allowed in the recording's state.
        """
        changed = apply(recording, event)
        if lease is not None:
            changed = leased(changed, lease)
        return changed if await self._write(Change(event, recording, changed)) else None

    async def reschedule(self, recording: Recording, event: Rescheduled) -> Recording | None:
        """Set the due date of the next background step. Return `None` after a lost race.

        A lost race needs no second try: the process that won it has set another due date.
        """
        changed = reschedule(recording, event)
        return changed if await self._write(Change(event, recording, changed)) else None

    async def move(self, recording: Recording, event: Moved) -> Recording | None:
        """Save another URL of the same audio. Return `None` after a lost race, or while a step works with the audio."""
        changed = move(recording, event)
        return changed if changed is not recording and await self._write(Change(event, recording, changed)) else None

    async def withdraw(self, recording: Recording, event: Withdrawn) -> None:
        """Remove a new recording, as if it had never existed."""
        await self._write(Change(event, recording, None))

    async def _write(self, change: Change) -> bool:
        """Write one change. Return false if the recording's revision is no longer that of `change.before`."""
        event = event_of(change.cause, change.after)
        match change:
            case Change(before=None, after=Recording() as new):
                await self._store.insert(new, event)
            case Change(before=Recording() as old, after=None):
                await self._store.remove(old.id)
            case Change(before=Recording() as old, after=Recording() as new):
                return await self._store.save(new, old.revision, event)
        return True


def _keeps_changing(recording_id: str) -> Conflict:
    return Conflict(f"recording {recording_id} keeps changing: try again", recording_id=recording_id)
