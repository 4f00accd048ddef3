"""The `AudioProcessor` that uses PyAV (FFmpeg's libraries) in a limited number of worker processes."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from adapters.audio.output_format import FORMATS, file_of, part_of
from adapters.audio.peaks import Waveform
from adapters.audio.worker_main import TakesLonger
from adapters.audio.worker_process import Limits, WorkerDied, WorkerProcess
from adapters.fair_queue import FairQueue
from recordings.model.ids import check_file_name
from recordings.ports.audio import NotAudio, Rendered, SpooledAudio, Target

_GIB: Final = 1 << 30
SHORT_SECONDS: Final = 3.0
"""The CPU time of short work. A job that needs more starts again as long work."""
LONG_BYTES: Final = 16 << 20
"""A job with more audio than this is long work from its start."""
_T = TypeVar("_T")
_TRIES: Final = 2
_Job = Callable[[WorkerProcess, float | None], Awaitable[_T]]
"""A job, with its budget of CPU time in seconds. It raises `TakesLonger` if the budget is used up."""


class AudioWorkersBusyError(Exception):
    """Too many jobs are waiting. Try again later."""


class AudioWorkers:
    """Audio workers that render into the folder `work`.

    `workers` is the number of processes, and `waiting` the number of jobs that may wait. Accounts share the processes
    by `FairQueue`. Each job begins as short work, because neither its size nor its header tells reliably how long it
    takes. After `SHORT_SECONDS` of CPU time it waits again, as long work. So short work never waits behind long work.

    If a job takes longer than `seconds` or its process dies, it is tried once more and then raises `NotAudio`. Other
    jobs are not affected.
    One CPU core converts three hours of 48 kHz stereo to MP3 in about ten minutes, so only a job that hangs reaches
    the default limit. `close` ends the processes.
    """

    def __init__(
        self,
        work: Path,
        *,
        workers: int = 2,
        waiting: int = 256,
        seconds: float = 3_600.0,
        memory_bytes: int = 2 * _GIB,
        tasks_per_worker: int = 1_000,
    ) -> None:
        limits = Limits(seconds=seconds, memory_bytes=memory_bytes, tasks=tasks_per_worker)
        self._work = work
        self._seconds = seconds
        self._processes = [WorkerProcess(limits) for _ in range(workers)]
        self._idle = list(self._processes)
        self._queue = FairQueue(workers)
        self._max_jobs = workers + waiting
        self._jobs: set[asyncio.Task[Any]] = set()

    async def render(self, recording_id: str, audio: SpooledAudio, target: Target, account_id: str = "") -> Rendered:
        """Make the file to store from spooled audio, for an account.

        If the caller is cancelled, this returns at once. The process still finishes the job before it takes another.

        Raises:
            NotAudio: the audio cannot be decoded, or not within the limits.
            AudioWorkersBusyError: too many jobs are waiting.
        """
        stem = self._stem(recording_id)
        paths = [track.path for track in audio.tracks]
        return await self._add(
            lambda process, budget: process.render(str(self._work), stem.name, audio, target, budget), account_id, paths
        )

    async def draw(self, path: str, pixels: int, account_id: str = "") -> Waveform:
        """Return the waveform of a file, with at most `pixels` pixels, for an account.

        Raises:
            NotAudio: the audio cannot be decoded, or not within the limits.
            AudioWorkersBusyError: too many jobs are waiting.
        """
        return await self._add(lambda process, budget: process.draw(path, pixels, budget), account_id, [path])

    async def discard(self, recording_id: str) -> None:
        """Delete the rendered files of a recording. It is no error if there are none."""
        await asyncio.to_thread(_discard, self._stem(recording_id))

    async def close(self) -> None:
        """End the worker processes. Running jobs are cancelled and can be run again."""
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        for process in self._processes:
            await asyncio.to_thread(process.close)

    async def _add(self, work: _Job[_T], account_id: str, paths: Sequence[str]) -> _T:
        if len(self._jobs) >= self._max_jobs:
            message = f"{len(self._jobs)} audio jobs are running or waiting, which is the limit; try again later"
            raise AudioWorkersBusyError(message)
        job = asyncio.create_task(self._run(work, account_id, paths))
        self._jobs.add(job)
        job.add_done_callback(self._forget)
        return await asyncio.shield(job)

    def _forget(self, job: asyncio.Task[Any]) -> None:
        self._jobs.discard(job)
        if not job.cancelled():
            # Mark the error as seen: the caller may be gone, and asyncio would log it.
            job.exception()

    async def _run(self, work: _Job[_T], account_id: str, paths: Sequence[str]) -> _T:
        tries = _TRIES
        # The files were just found in the spool, so the disk is not read.
        if _size(paths) <= LONG_BYTES:
            try:
                async with self._queue.slot(account_id):
                    return await self._run_in_process(work, SHORT_SECONDS)
            except TakesLonger:
                pass
            except WorkerDied:
                tries -= 1
        async with self._queue.slot(account_id, is_long=True):
            for _ in range(tries):
                with suppress(WorkerDied):
                    return await self._run_in_process(work, None)
        message = f"decoding the audio crashed or took more than {self._seconds:g} seconds, twice"
        raise NotAudio(message)

    async def _run_in_process(self, work: _Job[_T], budget: float | None) -> _T:
        process = self._idle.pop()
        try:
            return await work(process, budget)
        finally:
            self._idle.append(process)

    def _stem(self, recording_id: str) -> Path:
        return self._work / check_file_name(recording_id)


def _discard(stem: Path) -> None:
    rendered = [file_of(stem, format) for format in FORMATS.values()]
    try:
        names = os.listdir(stem.parent)  # noqa: PTH208 - one look, because most of the files do not exist
    except FileNotFoundError:
        return
    for path in (*rendered, *map(part_of, rendered)):
        if path.name in names:
            path.unlink(missing_ok=True)


def _size(paths: Sequence[str]) -> int:
    sizes = 0
    for path in paths:
        with suppress(OSError):
            sizes += Path(path).stat().st_size
    return sizes
