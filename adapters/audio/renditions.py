"""Renditions: stored recordings in other formats or as waveforms. They are made on request, once, and cached."""

import asyncio
import json
import secrets
import shutil
from asyncio import Task
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from adapters.audio.audio_workers import AudioWorkers, AudioWorkersBusyError
from adapters.audio.file_cache import CachedFile, FolderCache, size_on_disk
from adapters.audio.output_format import FORMATS, max_length
from adapters.audio.peaks import MAX_DURATION, Waveform
from adapters.cancellation import cancel_and_wait
from adapters.fair_queue import FairQueue
from recordings.model.instants import MINUTE
from recordings.model.recording import Media
from recordings.ports.audio import Codec, SpooledAudio, Target, Track

Read = Callable[[str], AsyncIterator[bytes]]
"""`MediaStore.read` for a whole object."""
_T = TypeVar("_T")

MAX_BYTES: Final = 2 << 30
MAX_AGE_SECONDS: Final = 86_400.0
_WAVEFORM: Final = "peaks"
_ACCOUNTS: Final = 8
"""How many accounts can use their whole share of the queue at the same time. One share is enough for the waveforms of
a page of 100 recordings.
"""
_MAX_WAVEFORM: Final = 512 * 1024
"""Bytes of a waveform with the most pixels, as text."""
_LONG: Final = 10 * MINUTE
"""The rendition of a longer recording is long work."""
_SWEEPS: Final = 24
"""How many times old renditions are searched for, within the maximum age of a rendition."""


class SourceDamagedError(Exception):
    """The store returned other bytes than the stored ones."""


class RenditionTooLargeError(Exception):
    """The rendition and the copy of its source need more disk space than all renditions may take."""


@dataclass(frozen=True, slots=True)
class Rendition:
    """A recording in another format, as a file on this machine. The file may be deleted while it is being read."""

    path: Path
    format: str
    content_type: str
    length: int
    sha256: str


