"""The `AudioProcessor` on PyAV (FFmpeg's libraries), in a bounded number of worker processes."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from adapters.audio.encoding import FORMATS
from adapters.audio.peaks import Waveform
from adapters.audio.render_job import file_of, part_of
from adapters.audio.worker_process import Limits, WorkerProcess
from recordings.ports.audio import Rendered, SpooledAudio, Target

_ID: Final = re.compile(r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]{0,127}")
_GIB: Final = 1 << 30
_T = TypeVar("_T")


class AudioWorkersBusyError(Exception):
    """Too many jobs wait already: try again later."""


class AudioWorkers:
    """Renders into the folder `work`, with at most `workers` processes; `waiting` more jobs may wait for one.

    A job that takes longer than `seconds`, or kills its process, is tried once more and then is `NotAudio`; no other
    job notices. Three hours of stereo at 48 kHz take some ten minutes to become MP3 on one processor, so the limit is
    for what never ends. `close` ends the processes.
    """

    def __init__(
        self,
        work: Path,
        *,
        workers: int = 2,
        waiting: int = 256,
        seconds: float = 3_600.0,
        memory_bytes: int = 2 * _GIB,
        tasks_per_worker: int = 200,
    ) -> None:
        limits = Limits(seconds=seconds, memory_bytes=memory_bytes, tasks=tasks_per_worker)
        self._work = work
        self._benches = [WorkerProcess(limits) for _ in range(workers)]
        self._free = list(self._benches)
        self._turn = asyncio.Semaphore(workers)
        self._room = workers + waiting
        self._jobs: set[asyncio.Task[Any]] = set()

    async def render(self, recording_id: str, audio: SpooledAudio, target: Target) -> Rendered:
        """Make the file to be stored out of what was spooled.

        Cancelled, it lets go at once, and its process goes on to the end of the job before it takes another one.

        Raises:
            NotAudio: it cannot be decoded, or not within the workshop's limits.
            WorkshopBusyError: too many jobs wait already.
        """
        stem = self._stem(recording_id)
        return await self._queue(lambda bench: bench.render(str(self._work), stem.name, audio, target))

    async def draw(self, path: str, pixels: int) -> Waveform:
        """The waveform of a file, in at most so many pixels.

        Raises:
            NotAudio: it cannot be decoded, or not within the workshop's limits.
            WorkshopBusyError: too many jobs wait already.
        """
        return await self._queue(lambda bench: bench.draw(path, pixels))

    async def discard(self, recording_id: str) -> None:
        """Delete what was rendered of a recording; nothing there is fine."""
        await asyncio.to_thread(_discard, self._stem(recording_id))

    async def close(self) -> None:
        """End the worker processes; jobs that run are given up, and can be run again."""
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        for bench in self._benches:
            await asyncio.to_thread(bench.close)

    async def _queue(self, work: Callable[[WorkerProcess], Awaitable[_T]]) -> _T:
        if len(self._jobs) >= self._room:
            message = f"{len(self._jobs)} jobs are waiting for a worker"
            raise AudioWorkersBusyError(message)
        job = asyncio.create_task(self._take(work))
        self._jobs.add(job)
        job.add_done_callback(self._forget)
        return await asyncio.shield(job)

    def _forget(self, job: asyncio.Task[Any]) -> None:
        self._jobs.discard(job)
        if not job.cancelled():
            # Nobody may be left to hear of it.
            job.exception()

    async def _take(self, work: Callable[[WorkerProcess], Awaitable[_T]]) -> _T:
        async with self._turn:
            bench = self._free.pop()
            try:
                await asyncio.to_thread(self._work.mkdir, mode=0o700, parents=True, exist_ok=True)
                return await work(bench)
            finally:
                self._free.append(bench)

    def _stem(self, recording_id: str) -> Path:
        if not _ID.fullmatch(recording_id):
            message = f"{recording_id!r} is no id: it could be read as a path"
            raise ValueError(message)
        return self._work / recording_id


def _discard(stem: Path) -> None:
    for format in FORMATS.values():
        path = file_of(stem, format)
        path.unlink(missing_ok=True)
        part_of(path).unlink(missing_ok=True)
