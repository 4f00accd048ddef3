"""A node that is killed by SIGKILL before or after one of the calls that it makes, run in a process of its own."""

import asyncio
import hashlib
import os
import signal
import wave
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.delivery import UrlCourier
from adapters.media import MediaRouter, open_media_store
from adapters.metadata.sqlite import SqliteStore
from adapters.net import Guard
from adapters.spool import FolderSpool
from recordings.finalizer import Finalizer
from recordings.ports import Rendered, SpooledAudio, Target
from recordings.upkeep import Upkeep
from tests.support.clock import StillClock

NODE = "n" * 32


@dataclass(frozen=True)
class Plan:
    """What a process is to do: where, at what time, and at which call it dies (`None`: at none)."""

    folder: Path
    now: int
    dies_at: int | None = None
    media: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def open_media(self) -> MediaRouter:
        return open_media_store(self.media, self.folder, self.options)


class PlainWorkshop:
    """Makes a WAV file of what was spooled, in this process: how decoders die is proved elsewhere."""

    def __init__(self, work: Path) -> None:
        self._work = work

    async def render(self, recording_id: str, audio: SpooledAudio, _target: Target) -> Rendered:
        return self._render(recording_id, audio)

    def _render(self, recording_id: str, audio: SpooledAudio) -> Rendered:
        self._work.mkdir(exist_ok=True)
        path = self._work / f"{recording_id}.wav"
        samples = Path(audio.tracks[0].path).read_bytes()
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 8_000, 0, "NONE", ""))
            file.writeframes(samples)
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        return Rendered(str(path), "wav", "audio/x-wav", len(data), len(samples) // 16, 8_000, 1, digest)

    async def discard(self, recording_id: str) -> None:
        (self._work / f"{recording_id}.wav").unlink(missing_ok=True)


class Nobody:
    """A recorder without calls, and a reporter that is silent unless something goes wrong."""

    async def is_open(self, _recording_id: str) -> bool:
        return False

    def moved(self, *_told: Any) -> None:
        """Nobody listens."""

    def fault(self, recording_id: str, step: str, error: Exception) -> None:
        raise AssertionError(f"{step} of {recording_id}: {error!r}")


class Mortal:
    """Passes calls on to a part, and tells before and after each."""

    def __init__(self, part: Any, tell: Callable[[], None]) -> None:
        self._part = part
        self._tell = tell

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._part, name)
        if not asyncio.iscoroutinefunction(method):
            return method

        async def call(*given: Any, **named: Any) -> Any:
            self._tell()
            answer = await method(*given, **named)
            self._tell()
            return answer

        return call


def run(plan: Plan) -> None:
    """Recover, then do what is due until nothing is, or until death."""
    asyncio.run(_run(plan))


async def _run(plan: Plan) -> None:
    calls = 0

    def tell() -> None:
        nonlocal calls
        if calls == plan.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        calls += 1

    store, media, clock = SqliteStore(plan.folder), plan.open_media(), StillClock(plan.now)
    courier = UrlCourier(media.read, Guard(private=["127.0.0.1"]), plan.folder / "work")
    await store.open()
    parts: dict[str, Any] = {"store": store, "media": media, "spool": FolderSpool(plan.folder)}
    parts["workshop"] = PlainWorkshop(plan.folder / "work")
    mortal: dict[str, Any] = {name: Mortal(part, tell) for name, part in parts.items()}
    nobody: Any = Nobody()
    finalizer = Finalizer(clock=clock, **mortal)
    upkeep = Upkeep(
        store=mortal["store"], finalizer=finalizer, clock=clock, node=NODE, recorder=nobody, reporter=nobody,
        courier=Mortal(courier, tell),
    )  # fmt: skip
    await upkeep.recover()
    while claimed := await upkeep.claim(8):
        for recording in claimed:
            await upkeep.step(recording)
    await courier.close()
    await media.close()
    await store.close()
