"""Asterisk as a plant of the contract tests: the double, and a real one at `RECORDER_ARI_URL`.

The real one needs no telephony: its calls are Local channels that ARI makes. `RECORDER_ARI_URL` is its address, such as
`ari://user:password@127.0.0.1:8088`. `RECORDER_ARI_ENDPOINT` is an extension that answers and plays audio for a minute,
by default `Local/tone@default`.
"""

import asyncio
import os
from abc import abstractmethod
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, unquote, urlsplit
from urllib.request import Request, urlopen

import aiohttp

from adapters.recorders.open_switch import open_switch
from adapters.recorders.switch_url import parse_switch_url
from graph.server.system_clock import SystemClock
from recordings.ports.recorder import SwitchRecorder, SwitchState, Take
from tests.contract.recorders.ari_double import PASSWORD, USER, AriDouble
from tests.contract.recorders.plants import ACCOUNT, NAME, SwitchPlant
from tests.contract.recorders.relay import Relay
from tests.servers.tcp_server import HOST

REAL_URL = os.environ.get("RECORDER_ARI_URL", "")
ENDPOINT = os.environ.get("RECORDER_ARI_ENDPOINT", "Local/tone@default")
DEADLINE = 20
ATTEMPTS = 100
OTHER_APPLICATION = "test-calls"


class AriPlant(SwitchPlant):
    """A plant with a recorder of Asterisk, and a relay between them."""

    name = NAME
    host, port, user, secret = HOST, 0, USER, PASSWORD
    node = "e" * 32
    parameters = ""
    first_half: ClassVar[Mapping[str, str]] = {"extension": "tone", "context": "default", "priority": "1"}
    """What the first half of a Local channel does after the answer."""

    async def open(self) -> SwitchRecorder:
        self._headers = {"Authorization": f"Basic {b64encode(f'{self.user}:{self.secret}'.encode()).decode()}"}
        self._session = aiohttp.ClientSession(f"http://{self.host}:{self.port}", headers=self._headers)
        self._rung: set[str] = set()
        self._all: set[str] = set()
        self.relay = Relay(self.host, self.port)
        await self.relay.start()
        return await self.connect()

    async def connect(self, takes: Sequence[Take] = ()) -> SwitchRecorder:
        user, secret = quote(self.user, safe=""), quote(self.secret, safe="")
        text = f"ari://{user}:{secret}@{HOST}:{self.relay.port}?name={NAME}&account={ACCOUNT}{self.parameters}"
        switch = open_switch(parse_switch_url(text), spool=self.spool, clock=SystemClock(), node=self.node)
        self._running = asyncio.create_task(switch.run(takes))
        await self.until_state(switch, SwitchState.READY)
        return switch

    async def until_state(self, switch: SwitchRecorder, state: SwitchState) -> None:
        async with asyncio.timeout(DEADLINE):
            while switch.state is not state:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)

    async def disconnect(self) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def __aexit__(self, *_: object) -> None:
        await super().__aexit__()
        await self.disconnect()
        for call_id in tuple(self._rung):
            await self.hang_up(call_id)
        await self.relay.stop()
        await self.close()

    @abstractmethod
    async def close(self) -> None:
        """Leave nothing on the switch, or stop it."""

    async def request(self, method: str, path: str, **query: str) -> Any:
        """Send a request to the switch itself."""
        async with self._session.request(method, f"/ari{path}", params=query) as response:
            body = await response.read()
            is_repeated = (method, response.status) in {("DELETE", 404), ("POST", 409)} and "/record" not in path
            if response.status >= 400 and not is_repeated:
                raise AssertionError(f"{method} {path} {query}: {response.status} {body!r}")
            return await response.json() if body else None

    async def ring(self, call_id: str) -> None:
        self._rung.add(call_id)
        self._all.add(call_id)
        await self.request("POST", "/channels", endpoint=ENDPOINT, channelId=call_id, **self.first_half)

    async def hang_up(self, call_id: str) -> None:
        self._rung.discard(call_id)
        await self.request("DELETE", f"/channels/{quote(call_id, safe='')}")

    async def lose_connection(self) -> None:
        await self.relay.cut()

    async def restart_recorder(self, takes: Sequence[Take]) -> None:
        await self.disconnect()
        self.recorder = await self.connect(takes)

    def files(self) -> int:
        request = Request(f"http://{self.host}:{self.port}/ari/recordings/stored", headers=self._headers)
        with urlopen(request, timeout=DEADLINE) as response:  # noqa: S310 - http only
            body: bytes = response.read()
        return body.count(b'"rec-202611-')


class AriDoublePlant(AriPlant):
    async def open(self) -> SwitchRecorder:
        self.double = AriDouble()
        await self.double.start()
        self.port = self.double.port
        return await super().open()

    async def close(self) -> None:
        await self._session.close()
        await self.double.stop()

    def files(self) -> int:
        return len(list(self.double.leftovers()))


class RealAriPlant(AriPlant):
    # If the first half played audio, too, the two halves would answer each other's frames without a pause.
    first_half: ClassVar[Mapping[str, str]] = {"app": OTHER_APPLICATION}

    def __init__(self, root: Path, url: str = REAL_URL) -> None:
        super().__init__(root)
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or HOST, parts.port or 8088
        self.user, self.secret = unquote(parts.username or ""), unquote(parts.password or "")

    async def open(self) -> SwitchRecorder:
        recorder = await super().open()
        self._socket = await self._session.ws_connect("/ari/events", params={"app": OTHER_APPLICATION})
        await self._try_call(recorder)
        return recorder

    async def _try_call(self, recorder: SwitchRecorder) -> None:
        """Make a call. Asterisk accepts a call to an extension that does not exist, and drops it."""
        await self.ring("trial")
        for _ in range(ATTEMPTS):
            async with self._session.get("/ari/channels/trial") as response:
                found = await response.json()
            if found.get("state") == "Up":
                await self.hang_up("trial")
                while await recorder.find_call(ACCOUNT, "trial"):  # noqa: ASYNC110 - the recorder has events, not this
                    await asyncio.sleep(0.01)
                return
            await asyncio.sleep(0.02)
        raise AssertionError(
            f"{ENDPOINT} does not answer: add this extension of docs/switches.md, or set RECORDER_ARI_ENDPOINT"
        )

    async def close(self) -> None:
        """Wait for the end of all channels, and delete the files of takes that the test left in progress."""
        async with asyncio.timeout(DEADLINE):
            while self._all & {each["id"] for each in await self.request("GET", "/channels")}:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        stored = await self._session.get("/ari/recordings/stored")
        for name in [each["name"] for each in await stored.json() if each["name"].startswith("rec-202611-")]:
            await self.request("DELETE", f"/recordings/stored/{name}")
        await self._socket.close()
        await self._session.close()
