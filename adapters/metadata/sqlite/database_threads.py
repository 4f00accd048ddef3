"""Threads that run calls on SQLite connections, so that the event loop never waits for a disk.

A call through one of these threads costs a fraction of `asyncio.to_thread`: no context is copied, and no
`concurrent.futures.Future` is wrapped. The queue has a maximum length and a maximum waiting time. Reads that no caller
waits for any more are skipped. The slow reads of one account never occupy all threads.
"""

import asyncio
import sqlite3
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Final

from recordings.model.errors import TooManyQueries

Call = Callable[[sqlite3.Connection], Any]
"""A function that a thread runs on its connection."""
Outcome = tuple[Any, BaseException | None]
"""The result of a call, or its error."""
MAX_QUEUED: Final = 4_096
"""How many calls may be queued or running. Further calls wait for a free slot."""
QUEUE_TIMEOUT: Final = 30.0
"""How long (seconds) a call waits for a free slot before it fails with `TimeoutError`."""


class StoreClosedError(RuntimeError):
    """The store is not open: `open` was not called, or `close` was."""


@dataclass(slots=True)
class QueuedCall:
    """A call in the queue, the future of its caller, and the account that it reads for."""

    call: Call
    future: asyncio.Future[Any]
    account_id: str | None
    has_begun: bool = False

    def __call__(self, connection: sqlite3.Connection) -> Any:
        """Run the call."""
        return self.call(connection)

    @property
    def is_abandoned(self) -> bool:
        """Whether the caller no longer waits for the result."""
        return self.future.done()

    def end_waiting(self) -> None:
        """Fail if no thread has begun the call."""
        if not self.has_begun and not self.future.done():
            self.future.set_exception(TooManyQueries())


RunBatch = Callable[[sqlite3.Connection, Sequence[QueuedCall]], list[Outcome]]
"""Runs the calls that a thread took from the queue together; returns one outcome for each."""


class ConnectionThreads:
    """One or more threads, each with its own connection, that take calls from one queue.

    Args:
        name: the name of the threads, as stack dumps show it.
        connections: one for each thread. `close` closes them.
        run_batch: runs the calls that a thread takes at a time.
        max_batch: how many calls a thread takes at a time.
        per_account: how many threads the calls of one account may occupy at once. Calls without an account have no
            limit. If set, threads also skip abandoned calls.
    """

    def __init__(
        self,
        name: str,
        connections: Sequence[sqlite3.Connection],
        run_batch: RunBatch,
        max_batch: int = 1,
        per_account: int | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[QueuedCall | None] = SimpleQueue()
        self._slots = asyncio.Semaphore(MAX_QUEUED)
        self._run_batch = run_batch
        self._max_batch = max_batch
        self._per_account = per_account
        self._lock = Lock()
        self._running: Counter[str] = Counter()
        self._postponed: dict[str, deque[QueuedCall]] = {}
        self._closed = False
        self._threads = [Thread(target=self._work, args=(each,), name=name, daemon=True) for each in connections]
        for thread in self._threads:
            thread.start()

    async def run(self, call: Call, account_id: str | None = None, turn_seconds: float | None = None) -> Any:
        """Run a call in a thread and return its result, or raise its error.

        `turn_seconds` is how long the call waits until a thread begins it.

        Raises:
            TimeoutError: no slot in the queue became free in time.
            StoreClosedError: the threads are closed.
            TooManyQueries: no thread began the call in time.
        """
        if self._slots.locked():
            async with asyncio.timeout(QUEUE_TIMEOUT):
                await self._slots.acquire()
        else:
            await self._slots.acquire()
        try:
            return await self._enqueue(call, account_id, turn_seconds)
        finally:
            self._slots.release()

    def _enqueue(self, call: Call, account_id: str | None, turn_seconds: float | None) -> asyncio.Future[Any]:
        if self._closed:
            raise StoreClosedError("the metadata store is closed")
        queued = QueuedCall(call, self._loop.create_future(), account_id)
        if turn_seconds is not None:
            waiting = self._loop.call_later(turn_seconds, queued.end_waiting)
            queued.future.add_done_callback(lambda _: waiting.cancel())
        self._queue.put(queued)
        return queued.future

    async def close(self) -> None:
        """Run all queued calls, then end the threads and close their connections."""
        if not self._closed:
            with self._lock:
                self._closed = True
                # After this, no call is postponed.
                for call in (call for calls in self._postponed.values() for call in calls):
                    self._queue.put(call)
                self._postponed.clear()
            for _ in self._threads:
                self._queue.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _work(self, connection: sqlite3.Connection) -> None:
        try:
            while calls := self._take():
                self._send_outcomes(calls, self._run(connection, calls))
                if self._per_account is not None:
                    self._finish(calls[0])
        finally:
            connection.close()

    def _run(self, connection: sqlite3.Connection, calls: list[QueuedCall]) -> list[Outcome]:
        try:
            return self._run_batch(connection, calls)
        except Exception as error:  # noqa: BLE001 - the caller receives it
            # If this ended the thread, all later calls would wait forever.
            return [(None, error)] * len(calls)

    def _take(self) -> list[QueuedCall]:
        """Take the next batch from the queue. An empty list means that the thread ends."""
        first = self._queue.get()
        while first is not None and self._per_account is not None and not self._may_start(first, self._per_account):
            first = self._queue.get()
        calls = [] if first is None else [first]
        while calls and len(calls) < self._max_batch:
            try:
                call = self._queue.get_nowait()
            except Empty:
                break
            if call is None:
                # The end marker comes after this batch: put it back for the next turn.
                self._queue.put(None)
                break
            calls.append(call)
        return calls

    def _may_start(self, call: QueuedCall, per_account: int) -> bool:
        """Return true if a call may run now; postpone it if its account already occupies its share of the threads."""
        if call.is_abandoned:
            # It may be the postponed call that was to run next. Then the one after it has to take its turn.
            if call.account_id is not None:
                with self._lock:
                    self._queue_postponed(call.account_id)
            return False
        if call.account_id is not None:
            with self._lock:
                if self._running[call.account_id] >= per_account and not self._closed:
                    self._postponed.setdefault(call.account_id, deque()).append(call)
                    return False
                self._running[call.account_id] += 1
        call.has_begun = True
        return True

    def _finish(self, call: QueuedCall) -> None:
        """Count a call as finished, and queue the next postponed call of its account."""
        if call.account_id is None:
            return
        with self._lock:
            self._running[call.account_id] -= 1
            if not self._running[call.account_id]:
                del self._running[call.account_id]
            self._queue_postponed(call.account_id)

    def _queue_postponed(self, account_id: str) -> None:
        """Put the next postponed call of an account at the end of the queue. The lock must be held."""
        while postponed := self._postponed.get(account_id):
            following = postponed.popleft()
            if not following.is_abandoned:
                self._queue.put(following)
                return
        self._postponed.pop(account_id, None)

    def _send_outcomes(self, calls: list[QueuedCall], outcomes: list[Outcome]) -> None:
        # Nothing waits on a closed loop.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_set_results, calls, outcomes)


def _set_results(calls: list[QueuedCall], outcomes: list[Outcome]) -> None:
    for call, (result, error) in zip(calls, outcomes, strict=True):
        if call.future.done():
            continue
        if error is None:
            call.future.set_result(result)
        else:
            call.future.set_exception(error)
