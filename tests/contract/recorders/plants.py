"""The recorders that run the contract tests. Each plant has a recorder and makes calls on its switch.

To test another recorder, add a `Plant`, and an entry to `PLANTS` in `conftest.py`.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from adapters.recorders.dialects.stream_events import Audio
from adapters.recorders.embedded import EmbeddedRecorder, Limits
from adapters.recorders.embedded.live_call import LiveCall, StreamEnd
from adapters.recorders.switch_base import ConnectionLost, SwitchBase, SwitchTake
from adapters.recorders.switch_url import parse_switch_url
from adapters.spool import FolderSpool
from graph.server.system_clock import SystemClock
from recordings.model.call import EMBEDDED, Call
from recordings.model.events import Armed, Begun
from recordings.model.recording import EndCause
from recordings.ports.recorder import LocalRecorder, Take, TakeRefused

ACCOUNT = "a" * 32
NAME = "pbx1"


class Plant(ABC):
    """A recorder, and a switch that makes calls."""

    name: ClassVar[str]
    """The name of its recorder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.spool = FolderSpool(root / "data")

    async def __aenter__(self) -> Self:
        self.recorder = await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.recorder.close()

    @abstractmethod
    async def open(self) -> LocalRecorder:
        """Return a connected recorder."""

    @abstractmethod
    async def ring(self, call_id: str) -> None:
        """Begin an answered call with audio of both sides."""

    @abstractmethod
    async def hang_up(self, call_id: str) -> None:
        """End a call."""

    async def audio(self, call_id: str) -> None:  # noqa: B027 - the calls of most switches have audio all the time
        """Let some audio of a call pass."""


class SwitchPlant(Plant):
    """A plant with a switch of its own, which goes on without this service."""

    @abstractmethod
    async def lose_connection(self) -> None:
        """Cut the connection between the recorder and the switch."""

    @abstractmethod
    async def restart_recorder(self, takes: Sequence[Take]) -> None:
        """Let another process of the service continue these takes, as after a crash."""

    @abstractmethod
    def files(self) -> int:
        """Return the number of recorded files that are left on the switch."""


class EmbeddedPlant(Plant):
    """The embedded recorder: the test is the sender of the audio."""

    name = EMBEDDED

    async def open(self) -> EmbeddedRecorder:
        self.embedded = EmbeddedRecorder(spool=self.spool, clock=SystemClock(), limits=Limits(reconnect=0))
        self._calls: dict[str, tuple[LiveCall, Callable[[StreamEnd], None]]] = {}
        return self.embedded

    async def ring(self, call_id: str) -> None:
        def close(_end: StreamEnd) -> None: ...

        call = Call(account_id=ACCOUNT, call_id=call_id, started=SystemClock().now())
        self._calls[call_id] = self.embedded.open_call(call, close), close
        await self.audio(call_id)

    async def audio(self, call_id: str) -> None:
        live, _ = self._calls[call_id]
        at = live.position(asyncio.get_running_loop().time()) // 8
        for side in (0, 1):
            self.embedded.receive_audio(live, Audio(side, at, b"\x10" * 160))

    async def hang_up(self, call_id: str) -> None:
        live, close = self._calls.pop(call_id)
        await self.embedded.end_stream(live, close, StreamEnd(EndCause.HANGUP, 1000, ""))


@dataclass
class MemoryPbx:
    """A switch in memory. Its calls and recordings go on without a connection."""

    calls: set[str] = field(default_factory=set)
    recording: dict[str, str] = field(default_factory=dict)
    """The call of each take that is recorded now."""
    files: dict[str, bytes] = field(default_factory=dict)
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self, call_id: str) -> None:
        self.calls.discard(call_id)
        for take_id in [each for each, call in self.recording.items() if call == call_id]:
            self.stop(take_id)
        self.changed.set()

    def stop(self, take_id: str) -> None:
        if self.recording.pop(take_id, None) is not None:
            self.files[take_id] = b"RIFF" + take_id.encode()


class MemorySwitch(SwitchBase):
    """A recorder without a protocol: it tests the common part of all switches."""

    def __init__(self, pbx: MemoryPbx, **given: Any) -> None:
        super().__init__(parse_switch_url(f"ng://switch?name={NAME}&account={ACCOUNT}&folder=/none"), **given)
        self.pbx = pbx

    async def _serve(self) -> None:
        if not self.pbx.connected.is_set():
            raise ConnectionLost("no route to the switch")
        while self.pbx.connected.is_set():
            self.pbx.changed.clear()
            self._compare()
            self._is_ready()
            await self.pbx.changed.wait()

    def _compare(self) -> None:
        for account_id, call_id in list(self._calls):
            if call_id not in self.pbx.calls:
                self._end_call(account_id, call_id)
        for call_id in sorted(self.pbx.calls):
            self._add_call(Call(account_id=ACCOUNT, call_id=call_id, started=self._clock.now()))
        for take in list(self._takes.values()):
            if take.id in self.pbx.recording:
                self._note_start(take, Begun(at=self._clock.now()))
            elif take.take.call_id not in self.pbx.calls and take.result is not None:
                self._finish_soon(take, EndCause.HANGUP)

    async def _start_on_switch(self, take: SwitchTake) -> Armed | Begun:
        self.pbx.recording[take.id] = take.take.call_id
        await asyncio.sleep(0)
        return Begun(at=self._clock.now())

    async def _stop_on_switch(self, take: SwitchTake) -> None:
        if not self.pbx.connected.is_set():
            raise TakeRefused("no route to the switch")
        self.pbx.stop(take.id)

    async def _collect(self, take: SwitchTake) -> AsyncIterator[bytes] | None:
        content = self.pbx.files.get(take.id)
        return None if content is None else _chunks(content)

    async def _discard(self, take: SwitchTake) -> None:
        del self.pbx.files[take.id]


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
    yield content


class MemoryPlant(SwitchPlant):
    """The common part of the recorders of switches, without a protocol."""

    name = NAME

    async def open(self) -> MemorySwitch:
        self.pbx = MemoryPbx()
        self.pbx.connected.set()
        return await self._run(())

    async def _run(self, takes: Sequence[Take]) -> MemorySwitch:
        switch = MemorySwitch(self.pbx, spool=self.spool, clock=SystemClock())
        self._running = asyncio.create_task(switch.run(takes))
        return switch

    async def __aexit__(self, *_: object) -> None:
        await super().__aexit__()
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def ring(self, call_id: str) -> None:
        self.pbx.calls.add(call_id)
        self.pbx.changed.set()

    async def hang_up(self, call_id: str) -> None:
        self.pbx.end(call_id)

    async def lose_connection(self) -> None:
        self.pbx.connected.clear()
        self.pbx.changed.set()
        await asyncio.sleep(0)
        self.pbx.connected.set()

    async def restart_recorder(self, takes: Sequence[Take]) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        self.recorder = await self._run(takes)

    def files(self) -> int:
        return len(self.pbx.files)
