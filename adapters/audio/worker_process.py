"""One worker process, replaced when it dies."""

import asyncio
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final, TypeVar

from adapters.audio import worker_main as worker
from adapters.audio.peaks import Waveform
from recordings.ports.audio import NotAudio, Rendered, SpooledAudio, Target

_TRIES: Final = 2
_START: Final = 60.0
"""Seconds a process may take to start, beyond those of its job."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one job and one process may use. A process is replaced after `tasks` jobs: decoders leak."""

    seconds: float
    memory_bytes: int
    tasks: int


class WorkerProcess:
    """A pool of exactly one process, so that a process that dies says which file it died of. One job at a time."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pool: ProcessPoolExecutor | None = None
        self._lifeline: Connection | None = None
        self._done = 0

    async def render(self, folder: str, name: str, audio: SpooledAudio, target: Target) -> Rendered:
        """Make the file to be stored. Raises `NotAudio`."""
        return await self._run(worker.work, folder, name, audio, target, self._limits.seconds)

    async def draw(self, path: str, pixels: int) -> Waveform:
        """The waveform of a file. Raises `NotAudio`."""
        return await self._run(worker.draw, path, pixels, self._limits.seconds)

    async def _run(self, work: Callable[..., _T], *arguments: object) -> _T:
        """Run the job, a second time if the process dies of it.

        Raises:
            NotAudio: the job said so, or the process died twice.
        """
        if self._done >= self._limits.tasks:
            # The pool's own `max_tasks_per_child` may leave it without a process (python/cpython#115634).
            self.close()
        self._done += 1
        for _ in range(_TRIES):
            try:
                # Starting a process blocks.
                pool = await asyncio.to_thread(self._open)
                job = await asyncio.to_thread(_submit, pool, work, *arguments)
                async with asyncio.timeout(self._limits.seconds + _START):
                    return await asyncio.wrap_future(job)
            except (BrokenProcessPool, TimeoutError):
                self.close()
        message = f"decoding it crashed, or took more than {self._limits.seconds:g} seconds, twice"
        raise NotAudio(message)

    def close(self) -> None:
        """End the process, whatever it is doing. The next job starts another one."""
        pool, self._pool, self._done = self._pool, None, 0
        if self._lifeline is not None:
            self._lifeline.close()
            self._lifeline = None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _open(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # A fresh interpreter: a fork of a process with threads and an event loop inherits their locks.
            context = get_context("spawn")
            ours, theirs = context.Pipe(duplex=False)
            self._lifeline = theirs
            self._pool = ProcessPoolExecutor(1, context, worker.begin, (ours, self._limits.memory_bytes))
        return self._pool


def _submit(pool: ProcessPoolExecutor, work: Callable[..., _T], *arguments: object) -> Future[_T]:
    """Hand a job in; a process that is started for it never hears of Ctrl-C, which is its parent's to act on."""
    # Inherited: it counts from the first instant, when the process has not got to any line of ours.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(work, *arguments)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
