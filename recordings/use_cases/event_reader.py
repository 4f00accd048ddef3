"""Read the events of a selection after a cursor: first the stored ones, and then new ones as they happen.

A reader never skips an event. Its cursor only moves behind an event when no earlier one can appear any more: up to the
store's watermark, which is some seconds behind in MongoDB. New events do not wait for that. They are returned at once,
and the cursor names them as seen, so that a client that continues there does not get them again. It names at most
`max_seen` of them. Under a higher load the reader is *held*: it returns only events up to the watermark, until the
cursor names half as many. So a client gets events later then, but none twice.

Three stages, in this order:

1. *Pages*: the stored events up to the watermark, a page at a time. There is no queue yet.
2. *Tail*: the queue of live events is opened, and then all visible events are read, also those behind the watermark.
   The queue has the events that are committed later.
3. *Live*: events from the queue. After an overflow, `EventsLost` is returned, and the reader begins again with stage 1
   at its cursor.
"""

from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from recordings.model.errors import InvalidInput
from recordings.model.feed_event import MARK_BYTES, EventCursor, EventPosition, EventSelection, FeedEvent
from recordings.model.fields import RecordingRow
from recordings.model.instants import EARLIEST, LATEST, MINUTE, Millis
from recordings.ports.live_events import MAX_QUEUED, Listener, LiveEvents, LiveQueue
from recordings.ports.recording_store import MetadataStore
from recordings.rules.change_feed import shown

MAX_SEEN: Final = 512
"""How many events behind the watermark a cursor names as seen: those of seven seconds with 73 events a second."""
_HELD_SECONDS: Final = 0.5
"""How often a held reader looks for the watermark."""
PAGE: Final = 200
"""How many events are read at once."""
_UNKNOWN: Final = EventPosition(LATEST)
"""The position of a seen event until it is read again."""
VISIBLE_AGE: Final = MINUTE
"""How far the watermark may be behind the last event."""
MAX_VISIBLE: Final = 10_000
"""How many events behind the watermark a new reader looks at. They are those of a few seconds."""
MAX_ACCOUNTS: Final = 10_000
"""How many accounts a selection may have."""


@lru_cache(maxsize=1_024)
def mark_of(subject: str, revision: int) -> str:
    """Return the short mark of an event in a cursor. It is cached, because all readers get the same new events."""
    return blake2b(f"{subject}:{revision}".encode(), digest_size=MARK_BYTES).hexdigest()


@dataclass(frozen=True, slots=True)
class ReadEvent:
    """An event that a reader got, the row of its recording, and the cursor behind it.

    The row has all fields as they are now; of a purged recording, only what a mirror may see. It is `None` for an event
    of an account.
    """

    event: FeedEvent
    row: RecordingRow | None
    cursor: EventCursor


@dataclass(frozen=True, slots=True)
class EventsLost:
    """The reader was too slow for the live events. It continues with the stored events after this cursor."""

    cursor: EventCursor


class _Stage(Enum):
    PAGES = auto()
    TAIL = auto()
    LIVE = auto()


