"""Threads that work on connections of their own, so that nothing waits for a disk on the event loop.

A hop to one of these threads and back costs a fraction of `asyncio.to_thread`: no context is copied and no future of
another kind is wrapped. What waits is bounded, in number and in time; what nobody waits for any more is not done; and
nobody whose calls take long has all the threads.
"""

import asyncio
import sqlite3
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Final

Call = Callable[[sqlite3.Connection], Any]
"""Work to be done on a connection, in its thread."""
Outcome = tuple[Any, BaseException | None]
"""What came of a call: its result, or its error."""
WAITING: Final = 4_096
"""How many calls may wait for a lane; further ones wait for a place among them."""
PATIENCE: Final = 30.0
"""How long (seconds) a call waits for such a place before it fails with `TimeoutError`."""


class StoreClosedError(RuntimeError):
    """The store is not open (yet, or any more)."""


@dataclass(slots=True)
class Job:
    """A call that somebody waits for, and for whom it is."""

    call: Call
    answer: asyncio.Future[Any]
    whose: str | None

    def __call__(self, connection: sqlite3.Connection) -> Any:
        """Do it."""
        return self.call(connection)

    @property
    def is_given_up(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.answer.done()


Work = Callable[[sqlite3.Connection, Sequence[Job]], list[Outcome]]
"""How a lane does calls that it took together."""


class Lane:
    """One or more threads with a queue in front.

    Args:
        name: of the threads, for whoever looks at a stack.
        connections: one for each thread; closed at the end.
        work: does the calls that a thread takes at a time.
        batch: how many that may be.
        share: how many threads the calls of one may have at once; no bound for calls that are nobody's. Calls are then
            also passed over that nobody waits for any more.
    """

    def __init__(
        self,
        name: str,
        connections: Sequence[sqlite3.Connection],
        work: Work,
        batch: int = 1,
        share: int | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._places = asyncio.Semaphore(WAITING)
        self._work = work
        self._batch = batch
        self._share = share
        self._lock = Lock()
        self._running: Counter[str] = Counter()
        self._put_off: dict[str, deque[Job]] = {}
        self._closed = False
        self._threads = [Thread(target=self._run, args=(each,), name=name, daemon=True) for each in connections]
        for thread in self._threads:
            thread.start()

    async def do(self, call: Call, whose: str | None = None) -> Any:
        """Have a thread do the call of somebody; its result or its error.

        Raises:
            TimeoutError: no thread came round to taking it.
            StoreClosedError: the lane is closed.
        """
        if self._places.locked():
            async with asyncio.timeout(PATIENCE):
                await self._places.acquire()
        else:
            await self._places.acquire()
        try:
            return await self._put(call, whose)
        finally:
            self._places.release()

    def _put(self, call: Call, whose: str | None) -> asyncio.Future[Any]:
        if self._closed:
            raise StoreClosedError("the metadata store is closed")
        job = Job(call, self._loop.create_future(), whose)
        self._queue.put(job)
        return job.answer

    async def close(self) -> None:
        """Do what waits, then end the threads and close their connections."""
        if not self._closed:
            with self._lock:
                self._closed = True
                # From here on nothing is put off.
                for job in (job for jobs in self._put_off.values() for job in jobs):
                    self._queue.put(job)
                self._put_off.clear()
            for _ in self._threads:
                self._queue.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _run(self, connection: sqlite3.Connection) -> None:
        try:
            while jobs := self._take():
                self._deliver(jobs, self._done(connection, jobs))
                if self._share is not None:
                    self._end(jobs[0])
        finally:
            connection.close()

    def _done(self, connection: sqlite3.Connection, jobs: list[Job]) -> list[Outcome]:
        try:
            return self._work(connection, jobs)
        except Exception as error:  # noqa: BLE001 - it is handed to whoever asked
            # A thread that ended would leave everybody after these waiting for ever.
            return [(None, error)] * len(jobs)

    def _take(self) -> list[Job]:
        first = self._queue.get()
        while first is not None and self._share is not None and not self._begin(first, self._share):
            first = self._queue.get()
        jobs = [] if first is None else [first]
        while jobs and len(jobs) < self._batch:
            try:
                job = self._queue.get_nowait()
            except Empty:
                break
            if job is None:
                # The end is for after these: put it back for the next turn.
                self._queue.put(None)
                break
            jobs.append(job)
        return jobs

    def _begin(self, job: Job, share: int) -> bool:
        """Whether a call is done now. It is put off while others of the same one have as many threads as they may."""
        if job.is_given_up:
            return False
        if job.whose is not None:
            with self._lock:
                if self._running[job.whose] >= share and not self._closed:
                    self._put_off.setdefault(job.whose, deque()).append(job)
                    return False
                self._running[job.whose] += 1
        return True

    def _end(self, job: Job) -> None:
        """A call was done: the next one of the same one stands in line again, behind those who came meanwhile."""
        if job.whose is None:
            return
        with self._lock:
            self._running[job.whose] -= 1
            if not self._running[job.whose]:
                del self._running[job.whose]
            while waiting := self._put_off.get(job.whose):
                following = waiting.popleft()
                if not following.is_given_up:
                    self._queue.put(following)
                    break
            else:
                self._put_off.pop(job.whose, None)

    def _deliver(self, jobs: list[Job], outcomes: list[Outcome]) -> None:
        # A loop that is closed already waits for nothing.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_settle, jobs, outcomes)


def _settle(jobs: list[Job], outcomes: list[Outcome]) -> None:
    for job, (result, error) in zip(jobs, outcomes, strict=True):
        if job.answer.done():
            continue
        if error is None:
            job.answer.set_result(result)
        else:
            job.answer.set_exception(error)
