"""The port for events as they happen: bounded queues that one watcher of the store fills.

A queue only has the events that were committed after it was opened, and it may overflow. So it is never read alone:
`recordings.use_cases.event_reader` first reads the stored events, and returns to them after an overflow.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from recordings.model.feed_event import EventSelection, FeedEvent
from recordings.model.fields import RecordingRow
from recordings.model.instants import Millis

MAX_QUEUED: Final = 256
"""How many events a queue holds by default."""


Listener = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """An event, and the row of its recording with all fields; `None` for an event of an account.

    `complete_to`: all events of the store with a stamp before it were queued before this event's batch or with it.
    """

    event: FeedEvent
    row: RecordingRow | None
    complete_to: Millis


class LiveQueue(Protocol):
    """The events of one selection that were committed since the queue was opened, each of them once."""

    @property
    def complete_to(self) -> Millis:
        """All events with a stamp before this were queued, or were committed before the queue was opened."""

    @property
    def is_empty(self) -> bool:
        """True if no event waits in the queue."""

    @property
    def is_full(self) -> bool:
        """True if events were not queued because the queue was full. It then gets no more."""

    @property
    def has_gap(self) -> bool:
        """True if events may be missing because the store was unreachable. It then gets no more."""

    def take(self) -> LiveEvent | None:
        """Remove and return the first event; `None` if the queue is empty."""

    async def wait(self, seconds: float | None) -> bool:
        """Wait until an event is queued, or the queue gets no more. Return false after the timeout."""

    def listen(self, listener: "Listener | None") -> None:
        """Call a listener for each event that is queued while a `wait` waits.

        It may take events. It returns true if it took all; otherwise the `wait` ends.
        """

    def close(self) -> None:
        """Stop to queue events. A `wait` ends."""


class LiveEvents(Protocol):
    """Opens queues. All queues of a process share one watch of the store."""

    async def open(self, selection: EventSelection, max_queued: int = MAX_QUEUED) -> LiveQueue:
        """Return a queue. Every event of the selection that is committed after this returns will be queued.

        Raises:
            StoreUnavailableError: the store cannot be watched.
        """

    async def pause(self, seconds: float) -> None:
        """Wait for so long."""