class Renditions:
    """Makes renditions with audio workers of its own, so that converting for playback never delays a new recording.

    Renditions are kept in `folder`, each for at most `seconds`. Together with the files of the jobs in progress they
    take at most `max_bytes`: a job waits until its space is free. At most `at_once` are made at the same time for one
    account, and one more for others. One account may have `waiting` more in the queue, and all accounts together eight
    times as many. The accounts take turns by `FairQueue`. Two requests for the same rendition share one. It belongs to
    one event loop.
    """

    def __init__(
        self,
        folder: Path,
        audio_workers: AudioWorkers,
        read: Read,
        *,
        max_bytes: int = MAX_BYTES,
        seconds: float = MAX_AGE_SECONDS,
        at_once: int = 4,
        waiting: int = 128,
    ) -> None:
        self._work = folder / "work"
        self._cache = FolderCache(folder / "kept", max_bytes, seconds)
        self._max_bytes = max_bytes
        self._space = asyncio.Condition()
        self._audio_workers = audio_workers
        self._read = read
        # One slot more than one account can use.
        self._queue = FairQueue(at_once + 1)
        self._max_per_account = at_once + waiting
        self._max_jobs = at_once + waiting * _ACCOUNTS
        self._jobs: dict[str, Task[Any]] = {}
        self._jobs_by_account: Counter[str] = Counter()
        self._seconds = seconds
        self._sweeping: Task[None] | None = None

    async def convert(self, media: Media, format: str, account_id: str = "") -> Rendition | None:
        """Return the audio as `mp3`, `wav`, `opus` or `flac`, or `None` if it is stored in that format.

        `account_id` is the account that requests it.

        Raises:
            MediaMissing: the store does not have the audio.
            NotAudio: the audio cannot be decoded.
            SourceDamagedError: the store returned other bytes.
            AudioWorkersBusyError: too many renditions are waiting.
            RenditionTooLargeError: there can never be enough space for it.
        """
        wanted = FORMATS[format]
        if wanted.content_type == media.content_type:
            return None
        key = f"{media.sha256}.{format}"
        cached = await self._get_or_make(key, account_id, media, lambda: self._convert(key, media, format, account_id))
        return Rendition(cached.path, format, wanted.content_type, cached.length, cached.note)

    async def peaks(self, media: Media, pixels: int, account_id: str = "") -> Waveform:
        """Return the waveform with at most `pixels` pixels (1 to 10,000).

        It raises the errors of `convert`, and `ValueError` if `pixels` is out of range.
        """
        key = f"{media.sha256}.{pixels}.{_WAVEFORM}"
        cached = await self._get_or_make(key, account_id, media, lambda: self._draw(key, media, pixels, account_id))
        try:
            text = await asyncio.to_thread(cached.path.read_bytes)
        except FileNotFoundError as error:
            message = "the waveform was deleted to make room for others; try again later"
            raise AudioWorkersBusyError(message) from error
        return cast("Waveform", json.loads(text))

    async def forget(self, sha256: str) -> int:
        """Delete every rendition and waveform of audio with this hash, also those in progress. Return their number."""
        key_prefix = f"{sha256}."
        if running := [task for key, task in self._jobs.items() if key.startswith(key_prefix)]:
            # Otherwise a running job would add its file after the deletion.
            await asyncio.wait(running)
        return await asyncio.to_thread(self._cache.remove, key_prefix)

    async def open(self) -> None:
        """Delete the unfinished files of an earlier process, and start to delete old renditions at intervals."""
        await asyncio.to_thread(shutil.rmtree, self._work, ignore_errors=True)
        self._sweeping = self._sweeping or asyncio.create_task(self._sweep())

    async def close(self) -> None:
        """Cancel the renditions in progress."""
        await cancel_and_wait(*self._jobs.values(), *([self._sweeping] if self._sweeping else []))

    async def _sweep(self) -> None:
        while True:
            # A disk error may be gone an hour later. A request in between gets the error.
            with suppress(OSError):
                await asyncio.to_thread(self._cache.sweep)
            await asyncio.sleep(self._seconds / _SWEEPS)

    async def _get_or_make(
        self, key: str, account_id: str, media: Media, make: Callable[[], Coroutine[Any, Any, CachedFile]]
    ) -> CachedFile:
        """Return the cached file for a key, or join the job that makes it, or start that job."""
        if (task := self._jobs.get(key)) is None:
            if (cached := await asyncio.to_thread(self._cache.get, key)) is not None:
                return cached
            # Another request may have started the job while this one read the cache.
            task = self._jobs.get(key) or self._start(key, account_id, media, make)
        return cast("CachedFile", await asyncio.shield(task))

    def _start(
        self, key: str, account_id: str, media: Media, make: Callable[[], Coroutine[Any, Any, CachedFile]]
    ) -> Task[Any]:
        if len(self._jobs) >= self._max_jobs or self._jobs_by_account[account_id] >= self._max_per_account:
            message = (
                f"{len(self._jobs)} renditions are running or waiting, {self._jobs_by_account[account_id]} of them for "
                f"this account; at most {self._max_jobs} in total and {self._max_per_account} for each account are "
                "allowed; try again later"
            )
            raise AudioWorkersBusyError(message)
        self._jobs_by_account[account_id] += 1
        self._jobs[key] = task = asyncio.create_task(self._wait_and_make(account_id, media, make))
        task.add_done_callback(lambda done: self._finished(key, account_id, done))
        return task

    def _finished(self, key: str, account_id: str, task: Task[Any]) -> None:
        self._jobs.pop(key, None)
        self._jobs_by_account -= Counter([account_id])
        if not task.cancelled():
            # Mark the error as seen: the caller may be gone, and asyncio would log it.
            task.exception()

    async def _wait_and_make(self, account_id: str, media: Media, make: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        async with self._queue.slot(account_id, is_long=media.duration_ms > _LONG):
            return await make()

    async def _convert(self, key: str, media: Media, format: str, account_id: str) -> CachedFile:
        limit = max_length(FORMATS[format], media.sample_rate, media.channels, media.duration_ms)
        async with self._reserved(media, limit), self._fetched(media) as source:
            audio = SpooledAudio((Track(str(source), Codec.CONTAINER),))
            target = Target(format, None, MAX_DURATION, max_bytes=limit)
            made = await self._audio_workers.render(secrets.token_hex(16), audio, target, account_id)
            return await asyncio.to_thread(self._cache.add, key, made.sha256, Path(made.path))

    async def _draw(self, key: str, media: Media, pixels: int, account_id: str) -> CachedFile:
        async with self._reserved(media, _MAX_WAVEFORM), self._fetched(media) as source:
            drawn = await self._audio_workers.draw(str(source), pixels, account_id)
            text = json.dumps(drawn, separators=(",", ":")).encode()
            await asyncio.to_thread(source.write_bytes, text)
            return await asyncio.to_thread(self._cache.add, key, sha256(text).hexdigest(), source)

    @asynccontextmanager
    async def _reserved(self, media: Media, length: int) -> AsyncIterator[None]:
        """Reserve space for a copy of the audio and for a file of this length. Wait until other jobs free it."""
        size = size_on_disk(media.length) + size_on_disk(length)
        if size > self._max_bytes:
            message = f"this needs up to {size} bytes of disk space, and all renditions may take {self._max_bytes}"
            raise RenditionTooLargeError(message)
        async with self._space:
            while not await asyncio.to_thread(self._cache.reserve, size):
                await self._space.wait()
        try:
            yield
        finally:
            self._cache.release(size)
            async with self._space:
                self._space.notify_all()

    @asynccontextmanager
    async def _fetched(self, media: Media) -> AsyncIterator[Path]:
        """Copy the stored audio to this disk and check it. The copy is deleted when the block ends."""
        await asyncio.to_thread(self._work.mkdir, mode=0o700, parents=True, exist_ok=True)
        path = self._work / f"{secrets.token_hex(16)}.source"
        try:
            await self._fetch(media, path)
            yield path
        finally:
            path.unlink(missing_ok=True)

    async def _fetch(self, media: Media, path: Path) -> None:
        digest, length = sha256(), 0
        with await asyncio.to_thread(path.open, "wb") as file:
            async for chunk in self._read(media.url):
                digest.update(chunk)
                if (length := length + len(chunk)) > media.length:
                    break
                await asyncio.to_thread(file.write, chunk)
        if (length, digest.hexdigest()) != (media.length, media.sha256):
            raise SourceDamagedError(
                f"the store returned {length} bytes that differ from the {media.length} stored bytes"
            )
