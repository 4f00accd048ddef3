"""Stored recordings in other formats, and as waveforms: made when asked for, once, and kept for a while."""

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
from adapters.audio.encoding import FORMATS
from adapters.audio.fair_queue import FairQueue
from adapters.audio.file_cache import FolderCache, Kept
from adapters.audio.peaks import LONGEST, Waveform
from recordings.model.recording import Media
from recordings.ports.audio import Codec, SpooledAudio, Target, Track

Read = Callable[[str], AsyncIterator[bytes]]
"""`MediaStore.read` of the whole."""
_T = TypeVar("_T")

MOST_BYTES: Final = 2 << 30
KEPT_SECONDS: Final = 86_400.0
_WAVEFORM: Final = "peaks"
_ACCOUNTS: Final = 8
"""How many accounts may have as many renditions waiting as one may: a page of a hundred waveforms, and more."""
_SWEEPS: Final = 24
"""How often in the life of a rendition it is looked whether it is over."""


class SourceDamagedError(Exception):
    """What the store gives is not what was stored."""


@dataclass(frozen=True, slots=True)
class Rendition:
    """A recording in another format, as a file of this machine. It may be cleared away while it is being read."""

    path: Path
    format: str
    content_type: str
    length: int
    sha256: str


class Renditions:
    """Makes renditions in a workshop (one of its own, so that nobody's recording waits for somebody's listening).

    Kept in `folder`, at most `most_bytes` of them and each at most `seconds`. At most `at_once` are made at a time, and
    `waiting` more may wait for that, so many of one account and eight times as many in all; the accounts take turns.
    Two who ask for the same get the same. Belongs to one event loop.
    """

    def __init__(
        self,
        folder: Path,
        workshop: AudioWorkers,
        read: Read,
        *,
        most_bytes: int = MOST_BYTES,
        seconds: float = KEPT_SECONDS,
        at_once: int = 4,
        waiting: int = 128,
    ) -> None:
        self._work = folder / "work"
        self._cache = FolderCache(folder / "kept", most_bytes, seconds)
        self._workshop = workshop
        self._read = read
        self._turns = FairQueue(at_once)
        self._share = at_once + waiting
        self._room = at_once + waiting * _ACCOUNTS
        self._making: dict[str, Task[Any]] = {}
        self._askers: Counter[str] = Counter()
        self._seconds = seconds
        self._sweeping: Task[None] | None = None

    async def convert(self, media: Media, format: str, whose: str = "") -> Rendition | None:
        """The audio in a format: `mp3`, `wav`, `opus` or `flac`; `None` if it is in that one as it is stored.

        `whose` is the account that it is made for.

        Raises:
            MediaMissing: the store does not have it.
            NotAudio: it cannot be decoded.
            SourceDamagedError: the store gives something else.
            WorkshopBusyError: too many wait already.
        """
        wanted = FORMATS[format]
        if wanted.content_type == media.content_type:
            return None
        key = f"{media.sha256}.{format}"
        kept = await self._once(key, whose, lambda: self._convert(key, media, format))
        length = (await asyncio.to_thread(kept.path.stat)).st_size
        return Rendition(kept.path, format, wanted.content_type, length, kept.note)

    async def peaks(self, media: Media, pixels: int, whose: str = "") -> Waveform:
        """The waveform in at most so many pixels (1 to 10,000). Raises as `convert` does, and `ValueError`."""
        key = f"{media.sha256}.{pixels}.{_WAVEFORM}"
        kept = await self._once(key, whose, lambda: self._draw(key, media, pixels))
        return cast("Waveform", json.loads(await asyncio.to_thread(kept.path.read_bytes)))

    async def forget(self, sha256: str) -> None:
        """Drop everything that was made of audio with this hash, and what is being made of it."""
        beginning = f"{sha256}."
        if making := [task for key, task in self._making.items() if key.startswith(beginning)]:
            # It would come after.
            await asyncio.wait(making)
        await asyncio.to_thread(self._cache.remove, beginning)

    async def open(self) -> None:
        """Clear away what a process that died was making, and from now on what is too old, even if nobody asks."""
        await asyncio.to_thread(shutil.rmtree, self._work, ignore_errors=True)
        self._sweeping = self._sweeping or asyncio.create_task(self._sweep())

    async def close(self) -> None:
        """Give up what is being made."""
        tasks = [*self._making.values(), *([self._sweeping] if self._sweeping else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _sweep(self) -> None:
        while True:
            # A disk that fails now may be well an hour later; whoever asks meanwhile hears of it.
            with suppress(OSError):
                await asyncio.to_thread(self._cache.sweep)
            await asyncio.sleep(self._seconds / _SWEEPS)

    async def _once(self, key: str, whose: str, make: Callable[[], Coroutine[Any, Any, Kept]]) -> Kept:
        """What is kept under a key, or is being made already, or is made now."""
        if (task := self._making.get(key)) is None:
            if (kept := await asyncio.to_thread(self._cache.get, key)) is not None:
                return kept
            # Somebody may have begun while we looked.
            task = self._making.get(key) or self._begin(key, whose, make)
        return cast("Kept", await asyncio.shield(task))

    def _begin(self, key: str, whose: str, make: Callable[[], Coroutine[Any, Any, Kept]]) -> Task[Any]:
        if len(self._making) >= self._room or self._askers[whose] >= self._share:
            message = (
                f"{len(self._making)} renditions are being made or wait for it, {self._askers[whose]} of them yours"
            )
            raise AudioWorkersBusyError(message)
        self._askers[whose] += 1
        self._making[key] = task = asyncio.create_task(self._in_turn(whose, make))
        task.add_done_callback(lambda done: self._forget(key, whose, done))
        return task

    def _forget(self, key: str, whose: str, task: Task[Any]) -> None:
        self._making.pop(key, None)
        self._askers -= Counter([whose])
        if not task.cancelled():
            # Nobody may be left to hear of it.
            task.exception()

    async def _in_turn(self, whose: str, make: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        async with self._turns.turn(whose):
            return await make()

    async def _convert(self, key: str, media: Media, format: str) -> Kept:
        async with self._fetched(media) as source:
            audio = SpooledAudio((Track(str(source), Codec.CONTAINER),))
            made = await self._workshop.render(secrets.token_hex(16), audio, Target(format, None, LONGEST))
            return await asyncio.to_thread(self._cache.add, key, made.sha256, Path(made.path))

    async def _draw(self, key: str, media: Media, pixels: int) -> Kept:
        async with self._fetched(media) as source:
            drawn = await self._workshop.draw(str(source), pixels)
            text = json.dumps(drawn, separators=(",", ":")).encode()
            await asyncio.to_thread(source.write_bytes, text)
            return await asyncio.to_thread(self._cache.add, key, sha256(text).hexdigest(), source)

    @asynccontextmanager
    async def _fetched(self, media: Media) -> AsyncIterator[Path]:
        """A copy of the stored audio, checked; it is gone afterwards."""
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
            raise SourceDamagedError(f"the store gives {length} bytes that are not the {media.length} stored")