class EventReader:
    """Reads the events of one selection. Close it with `aclose`.

    With `may_repeat`, it is never held. Then it names the last `max_seen` events as seen, and may return others again.
    Its creator checks that the caller may read the selection: `recordings.use_cases.event_feed`.
    """

    def __init__(
        self,
        store: MetadataStore,
        live: LiveEvents,
        selection: EventSelection,
        cursor: EventCursor,
        *,
        max_queued: int = MAX_QUEUED,
        max_seen: int = MAX_SEEN,
        may_repeat: bool = False,
    ) -> None:
        self._store = store
        self._live = live
        self._selection = selection
        self._max_queued = max_queued
        self._max_seen = max_seen
        self._may_repeat = may_repeat
        self._is_held = not may_repeat and len(cursor.seen) >= max_seen
        self._queue: LiveQueue | None = None
        self._listener: Listener | None = None
        self.examined = 0
        """How many stored events were read, also those outside the selection."""
        self._restart(cursor)

    def _restart(self, cursor: EventCursor) -> None:
        self._stage = _Stage.PAGES
        self._cursor = self._read_to = self._safe = cursor.position
        self._seen = dict.fromkeys(cursor.seen, _UNKNOWN)
        self._known_from = cursor.position.stamp + VISIBLE_AGE
        """When the watermark is here, all events that the cursor names were read again, if they still exist."""
        self._ahead: set[tuple[str, int]] = set()
        """The events of the tail behind the watermark. They may come from the queue, too."""
        self._tail_end: Millis = EARLIEST
        self._ready: deque[tuple[FeedEvent, RecordingRow | None, Millis]] = deque()
        self._watermark: Millis = EARLIEST

    @property
    def cursor(self) -> EventCursor:
        """The place behind the last returned event, and behind later ones outside the selection."""
        if not self._ready:
            self._advance(self._safe)
            if self._stage is _Stage.LIVE and self._queue is not None and self._queue.is_empty:
                self._advance(EventPosition(self._queue.complete_to))
        return self.place

    @property
    def has_stored(self) -> bool:
        """True if there may be further events before the watermark."""
        return bool(self._ready) or self._stage is _Stage.PAGES

    def __aiter__(self) -> AsyncIterator[ReadEvent | EventsLost]:
        """Return this reader."""
        return self

    async def __anext__(self) -> ReadEvent | EventsLost:
        """Return the next event as soon as it happens."""
        while True:
            found = await self.next(None)
            if found is not None:
                return found

    async def next(self, seconds: float | None) -> ReadEvent | EventsLost | None:
        """Return the next event. Wait at most `seconds` for a new event; then return `None`.

        Raises:
            StoreUnavailableError: the store does not answer. The reader can be used again.
        """
        while True:
            if self._ready:
                return self._returned(*self._ready.popleft())
            if self._is_held and self._stage is _Stage.TAIL and len(self._seen) > self._max_seen // 2:
                self._stage = _Stage.PAGES
                if seconds == 0:
                    return None
                await self._live.pause(_HELD_SECONDS)
                seconds = None if seconds is None else max(0.0, seconds - _HELD_SECONDS)
            elif self._stage is not _Stage.LIVE or self._queue is None:
                self._is_held = self._is_held and self._stage is _Stage.PAGES
                await self._read()
            elif (found := self._next_queued(self._queue)) is not None:
                return found
            elif not self.has_stored and not await self._queue.wait(seconds):
                return None

    def _next_queued(self, queue: LiveQueue) -> ReadEvent | EventsLost | None:
        """Return the next event of the queue. If it gets no more events, go back to the first stage."""
        while (queued := queue.take()) is not None:
            if self._is_new(queued.event):
                return self._returned(queued.event, queued.row, queued.complete_to)
        if queue.is_full or queue.has_gap:
            self.go_back(self.place)
            return EventsLost(self.cursor) if queue.is_full else None
        return None

    def listen(self, listener: Listener) -> None:
        """Call a listener for each new event, while `next` waits for one. It may call `next_now`.

        It returns true if `next` can go on to wait. See `LiveQueue.listen`.
        """
        self._listener = listener
        if self._queue is not None:
            self._queue.listen(listener)

    @property
    def has_next(self) -> bool:
        """True if there may be an event for `next_now`."""
        return self._queue is not None and not self._queue.is_empty

    def next_now(self) -> ReadEvent | EventsLost | None:
        """Return the next live event, while `next` waits for one; `None` if there is none."""
        return None if self._queue is None else self._next_queued(self._queue)

    def go_back(self, cursor: EventCursor) -> None:
        """Continue at an earlier cursor of this reader, with the stored events."""
        self._close_queue()
        self._restart(cursor)

    async def next_stored(self) -> ReadEvent | None:
        """Return the next event before the watermark, or `None` after one page without an event of the selection."""
        if not self._ready and self._stage is _Stage.PAGES:
            await self._read()
        return self._returned(*self._ready.popleft()) if self._ready else None

    def _is_new(self, event: FeedEvent) -> bool:
        return event.position > self._cursor and event.key not in self._ahead

    def _returned(self, event: FeedEvent, row: RecordingRow | None, complete_to: Millis) -> ReadEvent:
        if event.stamp < complete_to:
            self._advance(event.position)
        else:
            self._advance(EventPosition(complete_to))
            self._seen[mark_of(*event.key)] = event.position
            if len(self._seen) >= self._max_seen:
                self._hold()
        return ReadEvent(event, None if row is None else shown(row), self.place)

    def _hold(self) -> None:
        """Return nothing behind the watermark for a while."""
        if self._may_repeat:
            del self._seen[next(iter(self._seen))]
        else:
            self.go_back(self.place)
            self._is_held = True

    @property
    def place(self) -> EventCursor:
        """The place behind the last returned event."""
        return EventCursor(self._cursor, tuple(self._seen))

    def _advance(self, position: EventPosition) -> None:
        if position <= self._cursor:
            return
        self._cursor = position
        for mark in [mark for mark, seen in self._seen.items() if seen <= position]:
            del self._seen[mark]
        if self._ahead and position.stamp > self._tail_end:
            self._ahead.clear()

    async def _read(self) -> None:
        """Read the next page of stored events. Go on to the next stage at their end."""
        self._advance(self._safe)
        is_tail = self._stage is _Stage.TAIL
        if is_tail and self._queue is None:
            self._queue = await self._live.open(self._selection, self._max_queued)
            self._queue.listen(self._listener)
            self._watermark = await self._store.watermark()
        if not is_tail:
            self._watermark = await self._store.watermark()
        # After the watermark: then the list has every account with an event before it.
        accounts = await _accounts_of(self._store, self._selection)
        found = await self._store.events(accounts, self._read_to, None if is_tail else self._watermark, PAGE)
        rows = await _rows_of(self._store, found)
        for event in found:
            self._take(event, rows.get(event.subject))
        self.examined += len(found)
        end = EventPosition(self._watermark)
        if len(found) < PAGE:
            self._read_to = max(self._read_to, end)
            if self._watermark >= self._known_from:
                self._seen = {mark: seen for mark, seen in self._seen.items() if seen is not _UNKNOWN}
            self._stage = _Stage.LIVE if is_tail else _Stage.TAIL
        self._safe = min(self._read_to, end)

    def _take(self, event: FeedEvent, row: RecordingRow | None) -> None:
        self._read_to = event.position
        if event.stamp >= self._watermark:
            self._ahead.add(event.key)
            self._tail_end = event.stamp
        if self._seen and (mark := mark_of(*event.key)) in self._seen:
            self._seen[mark] = event.position
        elif self._selection.selects(event, row):
            self._ready.append((event, row, self._watermark))

    def _close_queue(self) -> None:
        if self._queue is not None:
            self._queue.close()
            self._queue = None

    async def aclose(self) -> None:
        """Stop to read. The cursor stays valid."""
        self._close_queue()


