"""The calls of a FreeSWITCH: connect, subscribe, compare with the switch, and follow its events."""

import asyncio
import time
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, Final

from adapters.recorders.freeswitch.channel import Channel, event_of_row, read_channel
from adapters.recorders.freeswitch.esl_connection import EslConnection
from adapters.recorders.freeswitch.esl_protocol import ProtocolError, SwitchEvent, is_argument, parse_json_event
from adapters.recorders.freeswitch.switch_lists import read_channels, read_number
from adapters.recorders.switch_base import ConnectionLost, SwitchBase
from adapters.recorders.switch_calls import MAX_CALLS
from adapters.recorders.switch_url import SwitchUrl
from recordings.model.instants import SECOND, Millis
from recordings.ports.audio import Spool
from recordings.ports.clock import Clock

EVENTS: Final = (
    "CHANNEL_CREATE",
    "CHANNEL_ANSWER",
    "CHANNEL_BRIDGE",
    "CHANNEL_HANGUP_COMPLETE",
    "RECORD_START",
    "RECORD_STOP",
    "HEARTBEAT",
)
"""The events that this server reads. FreeSWITCH drops events of a reader that is too slow, so these are few."""
COMPARE: Final = 30.0
"""Seconds between two comparisons with the switch: it may drop events under load."""
WATCH: Final = 1.0
"""Seconds between two looks at the heartbeat."""
MAX_LAG: Final[Millis] = 10 * SECOND
"""If events are later than this, a new connection gets a new queue on the switch."""
LEG_GRACE: Final = 1.0
"""Seconds after the end of a first leg until its second leg, if it is still live, is a call of its own."""
MAX_ENDED: Final = 10_000
"""Maximum number of ended channels that are remembered, so that a late event does not bring one back."""
AT_ONCE: Final = 50
"""Maximum number of commands at the same time in a comparison."""


