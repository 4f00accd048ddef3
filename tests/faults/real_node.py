"""One node of a service with real parts: store, spool, audio workers and media folder. Its recorder does nothing."""

import math
import struct
from pathlib import Path
from typing import Any

from adapters.audio import AudioWorkers
from adapters.media import open_media_store
from adapters.metadata.sqlite import SqliteStore
from adapters.spool import FolderSpool
from graph.server.clock_file import ClockFile
from recordings.model.instants import HOUR
from recordings.model.recording import Recording, State
from recordings.ports.audio import Codec
from recordings.ports.courier import DeliveryOutcome, DeliveryResult
from recordings.ports.recorder import Capability
from recordings.use_cases.finalizer import Finalizer
from recordings.use_cases.upkeep import Upkeep
from tests.contract.metadata.samples import recording as sample
from tests.support.fake_clock import FakeClock
from tests.support.memory_audit import MemoryAudit

NODE = "n" * 32
SECONDS = 2


class IdleRecorder:
    """A recorder without calls. The takes in `open` count as open."""

    def __init__(self) -> None:
        self.open: set[str] = set()

    def capabilities_of(self, recorder: str) -> frozenset[Capability]:
        return frozenset()

    async def is_open(self, recording_id: str) -> bool:
        return recording_id in self.open

    async def is_gone(self, node: str) -> bool:
        return node != NODE


class ListReporter:
    """A reporter that stores its reports."""

    def __init__(self) -> None:
        self.moves: list[tuple[State, str]] = []
        self.faults: list[tuple[str, str]] = []
        self.unknown: list[str] = []

    def left_alone(self, name: str) -> None:
        self.unknown.append(name)

    def moved(self, recording: Recording, step: str) -> None:
        self.moves.append((recording.state, step))

    def fault(self, recording_id: str, step: str, error: Exception) -> None:
        self.faults.append((step, type(error).__name__))


class ListCourier:
    """A courier that stores its deliveries. It returns the `results`, and then success."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.results: list[DeliveryResult] = []

    async def deliver(self, recording: Recording) -> DeliveryResult:
        assert recording.delivery is not None
        self.sent.append((recording.id, recording.delivery.id))
        return self.results.pop(0) if self.results else DeliveryResult(DeliveryOutcome.DELIVERED)


class Node:
    """A node with real parts in a folder."""

    def __init__(self, folder: Path, audio_workers: AudioWorkers) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.store = SqliteStore(folder)
        self.media = open_media_store(None, folder)
        self.spool = FolderSpool(folder)
        self.audio_workers = audio_workers
        self.recorder = IdleRecorder()
        self.reporter = ListReporter()
        self.courier = ListCourier()
        self.mark = ClockFile(folder)
        self.audit = MemoryAudit()

    def upkeep(self) -> Upkeep:
        parts: Any = {"media": self.media, "spool": self.spool, "audio_processor": self.audio_workers}
        others: Any = {"recorder": self.recorder, "reporter": self.reporter, "courier": self.courier}
        finalizer = Finalizer(store=self.store, clock=self.clock, audit=self.audit, **parts)
        return Upkeep(store=self.store, finalizer=finalizer, clock=self.clock, node=NODE, mark=self.mark, **others)

    async def run(self, upkeep: Upkeep) -> None:
        """Recover, and then do all steps that are due."""
        await upkeep.recover()
        while claimed := await upkeep.claim(8):
            for recording in claimed:
                await upkeep.step(recording)

    async def record(self, **fields: Any) -> Recording:
        """Make a recording with two tones, as left by a process that was killed while it recorded."""
        values = {"state": State.RECORDING, "node": NODE, "account_id": "a" * 32, "due_at": self.clock.now() + HOUR}
        recording = sample(**values | fields)
        writer = await self.spool.open_tracks(recording.id, Codec.S16, 8_000)
        for index, hertz in enumerate((440, 880)):
            writer.write_at(index, 0, tone(hertz))
        await writer.close()
        await self.store.insert(recording)
        return recording

    def files(self) -> dict[str, list[str]]:
        names = ("media", "spool", "aside", "work")
        found = {name: sorted(self.folder.joinpath(name).rglob("*")) for name in names}
        return {name: [path.name for path in paths if path.is_file()] for name, paths in found.items()}


def tone(hertz: int) -> bytes:
    steps = range(8_000 * SECONDS)
    return b"".join(struct.pack("<h", round(9_000 * math.sin(math.tau * hertz * step / 8_000))) for step in steps)


async def state_of(node: Node, recording: Recording) -> Recording:
    found = await node.store.load(recording.id)
    assert found is not None
    return found
