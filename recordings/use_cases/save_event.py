"""The one way in which a recording changes: load, apply an event, save if nobody else did meanwhile."""

from typing import Final

from recordings.model.errors import Conflict
from recordings.model.events import Event
from recordings.model.recording import Recording, State
from recordings.ports.recording_store import RecordingStore
from recordings.rules.idempotency import remember
from recordings.rules.lifecycle import apply

RACES: Final = 8
"""How often a lost race is run again before the caller hears `Conflict`."""


async def change(
    store: RecordingStore,
    recording: Recording,
    event: Event,
    *,
    key: str | None = None,
    action: str = "",
    only_in: State | None = None,
) -> Recording:
    """The recording after an event, saved. A lost race reloads and applies the event to what is there then.

    With `only_in`, one that has moved on from that state by then is given back as it is.

    Raises:
        Refused: the event cannot happen in the state that the recording is in (by then).
        Conflict: every race was lost.
    """
    current: Recording | None = recording
    for _ in range(RACES):
        if current is None:
            break
        if only_in is not None and current.state is not only_in:
            return current
        changed = remember(apply(current, event), current, key, action)
        if changed is current or await store.save(changed, current.revision):
            return changed
        current = await store.load(recording.id)
    message = f"recording {recording.id} keeps changing: try again"
    raise Conflict(message, recording_id=recording.id)