class EslSwitch(SwitchBase):
    """The connection and the channels. Takes are in the subclass."""

    def __init__(self, url: SwitchUrl, *, spool: Spool, clock: Clock, node: str = "") -> None:
        super().__init__(url, spool=spool, clock=clock, node=node)
        self._connection: EslConnection | None = None
        self._channels: dict[str, Channel] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._not_served: set[str] = set()
        """Answered channels of no account of the URL. They are not examined again."""
        self._offset: Millis | None = None
        """This server's clock minus the switch's."""
        self._heard = 0.0
        self._beat: float | None = None
        """When the last heartbeat came."""
        self._heartbeat: float | None = None
        """Seconds between two heartbeats; `None` until two have come. They are a setting of the switch."""
        self._core = ""

    # Takes

    @abstractmethod
    def _channel_answered(self, channel: Channel) -> None:
        """Begin the takes that wait for the answer or for the bridge, if they need not wait any longer."""

    @abstractmethod
    def _channel_ended(self, channel: Channel) -> None:
        """Finish the takes of a channel, and the starts that are in progress."""

    @abstractmethod
    def _recording_changed(self, event: SwitchEvent) -> None:
        """Note a RECORD_START or a RECORD_STOP."""

    @abstractmethod
    async def _compare_takes(self, connection: EslConnection, *, is_first: bool) -> None:
        """Compare the takes with the recordings on the switch."""

    # The connection

    async def _serve(self) -> None:
        url = self.url
        connection = await EslConnection.open(url.host, url.port, url.user, url.secret)
        # A comparison needs the replies that `read` receives. Events of that time are not lost.
        tasks = [
            asyncio.create_task(connection.read(self._on_event), name=f"events of {self.name}"),
            asyncio.create_task(self._stay_equal(connection), name=f"comparison with {self.name}"),
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            self._connection = None
            connection.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _stay_equal(self, connection: EslConnection) -> None:
        """Subscribe, compare, and report the switch as ready. Then compare from time to time."""
        self._heard, self._beat, self._heartbeat, self._offset = time.monotonic(), None, None, None
        reply = await connection.send("event", "plain", *EVENTS)
        if not reply.text.startswith("+OK"):
            raise ConnectionLost(f"the switch rejects the subscription: {reply.text[:80]}")
        await self._read_clocks(connection)
        self._connection = connection
        await self._compare(connection, is_first=True)
        self._is_ready()
        compared = time.monotonic()
        while True:
            await asyncio.sleep(WATCH)
            silent = time.monotonic() - self._heard
            # Before that, the next comparison finds a connection that is dead.
            if self._heartbeat is not None and silent > 2 * self._heartbeat + WATCH:
                raise ConnectionLost(f"no heartbeat for {silent:.0f} s")
            if time.monotonic() - compared >= COMPARE:
                await self._compare(connection, is_first=False)
                compared = time.monotonic()

    async def _read_clocks(self, connection: EslConnection) -> None:
        """Find out how long the switch has run, and how much its clock differs."""
        # FreeSWITCH prints 32 bits, so milliseconds would begin again after 49 days.
        uptime = read_number(await connection.ask("uptime", "s"))
        core = await connection.ask("global_getvar", "core_uuid")
        if uptime is not None:
            self._switch_started = self._clock.now() - (uptime + 1) * SECOND
        elif self._core not in {"", core}:
            self._switch_started = self._clock.now()
        self._core = core
        seconds = read_number(await connection.ask("strepoch"))
        if seconds is not None:
            self._offset = self._clock.now() - seconds * SECOND

    # Events

    def _on_event(self, event: SwitchEvent) -> None:
        self._heard = time.monotonic()
        self._check_lag(event)
        match event.name:
            case "CHANNEL_CREATE" | "CHANNEL_ANSWER":
                self._on_channel(event)
            case "CHANNEL_BRIDGE":
                self._on_channel(event)
                self._on_bridge(event)
            case "CHANNEL_HANGUP_COMPLETE":
                self._hang_up(event.get("Unique-ID"))
            case "RECORD_START" | "RECORD_STOP":
                self._recording_changed(event)
            case "HEARTBEAT":
                if self._beat is not None:
                    self._heartbeat = max(WATCH, self._heard - self._beat, self._heartbeat or 0)
                self._beat = self._heard

    def _check_lag(self, event: SwitchEvent) -> None:
        """Raise `ConnectionLost` if events are late. The clocks of the two machines may differ."""
        stamp = read_number(event.get("Event-Date-Timestamp"))
        if stamp is None:
            return
        difference = self._clock.now() - stamp // 1000
        if self._offset is None or difference < self._offset:
            self._offset = difference
        elif difference - self._offset > MAX_LAG:
            raise ConnectionLost(f"events are {(difference - self._offset) / SECOND:.0f} s late")

    def _on_channel(self, event: SwitchEvent) -> None:
        """Add a channel, or update it. The dialplan may set variables until the answer."""
        uuid = event.get("Unique-ID")
        if uuid in self._ended or not is_argument(uuid):
            return
        found = read_channel(event, self.url, self._clock.now())
        known = self._channels.get(uuid)
        if found is None:
            return
        if known is None:
            if len(self._channels) >= MAX_CALLS:
                return
            known = self._channels[uuid] = found
        else:
            known.call = replace(found.call, started=known.call.started)
            known.is_own_leg = found.is_own_leg
        known.is_bridged |= found.is_bridged
        known.has_media |= found.has_media
        self._show(known)
        if found.is_answered:
            self._answer(known)

    def _show(self, channel: Channel) -> None:
        """Report a channel as a call, unless it is the second leg of a live call."""
        if channel.is_shown or (channel.originator in self._channels and not channel.is_own_leg):
            return
        channel.is_shown = True
        self._add_call(channel.call)
        if channel.is_answered:
            self._answer_call(channel.call)

    def _answer(self, channel: Channel) -> None:
        is_new, channel.is_answered, channel.has_media = not channel.is_answered, True, True
        if is_new and channel.is_shown:
            self._answer_call(channel.call)
        self._channel_answered(channel)

    def _on_bridge(self, event: SwitchEvent) -> None:
        uuid = event.get("Unique-ID")
        first = event.get("Bridge-A-Unique-ID") or uuid
        second = event.get("Bridge-B-Unique-ID") or event.get("Other-Leg-Unique-ID")
        for one, other in ((first, second), (second, first)):
            if (channel := self._channels.get(one)) is not None:
                channel.other, channel.is_bridged = other, True
                self._channel_answered(channel)

    def _hang_up(self, uuid: str) -> None:
        """Remove a channel that ended. Does nothing if it is unknown."""
        if not uuid:
            return
        self._ended[uuid] = None
        if len(self._ended) > MAX_ENDED:
            self._ended.popitem(last=False)
        channel = self._channels.pop(uuid, None)
        if channel is None:
            return
        self._channel_ended(channel)
        self._end_call(channel.call.account_id, uuid)
        for leg in tuple(self._channels.values()):
            if leg.originator == uuid and not leg.is_shown:
                self._spawn(self._show_later(leg))

    async def _show_later(self, leg: Channel) -> None:
        # After most calls, the second leg ends at the same time. After a transfer it goes on.
        await asyncio.sleep(LEG_GRACE)
        if self._channels.get(leg.uuid) is leg:
            self._show(leg)

    # Comparison

    async def _compare(self, connection: EslConnection, *, is_first: bool) -> None:
        try:
            listed = read_channels(await connection.ask("show", "channels", "as", "json"))
        except ProtocolError as error:
            raise ConnectionLost(str(error)) from error
        self._not_served &= listed.keys()
        unknown = [uuid for uuid in listed if uuid not in self._channels and uuid not in self._not_served]
        # The list comes from a database that is some time late, so each difference is checked.
        await for_each(unknown, lambda uuid: self._look_at(connection, uuid, event_of_row(listed[uuid])))
        missing = [uuid for uuid in self._channels if uuid not in listed]
        await for_each(missing, lambda uuid: self._check_end(connection, uuid))
        await self._compare_takes(connection, is_first=is_first)
        self._retry_ends()

    async def _look_at(self, connection: EslConnection, uuid: str, row: SwitchEvent) -> None:
        """Add a channel of which no event was seen."""
        if not is_argument(uuid):
            return
        try:
            event = parse_json_event(await connection.ask("uuid_dump", uuid, "json"))
        except ProtocolError:
            # The channel has ended, or the user of the Event Socket may list channels and nothing else.
            if await self._is_gone(connection, uuid):
                return
            event = row
        self._on_channel(event)
        if uuid not in self._channels and event.get("Answer-State") == "answered":
            self._not_served.add(uuid)

    async def _check_end(self, connection: EslConnection, uuid: str) -> None:
        if await self._is_gone(connection, uuid):
            self._hang_up(uuid)

    async def _is_gone(self, connection: EslConnection, uuid: str) -> bool:
        return await connection.ask("uuid_exists", uuid) == "false"

    def _forget_calls(self) -> None:
        self._channels.clear()
        self._ended.clear()
        self._not_served.clear()
        super()._forget_calls()


async def for_each(uuids: Sequence[str], work: Callable[[str], Coroutine[Any, Any, None]]) -> None:
    """Do work for each channel, some at the same time."""
    for first in range(0, len(uuids), AT_ONCE):
        await asyncio.gather(*(work(uuid) for uuid in uuids[first : first + AT_ONCE]))
