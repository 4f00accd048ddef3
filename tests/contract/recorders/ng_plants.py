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
from tests.contract.recorders.relay import Relay
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
        self._relay = Relay(HOST, self.engine.port)
        await self._relay.start()
        self.port = self._relay.port
        return await self.connect()

    async def close(self) -> None:
        for call_id in tuple(self._calls):
            await self.hang_up(call_id)
        await self._relay.stop()
        self._stack.close()

    async def ring(self, call_id: str) -> None:
        self._calls[call_id] = call = RtpCall(self.engine, call_id)
        await call.offer()
        await call.answer()

    async def hang_up(self, call_id: str) -> None:
        await self._calls.pop(call_id).hang_up()

    async def lose_connection(self) -> None:
        await self._relay.cut()
