"""One worker process, replaced when it dies."""

import asyncio
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final, TypeVar

from adapters.audio import worker_main as worker
from adapters.audio.peaks import Waveform
from recordings.ports.audio import Rendered, SpooledAudio, Target

_START: Final = 60.0
"""Seconds that a process may take to start, in addition to the time of its job."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one job and one process. A process is replaced after `tasks` jobs because decoders leak memory."""

    seconds: float
    memory_bytes: int
    tasks: int


class WorkerDied(Exception):  # noqa: N818 - an expected result; the job can be tried again
    """The process died in the job, or hung."""


class WorkerProcess:
    """A pool of exactly one process. It runs one job at a time, so if it dies the cause is known: that job's file."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pool: ProcessPoolExecutor | None = None
        self._lifeline: Connection | None = None
        self._done = 0

    async def render(
        self, folder: str, name: str, audio: SpooledAudio, target: Target, budget: float | None
    ) -> Rendered:
        """Make the file to store. Raises `NotAudio`, `TakesLonger` and `WorkerDied`."""
        return await self._run(worker.work, folder, name, audio, target, budget, self._limits.seconds)

    async def draw(self, path: str, pixels: int, budget: float | None) -> Waveform:
        """Return the waveform of a file. Raises `NotAudio`, `TakesLonger` and `WorkerDied`."""
        return await self._run(worker.draw, path, pixels, budget, self._limits.seconds)

    async def _run(self, work: Callable[..., _T], *arguments: object) -> _T:
        if self._done >= self._limits.tasks:
            # The pool's own `max_tasks_per_child` can leave the pool without a process (python/cpython#115634).
            self.close()
        self._done += 1
        try:
            # Only the start of a process blocks.
            is_running = self._pool is not None
            submit = partial(self._submit, work, *arguments)
            job = submit() if is_running else await asyncio.to_thread(submit)
            async with asyncio.timeout(self._limits.seconds + _START):
                return await asyncio.wrap_future(job)
        except (BrokenProcessPool, TimeoutError) as error:
            self.close()
            raise WorkerDied(str(error)) from error

    def close(self) -> None:
        """End the process, also in the middle of a job. The next job starts a new process."""
        pool, self._pool, self._done = self._pool, None, 0
        if self._lifeline is not None:
            self._lifeline.close()
            self._lifeline = None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _open(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # A fresh interpreter, because a fork would inherit the locks of this process's threads and event loop.
            context = get_context("spawn")
            worker_end, self._lifeline = context.Pipe(duplex=False)
            self._pool = ProcessPoolExecutor(1, context, worker.begin, (worker_end, self._limits.memory_bytes))
        return self._pool

    def _submit(self, work: Callable[..., _T], *arguments: object) -> Future[_T]:
        """Submit a job. This blocks while a process starts.

        The process never receives Ctrl-C, because only the parent acts on it.
        """
        pool = self._open()
        # The new process inherits this mask, so SIGINT is blocked before its first line of code.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return pool.submit(work, *arguments)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
