"""The port for changes of live calls, on all servers of the installation.

Calls have no stored history. A reader first gets the calls in progress, and then each change.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from recordings.model.call import Call

MAX_QUEUED_CALLS: Final = 256
"""How many changes a queue holds by default."""


class CallUpdateKind(StrEnum):
    """What a reader learns about a call."""

    CURRENT = "CURRENT"
    """The call is in progress. After `EVENTS_LOST`, all calls in progress are named again."""
    STARTED = "STARTED"
    CHANGED = "CHANGED"
    ENDED = "ENDED"
    EVENTS_LOST = "EVENTS_LOST"
    """Changes may be missing."""


class CallPlace(NamedTuple):
    """A place behind a change: the number of the change, in the watch of an account by one process.

    A negative number is in the middle of the calls in progress: a reader that continues there gets them again.
    """

    watch: str
    number: int


@dataclass(frozen=True, slots=True)
class CallUpdate:
    """An item that a reader gets. `call` is as it was last seen; `None` for `EVENTS_LOST`."""

    kind: CallUpdateKind
    call: Call | None
    place: CallPlace


class CallQueue(Protocol):
    """The updates of one reader."""

    async def next(self) -> CallUpdate:
        """Return the next update as soon as there is one.

        Raises:
            StoreUnavailableError: the server stops.
        """

    def close(self) -> None:
        """Stop to queue updates."""


class LiveCalls(Protocol):
    """Opens queues. All queues of an account share one watch."""

    async def open(
        self, account_id: str, owner_id: str | None, since: CallPlace | None, max_queued: int = MAX_QUEUED_CALLS
    ) -> CallQueue:
        """Return a queue with the calls in progress of an account, or of one owner, and with all later changes.

        With `since`, it has only the changes after that place. If some of them are unknown, it begins with
        `EVENTS_LOST`, and the calls in progress follow.

        Raises:
            StoreUnavailableError: the calls of other servers cannot be read.
        """
