"""Events in memory whose writes commit in another order than that of their stamps, as those of MongoDB do."""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence

from recordings.model.account import Account
from recordings.model.feed_event import EventPosition, EventSelection, EventType, FeedEvent
from recordings.model.fields import RecordingRow
from recordings.model.instants import EARLIEST, LATEST, Millis
from recordings.ports.live_events import MAX_QUEUED, Listener, LiveEvent

ACCOUNT = "a" * 32


class MemoryQueue:
    """A `LiveQueue`. `wait` returns at once."""

    def __init__(self, events: "MemoryEvents", selection: EventSelection, max_queued: int) -> None:
        self._events = events
        self._selection = selection
        self._max_queued = max_queued
        self._items: deque[LiveEvent] = deque()
        self.is_full = self.has_gap = False
        self._listener: Listener | None = None

    @property
    def complete_to(self) -> Millis:
        """All events before this were queued."""
        return EARLIEST if self.is_full or self.has_gap else self._events.rung_to

    @property
    def is_empty(self) -> bool:
        """Whether no event waits."""
        return not self._items

    def put(self, item: LiveEvent) -> None:
        """Add an event of the selection."""
        if self.is_full or self.has_gap or not self._selection.selects(item.event, item.row):
            return
        if len(self._items) >= self._max_queued:
            self.is_full = True
        else:
            self._items.append(item)
            if self._listener is not None and self._events.readers_wait:
                self._listener()

    def take(self) -> LiveEvent | None:
        """Remove and return the first event."""
        return self._items.popleft() if self._items else None

    async def wait(self, seconds: float | None) -> bool:
        """Return whether there is something to take."""
        return seconds is None or bool(self._items) or self.is_full or self.has_gap

    def listen(self, listener: Listener | None) -> None:
        """Call a listener for each event."""
        self._listener = listener

    def close(self) -> None:
        """Stop to queue events."""
        self._events.queues.discard(self)


class MemoryEvents:
    """The part of a `MetadataStore` that readers of events need, and a `LiveEvents`.

    `begin` takes the stamp of a write. `commit` makes it visible. `ring` tells the queues about the commits so far.
    """

    def __init__(self) -> None:
        self.now: Millis = 1_000
        self.begun: list[FeedEvent] = []
        self.visible: list[FeedEvent] = []
        self.unrung: list[FeedEvent] = []
        self.queues: set[MemoryQueue] = set()
        self.rung_to: Millis = EARLIEST
        self.readers_wait = False
        """True while all readers wait for events. Only then, listeners are called."""
        self._revisions: dict[str, int] = {}
        self._watermark: Millis = 0
        self.between: list[Callable[[], None]] = []
        """Called before the next requests of a reader, one by one."""

    def begin(self, subject: str, kind: EventType = EventType.AMENDED) -> None:
        """Begin a write, unless the recording already has one."""
        if any(event.subject == subject for event in self.begun):
            return
        self.now += 1
        revision = self._revisions[subject] = self._revisions.get(subject, -1) + 1
        self.begun.append(
            FeedEvent(
                account_id=ACCOUNT,
                subject=subject,
                revision=revision,
                type=kind,
                time=0,
                stamp=self.now,
                state="STORED",
            )
        )

    def commit(self, place: int) -> None:
        """Commit one of the writes that have begun."""
        if self.begun:
            event = self.begun.pop(place % len(self.begun))
            self.visible.append(event)
            self.unrung.append(event)

    def advance(self) -> None:
        """Move the watermark as far as it can."""
        self._watermark = min((event.stamp for event in self.begun), default=self.now + 1)

    def ring(self) -> None:
        """Put the new events into the queues."""
        unrung, self.unrung = sorted(self.unrung, key=lambda event: event.position), []
        for event in unrung:
            for queue in tuple(self.queues):
                queue.put(LiveEvent(event, self._row(event.subject), self._watermark))
        self.rung_to = self._watermark

    def lose(self) -> None:
        """Let all queues have a gap."""
        self.unrung = []
        for queue in tuple(self.queues):
            queue.has_gap = True

    def _step(self) -> None:
        if self.between:
            self.between.pop(0)()

    async def open(self, selection: EventSelection, max_queued: int = MAX_QUEUED) -> MemoryQueue:
        """Return a queue."""
        self._step()
        queue = MemoryQueue(self, selection, max_queued)
        self.queues.add(queue)
        return queue

    async def pause(self, seconds: float) -> None:
        """Wait for nothing."""

    async def watermark(self) -> Millis:
        """Return the watermark."""
        self._step()
        return self._watermark

    async def events(
        self, account_ids: Collection[str], after: EventPosition, below: Millis | None, limit: int
    ) -> Sequence[FeedEvent]:
        """Return the visible events after a position."""
        self._step()
        end = LATEST if below is None else below
        found = [event for event in self.visible if event.position > after and event.stamp < end]
        return sorted(found, key=lambda event: event.position)[:limit]

    async def rows(self, ids: Collection[str], fields: object = None) -> Mapping[str, RecordingRow]:
        """Return rows by id."""
        self._step()
        return {each: self._row(each) for each in ids}

    async def accounts_below(self, account_id: str, limit: int) -> Sequence[Account]:
        """Return no accounts."""
        return ()

    @staticmethod
    def _row(subject: str) -> RecordingRow:
        return {"id": subject, "account_id": ACCOUNT, "owner_id": None, "state": "STORED"}
