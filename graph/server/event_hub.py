"""The live events of one process: one watch of the store fills the queues of all readers.

The watch runs while there are readers, and `LINGER_SECONDS` longer. Each new event is read from the store once, with
the row of its recording, however many queues get it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Final

from adapters.cancellation import cancel_and_wait
from graph.server.error_log import ErrorLog
from graph.server.log_setup import logger
from recordings.model.feed_event import EventSelection, FeedEvent
from recordings.model.fields import RecordingRow
from recordings.model.instants import EARLIEST, Millis
from recordings.ports.event_store import NewEvents
from recordings.ports.live_events import MAX_QUEUED, LiveEvent
from recordings.ports.live_events import Listener as QueueListener
from recordings.ports.recording_store import MetadataStore, StoreUnavailableError
from recordings.use_cases.authorized import Authorized

LINGER_SECONDS: Final = 30.0
START_SECONDS: Final = 8.0
"""How long a reader waits for the watch to begin."""
AT_ONCE: Final = 64
"""How many queues are filled before other tasks of the process run."""
_RETRY_SECONDS: Final = 0.5
_log: Final = logger("events")


HeardEvent = tuple[FeedEvent, tuple[str, ...]]
"""An event, and the ids of the ancestors of its account."""
Listener = Callable[[Sequence[HeardEvent] | None], None]
"""Hears all new events of all accounts. `None` means that events before may have been missed."""


class EventHub:
    """A `LiveEvents` for one store. Call `stop` at the end."""

    def __init__(self, store: MetadataStore) -> None:
        self._store = store
        self._authorized = Authorized(store)
        self._queues: dict[str, set[EventQueue]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()
        self._listeners: set[Listener] = set()
        self._is_stopped = False
        self._errors = ErrorLog(_log)
        self.complete_to: Millis = EARLIEST

    @property
    def readers(self) -> int:
        """How many queues are open. The thread of the metrics asks, too, so this iterates over a copy."""
        return sum(map(len, list(self._queues.values())))

    async def open(self, selection: EventSelection, max_queued: int = MAX_QUEUED) -> "EventQueue":
        """Return a queue of the events that are committed from now on.

        Raises:
            StoreUnavailableError: the store cannot be watched, or the server stops.
        """
        if self._is_stopped:
            raise StoreUnavailableError("the server stops")
        queue = EventQueue(self, selection, max_queued)
        self._queues.setdefault(selection.account_id, set()).add(queue)
        self._start()
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._begun.wait()
        except TimeoutError as error:
            queue.close()
            raise StoreUnavailableError("the metadata store cannot be watched for events") from error
        except BaseException:
            queue.close()
            raise
        return queue

    async def pause(self, seconds: float) -> None:
        """Wait for so long."""
        await asyncio.sleep(seconds)

    def listen(self, listener: Listener) -> None:
        """Tell a listener about all new events, until `unlisten`. It must not block."""
        if listener not in self._listeners and not self._is_stopped:
            self._listeners.add(listener)
            self._start()
            if self._begun.is_set():
                listener(None)

    def unlisten(self, listener: Listener) -> None:
        """Stop to tell a listener about events."""
        self._listeners.discard(listener)

    def _start(self) -> None:
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch(), name="event watch")

    def remove(self, queue: "EventQueue") -> None:
        """Stop to fill a queue."""
        account_id = queue.selection.account_id
        queues = self._queues.get(account_id, set())
        queues.discard(queue)
        if not queues:
            self._queues.pop(account_id, None)

    async def stop(self) -> None:
        """End the watch. Waiting readers fail with `StoreUnavailableError`."""
        self._is_stopped = True
        watching, self._watching = self._watching, None
        if watching is not None:
            await cancel_and_wait(watching)
        self._end()

    def _end(self) -> None:
        self._begun.clear()
        self.complete_to = EARLIEST
        for queue in [queue for queues in self._queues.values() for queue in queues]:
            queue.note_gap()

    async def _watch(self) -> None:
        while True:
            try:
                await self._watch_once()
            except Exception as error:  # noqa: BLE001 - no error may end the loop
                self._errors.write("event watch failed", error)
            else:
                self._watching = None
                return
            finally:
                self._end()
            await asyncio.sleep(_RETRY_SECONDS)

    async def _watch_once(self) -> None:
        """Watch until an error occurs, or until there have been no readers for a while."""
        loop = asyncio.get_running_loop()
        last_used = loop.time()
        async with aclosing(self._store.watch_events()) as watch:
            async for batch in watch:
                await self._dispatch(batch)
                if not self._begun.is_set():
                    self._begun.set()
                    self._tell(None)
                if self._queues or self._listeners:
                    last_used = loop.time()
                elif loop.time() - last_used > LINGER_SECONDS:
                    return

    async def _dispatch(self, batch: NewEvents) -> None:
        if batch.has_gap:
            self._end()
        if batch.events and (self._queues or self._listeners):
            ids = {event.subject for event in batch.events if not event.type.is_of_account and self._queues}
            rows = await self._store.rows(ids) if ids else {}
            trees = {event.account_id: await self._tree(event.account_id) for event in batch.events}
            for event in batch.events:
                await self._push(event, rows.get(event.subject), trees[event.account_id], batch.complete_to)
            self._tell([(event, trees[event.account_id]) for event in batch.events])
        self.complete_to = batch.complete_to

    def _tell(self, heard: Sequence[HeardEvent] | None) -> None:
        for listener in tuple(self._listeners):
            listener(heard)

    async def _tree(self, account_id: str) -> tuple[str, ...]:
        return await self._authorized.tree(account_id) or ()

    async def _push(
        self, event: FeedEvent, row: RecordingRow | None, tree: tuple[str, ...], complete_to: Millis
    ) -> None:
        item = LiveEvent(event, row, complete_to)
        queues = list(self._queues.get(event.account_id, ()))
        for ancestor in tree:
            queues += [queue for queue in self._queues.get(ancestor, ()) if queue.selection.descendants]
        for place, queue in enumerate(queues, 1):
            queue.put(item)
            if place % AT_ONCE == 0:
                # Many subscribers get the event within their `put`. Other work of this process must not wait for all.
                await asyncio.sleep(0)


class EventQueue:
    """A `LiveQueue` of a hub."""

    def __init__(self, hub: EventHub, selection: EventSelection, max_queued: int) -> None:
        self.selection = selection
        self._hub = hub
        self._max_queued = max_queued
        self._items: deque[LiveEvent] = deque()
        self._changed = asyncio.Event()
        self._is_full = self._has_gap = self._is_closed = self._is_waited = False
        self._listener: QueueListener | None = None

    @property
    def complete_to(self) -> Millis:
        """All events with a stamp before this were queued, or were committed before the queue was opened."""
        return EARLIEST if self._is_full or self._has_gap else self._hub.complete_to

    @property
    def is_empty(self) -> bool:
        """Whether no event waits."""
        return not self._items

    @property
    def is_full(self) -> bool:
        """Whether events were not queued because the queue was full."""
        return self._is_full

    @property
    def has_gap(self) -> bool:
        """Whether events may be missing."""
        return self._has_gap

    def put(self, item: LiveEvent) -> None:
        """Add an event that the selection wants, unless the queue is full."""
        is_over = self._is_full or self._has_gap or self._is_closed
        if is_over or not self.selection.selects(item.event, item.row):
            return
        if len(self._items) >= self._max_queued:
            self._is_full = True
        else:
            self._items.append(item)
            if self._is_waited and self._listener is not None and self._listener():
                return
        self._changed.set()

    def note_gap(self) -> None:
        """Note that events may be missing from now on."""
        self._has_gap = True
        self._changed.set()

    def take(self) -> LiveEvent | None:
        """Remove and return the first event."""
        return self._items.popleft() if self._items else None

    async def wait(self, seconds: float | None) -> bool:
        """Wait until an event is queued, or the queue gets no more. Return false after the timeout."""
        if self._items or self._is_full or self._has_gap:
            return True
        self._changed.clear()
        self._is_waited = True
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        finally:
            self._is_waited = False
        return True

    def listen(self, listener: QueueListener | None) -> None:
        """Call a listener for each event that is queued while a `wait` waits."""
        self._listener = listener

    def close(self) -> None:
        """Stop to queue events."""
        self._is_closed = True
        self._hub.remove(self)
        self._changed.set()
