"""The kinds of background work. Each has its own share of a server."""

from enum import StrEnum
from typing import Final

from recordings.model.recording import IN_PROGRESS, DeliveryState, State


class Work(StrEnum):
    """The kind of a recording's next background step."""

    FINALIZE = "FINALIZE"
    """Store the audio of a recording that has ended."""
    CHECK = "CHECK"
    """Check a take that should have ended."""
    DELIVER = "DELIVER"
    """Send a stored recording to its `url`."""
    PURGE = "PURGE"
    """Delete the audio and the metadata of a recording in the trash."""
    EXPIRE = "EXPIRE"
    """Move a recording to the trash, because its retention is over."""


NEW_WORK: Final = (Work.FINALIZE, Work.CHECK, Work.DELIVER)
"""The kinds for which a client waits. The others can be done at any time."""


def work_of(state: str, delivery_state: str | None) -> Work:
    """Return the kind of the next step of a recording in this state."""
    if state == State.FINALIZING:
        return Work.FINALIZE
    if state in IN_PROGRESS:
        return Work.CHECK
    if state == State.TRASHED:
        return Work.PURGE
    is_delivery = state == State.STORED and delivery_state == DeliveryState.PENDING
    return Work.DELIVER if is_delivery else Work.EXPIRE
