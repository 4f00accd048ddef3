"""The connection to an Asterisk: it receives events, proves that they arrive in time, and compares regularly."""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import Any, Final, Protocol, TypeVar

from adapters.recorders.asterisk import ari_requests
from adapters.recorders.asterisk.ari_client import AriClient, Reply
from adapters.recorders.asterisk.ari_messages import (
    AriError,
    AriEvent,
    Bridge,
    Channel,
    EventType,
    read_bridges,
    read_channels,
    read_event,
    read_startup_time,
    time_of,
)
from adapters.recorders.asterisk.ari_requests import AriRequest
from adapters.recorders.switch_base import ConnectionLost
from recordings.model.instants import Millis

PROBE: Final = 10.0
"""Seconds between two probes of the events."""
PROBE_DEADLINE: Final = 10.0
"""Seconds until the event of a probe must arrive. Later events are too late to be used."""
COMPARE: Final = 30.0
"""Seconds between two comparisons."""
_Item = TypeVar("_Item")


class Compare(Protocol):
    """Compares calls and takes with the switch."""

    async def __call__(self, *, is_first: bool) -> None:
        """Compare. `is_first`: it is the first time since the connection."""


class AriConnection:
    """Connects to one Asterisk, as often as it is asked to.

    `switch_age` is how long Asterisk ran at the last probe, by its own clock; `None` if it is not known.
    """

    def __init__(self, client: AriClient, application: str, log: Any) -> None:
        self.switch_age: Millis | None = None
        self._client = client
        self._application = application
        self._log = log
        self._numbers = count()
        self._probe = ""
        self._probed: asyncio.Future[AriEvent] | None = None

    async def serve(self, receive: Callable[[AriEvent], None], compare: Compare, is_ready: Callable[[], None]) -> None:
        """Connect, compare, and pass events on until the connection is lost.

        Raises:
            SwitchRejected: the user or the password is wrong, or the user may only read.
            ConnectionLost: the connection was lost, events are late, or another client took the application.
        """
        async with self._client.connect() as messages:
            tasks = [
                asyncio.create_task(self._read(messages, receive)),
                asyncio.create_task(self._watch(compare, is_ready)),
            ]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            for task in done:
                task.result()

    async def _read(self, messages: AsyncIterator[str], receive: Callable[[AriEvent], None]) -> None:
        """Read the events. Nothing here waits, so that Asterisk never waits for this service."""
        async for message in messages:
            try:
                event = read_event(message)
            except AriError as error:
                self._log.warning("event ignored", error=str(error))
                continue
            if event is None:
                continue
            if event.type is EventType.APPLICATION_REPLACED:
                # Asterisk leaves this WebSocket open, but sends nothing any more.
                raise ConnectionLost(f"another client has taken the application {self._application}")
            if event.type is EventType.USER_EVENT:
                self._note_probe(event)
            else:
                receive(event)
        raise ConnectionLost("Asterisk closed the event WebSocket")

    async def _watch(self, compare: Compare, is_ready: Callable[[], None]) -> None:
        """Compare, and then probe the events and compare from time to time."""
        # Asterisk forgets the subscriptions of a closed WebSocket, even if it keeps the application.
        await self._need(ari_requests.subscribe(self._application))
        filtered = await self._client.ask(ari_requests.filter_events(self._application))
        if not filtered.is_ok:
            self._log.warning("events not filtered", error=filtered.reason)
        await self._probe_events()
        await compare(is_first=True)
        is_ready()
        loop = asyncio.get_running_loop()
        compared = loop.time()
        while True:
            await asyncio.sleep(PROBE)
            await self._probe_events()
            if loop.time() - compared >= COMPARE:
                compared = loop.time()
                await compare(is_first=False)

    async def _probe_events(self) -> None:
        """Send an event to ourselves. It proves that events arrive, and that none before it is still under way."""
        self._probe = f"probe-{next(self._numbers)}"
        self._probed = asyncio.get_running_loop().create_future()
        await self._need(ari_requests.send_user_event(self._application, self._probe))
        try:
            async with asyncio.timeout(PROBE_DEADLINE):
                event = await self._probed
        except TimeoutError:
            raise ConnectionLost(f"the events of Asterisk are late by more than {PROBE_DEADLINE:g} s") from None
        self.switch_age = await self._age_at(time_of(event.timestamp))

    async def _age_at(self, now: Millis | None) -> Millis | None:
        try:
            started = read_startup_time((await self._client.ask(ari_requests.show_status())).body)
        except AriError:
            return None
        return None if started is None or now is None else max(0, now - started)

    def _note_probe(self, event: AriEvent) -> None:
        if event.eventname == self._probe and self._probed is not None and not self._probed.done():
            self._probed.set_result(event)

    async def channels(self) -> list[Channel]:
        """Return all channels. Raises `ConnectionLost`."""
        return await self._list(ari_requests.list_channels(), read_channels)

    async def bridges(self) -> list[Bridge]:
        """Return all bridges. Raises `ConnectionLost`."""
        return await self._list(ari_requests.list_bridges(), read_bridges)

    async def is_recording(self, name: str) -> bool:
        """Return false if a recording has ended. Raises `ConnectionLost`."""
        return not (await self._client.ask(ari_requests.show_recording(name))).is_missing

    async def _list(self, request: AriRequest, read: Callable[[bytes], list[_Item]]) -> list[_Item]:
        try:
            return read((await self._need(request)).body)
        except AriError as error:
            raise ConnectionLost(f"Asterisk answers {request.path} in another protocol: {error}") from error

    async def _need(self, request: AriRequest) -> Reply:
        reply = await self._client.ask(request)
        if not reply.is_ok:
            raise ConnectionLost(f"Asterisk rejects {request.path}: {reply.reason}")
        return reply