async def cursor_behind_visible(store: MetadataStore, selection: EventSelection, now: Millis) -> EventCursor:
    """Return the cursor behind the events that are visible now: behind the watermark, it names them as seen.

    It names the last `MAX_SEEN` of them. With more, a reader also gets some of the last seconds.
    """
    accounts = await _accounts_of(store, selection)
    # Before the watermark: a server that has just started waits for it, and events of that time are new.
    visible = await store.events(accounts, EventPosition(now - VISIBLE_AGE), None, MAX_VISIBLE)
    watermark = await store.watermark()
    seen = tuple(mark_of(*event.key) for event in visible if event.stamp >= watermark)
    return EventCursor(EventPosition(watermark), seen[-MAX_SEEN:])


async def _accounts_of(store: MetadataStore, selection: EventSelection) -> Sequence[str]:
    if not selection.descendants:
        return (selection.account_id,)
    below = await store.accounts_below(selection.account_id, MAX_ACCOUNTS)
    if len(below) >= MAX_ACCOUNTS:
        allowed = f"false: there are {MAX_ACCOUNTS} or more accounts below, so read the events of each of them"
        raise InvalidInput.of(("descendants",), "maxItems", given=True, allowed=allowed)
    return (selection.account_id, *(account.id for account in below))


async def _rows_of(store: MetadataStore, events: Sequence[FeedEvent]) -> Mapping[str, RecordingRow]:
    ids = {event.subject for event in events if not event.type.is_of_account}
    return await store.rows(ids) if ids else {}
