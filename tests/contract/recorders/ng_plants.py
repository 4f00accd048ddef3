"""rtpengine as a plant of the contract tests: the double, and the real one with real RTP."""

import asyncio
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from adapters.recorders.open_switch import open_switch
from adapters.recorders.switch_url import parse_switch_url
from graph.server.system_clock import SystemClock
from recordings.ports.recorder import SwitchRecorder, SwitchState, Take
from tests.contract.recorders.ng_double import NgDouble
from tests.contract.recorders.plants import ACCOUNT, NAME, SwitchPlant
from tests.servers.rtpengine import HOST, RtpCall, running_rtpengine, wait_until_ready


class NgPlant(SwitchPlant):
    """A plant with a recorder of rtpengine."""

    name = NAME
    port = 0

    @property
    def folder(self) -> Any:
        return self.root / "rtpengine"

    async def connect(self, takes: Sequence[Take] = ()) -> SwitchRecorder:
        text = f"ng://{HOST}:{self.port}?name={NAME}&account={ACCOUNT}&folder={self.folder}"
        switch = open_switch(parse_switch_url(text), spool=self.spool, clock=SystemClock())
        self._running = asyncio.create_task(switch.run(takes))
        async with asyncio.timeout(20):
            while switch.state is not SwitchState.READY:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
        return switch

    async def disconnect(self) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def __aexit__(self, *_: object) -> None:
        await super().__aexit__()
        await self.disconnect()
        await self.close()

    @abstractmethod
    async def close(self) -> None: ...

    async def restart_recorder(self, takes: Sequence[Take]) -> None:
        await self.disconnect()
        self.recorder = await self.connect(takes)

    def files(self) -> int:
        return len(list((self.folder / "pcaps").iterdir()) + list((self.folder / "metadata").iterdir()))


class NgDoublePlant(NgPlant):
    async def open(self) -> SwitchRecorder:
        self.double = NgDouble(self.folder)
        await self.double.start()
        self.port = self.double.port
        return await self.connect()

    async def close(self) -> None:
        await self.double.stop()

    async def ring(self, call_id: str) -> None:
        self.double.ring(call_id)

    async def hang_up(self, call_id: str) -> None:
        self.double.hang_up(call_id)

    async def lose_connection(self) -> None:
        await self.double.stop()
        await self.double.start()


class RealNgPlant(NgPlant):
    async def open(self) -> SwitchRecorder:
        self._stack = ExitStack()
        self.engine = self._stack.enter_context(running_rtpengine(self.folder))
        await wait_until_ready(self.engine)
        self._calls: dict[str, RtpCall] = {}
        self._relay: asyncio.Server | None = None
        await self._listen()
        return await self.connect()

    async def close(self) -> None:
        for call_id in tuple(self._calls):
            await self.hang_up(call_id)
        await self._unlisten()
        self._stack.close()

    async def ring(self, call_id: str) -> None:
        self._calls[call_id] = call = RtpCall(self.engine, call_id)
        await call.offer()
        await call.answer()

    async def hang_up(self, call_id: str) -> None:
        await self._calls.pop(call_id).hang_up()

    async def lose_connection(self) -> None:
        await self._unlisten()
        await self._listen()

    async def _listen(self) -> None:
        self._writers: set[asyncio.StreamWriter] = set()
        self._relay = await asyncio.start_server(self._pass_on, HOST, self.port)
        self.port = self._relay.sockets[0].getsockname()[1]

    async def _unlisten(self) -> None:
        if self._relay is not None:
            self._relay.close()
            for writer in tuple(self._writers):
                writer.transport.abort()
            self._relay = None

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(HOST, self.engine.port)
        self._writers |= {writer, there_writer}
        await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer), return_exceptions=True)
        self._writers -= {writer, there_writer}


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
