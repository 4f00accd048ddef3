"""The recorder of an Asterisk: it snoops on the legs of calls, and records the snoop channels.

The calls stay in their dialplan: snooping needs no change there, and the calls go on without this service. Each leg is
a call of its own, by the id of its channel. Asterisk never repeats the events of a lost connection, so everything is
compared with the switch after each connection, and then every 30 seconds.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar, Final

from adapters.recorders.asterisk import ari_requests
from adapters.recorders.asterisk.ari_client import AriClient
from adapters.recorders.asterisk.ari_connection import AriConnection
from adapters.recorders.asterisk.ari_messages import AriEvent, Bridge, Channel, EventType
from adapters.recorders.asterisk.ari_requests import LEFT, read_side_name
from adapters.recorders.asterisk.channel_calls import call_of, is_answered, is_leg, updated
from adapters.recorders.asterisk.snoop_audio import SnoopAudio
from adapters.recorders.asterisk.snoop_switch import SnoopSwitch
from adapters.recorders.asterisk.snoop_take import MAX_PARTS, Part, SnoopTake, spies_of
from adapters.recorders.switch_base import ConnectionLost, SwitchBase, SwitchTake
from adapters.recorders.switch_url import SwitchUrl
from recordings.model.events import Armed, Begun
from recordings.model.ids import new_id
from recordings.model.instants import SECOND, Millis
from recordings.model.recording import Direction, EndCause
from recordings.ports.audio import Spool
from recordings.ports.clock import Clock
from recordings.ports.recorder import Capability, Take, TakeRefused

TRANSFER_GRACE: Final = 0.3
"""Seconds after the end of a leg in which a transfer can still be reported."""
_CHANGES: Final = frozenset({EventType.CREATED, EventType.STATE_CHANGE, EventType.CALLER_ID, EventType.CONNECTED_LINE})


class AsteriskRecorder(SwitchBase):
    """A `SwitchRecorder` for an Asterisk with ARI."""

    supported: ClassVar[frozenset[Capability]] = frozenset(Capability)

    def __init__(self, url: SwitchUrl, *, spool: Spool, clock: Clock, node: str = "") -> None:
        super().__init__(url, spool=spool, clock=clock, node=node)
        # A second WebSocket with the same application would silence the first one.
        self._application = f"rec-{url.name}-{node or new_id()}"
        self._client = AriClient(url, self._application)
        self._connection = AriConnection(self._client, self._application, self._log)
        self._snoops = SnoopSwitch(self._client, self._application, self._log)
        self._audio = SnoopAudio(self._client)
        self._legs: dict[str, tuple[str, str]] = {}
        """The account and the call of each live channel."""
        self._answered: set[str] = set()
        self._bridged: set[str] = set()
        self._ended_meanwhile: set[str] = set()
        """The channels that ended since the last list of channels was requested."""

    # The connection

    async def run(self, takes: Sequence[Take]) -> None:
        """Control the switch until cancelled. Continue these takes."""
        try:
            await super().run(takes)
        finally:
            self._snoops.forget()
            self._legs.clear()
            self._answered.clear()
            self._bridged.clear()

    async def _serve(self) -> None:
        await self._connection.serve(self._receive, self._compare, self._is_ready)

    # Events

    def _receive(self, event: AriEvent) -> None:
        if event.type in {EventType.BLIND_TRANSFER, EventType.ATTENDED_TRANSFER}:
            self._receive_transfer(event)
        elif event.recording is not None:
            self._receive_snoop(event, event.recording.name)
        elif event.channel is not None:
            if read_side_name(event.channel.id) is not None:
                self._receive_snoop(event, event.channel.id)
            else:
                self._receive_channel(event, event.channel)

    def _receive_channel(self, event: AriEvent, channel: Channel) -> None:
        if event.type in _CHANGES:
            self._see(channel)
        elif event.type is EventType.DESTROYED:
            self._ended_meanwhile.add(channel.id)
            self._forget_leg(channel.id)
        elif event.type is EventType.ENTERED_BRIDGE and event.bridge is not None:
            self._see(channel)
            self._see_bridges([event.bridge])
        elif event.type is EventType.LEFT_BRIDGE and event.bridge is not None:
            self._bridged -= {channel.id, *event.bridge.channels} - event.bridge.connected

    def _see(self, channel: Channel) -> None:
        """Note a channel as it is now."""
        if not is_leg(channel):
            return
        key = self._legs.get(channel.id)
        if key is None or key not in self._calls:
            call = call_of(channel, self.url, self._clock.now())
            if call is None:
                return
            key = self._legs[channel.id] = call.account_id, call.call_id
            self._add_call(call)
        else:
            self._calls[key] = updated(self._calls[key], channel, self.url)
        if is_answered(channel) and channel.id not in self._answered and key in self._calls:
            self._answered.add(channel.id)
            self._answer_call(self._calls[key])
            self._begin_waiting({channel.id})

    def _see_bridges(self, bridges: Sequence[Bridge]) -> None:
        connected = frozenset[str]().union(*(bridge.connected for bridge in bridges))
        new = connected - self._bridged
        self._bridged |= connected
        self._begin_waiting(new)

    def _begin_waiting(self, channels: Iterable[str]) -> None:
        """Begin the armed takes of channels whose condition may be met now."""
        for take in tuple(self._takes.values()):
            if take.take.call_id in channels and isinstance(take.result, Armed) and not self._must_wait(take):
                self._spawn(self._begin_armed(take))

    def _forget_leg(self, channel: str) -> None:
        self._answered.discard(channel)
        self._bridged.discard(channel)
        key = self._legs.pop(channel, None)
        if key is not None:
            self._end_call(*key)

    def _receive_snoop(self, event: AriEvent, name: str) -> None:
        state = self._snoops.receive(event, name)
        if state is not None:
            self._check_end(state)

    def _check_end(self, state: SnoopTake) -> None:
        """Finish a take of which Asterisk ended the recording: its leg ended, or an operator stopped it."""
        take = self._takes.get(state.recording_id)
        if take is not None and isinstance(take.result, Begun) and take.intent is None and state.has_ended:
            limit = take.result.at + take.take.options.time_limit * SECOND
            self._leg_ended(take, EndCause.TIME_LIMIT if self._clock.now() >= limit else EndCause.HANGUP)

    # Transfers

    def _receive_transfer(self, event: AriEvent) -> None:
        """Move the takes of the leg that leaves to the leg of the party that stays."""
        if event.result != "Success":
            return
        if event.type is EventType.BLIND_TRANSFER:
            moves = [(event.channel, event.transferee)]
        else:
            moves = [
                (event.transferer_first_leg, event.transferee),
                (event.transferer_second_leg, event.transfer_target),
            ]
        for leaves, stays in moves:
            if leaves is not None and stays is not None and leaves.id != stays.id:
                for take in tuple(self._takes.values()):
                    if take.take.call_id == leaves.id and take.take.options.should_follow_transfer:
                        self._follow(take, stays.id)

    def _follow(self, take: SwitchTake, channel: str) -> None:
        state = self._snoops.takes.get(take.id)
        if take.intent is not None or (state is not None and len(state.parts) >= MAX_PARTS):
            return
        take.take = replace(take.take, call_id=channel)
        take.call = self._calls.get(self._legs.get(channel, ("", "")))
        if state is not None and isinstance(take.result, Begun):
            state.moves_to = channel
            self._spawn(self._move(take, state, channel))

    async def _move(self, take: SwitchTake, state: SnoopTake, channel: str) -> None:
        async with take.lock:
            old = state.current
            if take.ended.is_set() or take.intent is not None or old is None:
                state.moves_to = None
                return
            try:
                await self._snoops.open_part(state, channel, self._spies(take, old), self._seconds(take))
                await self._treat_as_before(state)
            except TakeRefused as refused:
                self._log.warning("recording does not follow the transfer", recording_id=take.id, error=str(refused))
                if state.current is not old:
                    # It would record what must be left out.
                    self._snoops.remove_soon([side.name for side in state.parts.pop().sides])
            state.moves_to = None
            if state.current is not old:
                with suppress(TakeRefused):
                    await self._snoops.close_part(old)
        self._check_end(state)

    async def _treat_as_before(self, state: SnoopTake) -> None:
        """Pause or mute a new part if the part before was."""
        part = state.current
        if part is not None and state.paused_at is not None:
            await self._snoops.treat(part, ari_requests.set_pause, on=True)
        if part is not None and state.masked_at is not None:
            await self._snoops.treat(part, ari_requests.set_mute, on=True)

    def _leg_ended(self, take: SwitchTake, cause: EndCause) -> None:
        """Finish a take whose leg ended. The report of a transfer may come shortly after."""
        if take.take.options.should_follow_transfer and isinstance(take.result, Begun):
            self._spawn(self._finish_unless_moved(take, cause, take.take.call_id))
        else:
            self._finish_soon(take, cause)

    async def _finish_unless_moved(self, take: SwitchTake, cause: EndCause, channel: str) -> None:
        await asyncio.sleep(TRANSFER_GRACE)
        state = self._snoops.takes.get(take.id)
        if take.take.call_id == channel and (state is None or state.moves_to is None):
            await self._finish_quietly(take, cause)

    # Comparison

    async def _compare(self, *, is_first: bool) -> None:
        """Compare the calls and takes with those on the switch."""
        if (age := self._connection.switch_age) is not None:
            self._switch_started = self._clock.now() - age
        self._ended_meanwhile.clear()
        # A call or a take that begins while the lists are under way may not be in them.
        legs, bridged = set(self._legs), set(self._bridged)
        begun = [
            part for state in self._snoops.takes.values() if (part := state.current) is not None and part.has_begun
        ]
        channels, bridges = await self._connection.channels(), await self._connection.bridges()
        live = {channel.id: channel for channel in channels if channel.id not in self._ended_meanwhile}
        for channel_id in legs - live.keys():
            self._forget_leg(channel_id)
        for channel in live.values():
            self._see(channel)
        self._bridged -= bridged.difference(*(bridge.connected for bridge in bridges))
        self._see_bridges(bridges)
        try:
            for part in begun:
                await self._compare_part(part, live, is_first=is_first)
            for take in tuple(self._takes.values()):
                if not take.lock.locked() and take.intent is None:
                    await self._compare_take(take)
        except TakeRefused as refused:
            raise ConnectionLost(str(refused)) from refused
        self._remove_unknown(live.values())
        await self._snoops.remove_leftovers()
        self._retry_ends()

    async def _compare_part(self, part: Part, live: Mapping[str, Channel], *, is_first: bool) -> None:
        for side in part.sides:
            side.gone = side.gone or side.name not in live
            if is_first and not side.ended:
                # It may have ended while no events came.
                side.ended = side.gone or not await self._connection.is_recording(side.name)

    async def _compare_take(self, take: SwitchTake) -> None:
        if isinstance(take.result, Armed):
            take.call = self._calls.get(self._legs.get(take.take.call_id, ("", "")))
            if take.call is None:
                self._finish_soon(take, EndCause.HANGUP)
            else:
                self._begin_waiting({take.take.call_id})
        elif take.result is not None:
            state = await self._state_of(take)
            if state is None:
                self._finish_soon(take, EndCause.HANGUP)
            else:
                self._check_end(state)

    async def _state_of(self, take: SwitchTake) -> SnoopTake | None:
        """Return the state of a take that began; `None` if the switch has nothing of it."""
        state = self._snoops.takes.get(take.id) or await self._snoops.find(take.id)
        if state is not None and state.current is not None and state.current.channel:
            take.take = replace(take.take, call_id=state.current.channel)
            take.call = self._calls.get(self._legs.get(take.take.call_id, ("", "")))
        return state

    def _remove_unknown(self, channels: Iterable[Channel]) -> None:
        """Remove the snoop channels of this server whose take has ended, or never began."""
        for channel in channels:
            side = read_side_name(channel.id)
            is_own = channel.dialplan.app_data.partition(",")[0] == self._application
            if side is not None and is_own and side[0] not in self._takes:
                self._snoops.remove_soon([channel.id])

    # Takes

    def _must_wait(self, take: SwitchTake) -> bool:
        """Return true if a take waits for the answer or for the bridge."""
        options, channel = take.take.options, take.take.call_id
        if options.record_on_answer:
            return channel not in self._answered
        return options.record_on_bridge and channel not in self._bridged

    async def _start_on_switch(self, take: SwitchTake) -> Armed | Begun:
        if self._must_wait(take):
            return Armed(at=self._clock.now())
        state = self._snoops.takes[take.id] = SnoopTake(take.id)
        try:
            await self._snoops.open_part(state, take.take.call_id, self._spies(take, None), self._seconds(take))
        except BaseException:
            self._snoops.takes.pop(take.id, None)
            raise
        return Begun(at=self._clock.now())

    def _spies(self, take: SwitchTake, before: Part | None) -> Mapping[str, str]:
        """Return what to listen to. After a transfer, the other party is on the channel."""
        caller_is_in = take.call is None or take.call.direction is not Direction.OUTBOUND
        if before is not None and (left := next((side.spy for side in before.sides if side.track == LEFT), "")):
            caller_is_in = left == "out"
        return spies_of(caller_is_in=caller_is_in, mixed=self.url.options.get("tracks") == "1")

    def _seconds(self, take: SwitchTake) -> int:
        """Return the limit for Asterisk, in case this service is dead then. Its clock counts whole seconds."""
        return take.take.options.time_limit + 1

    async def _stop_on_switch(self, take: SwitchTake) -> None:
        state = await self._state_of(take) if isinstance(take.result, Begun) else None
        for part in state.parts if state is not None else ():
            await self._snoops.close_part(part)

    async def _collect(self, take: SwitchTake) -> AsyncIterator[bytes] | None:
        state = await self._state_of(take)
        found = [] if state is None else await self._snoops.files_of(state)
        if state is None or not found:
            await self._discard(take)
            return None
        return self._audio.read(found, state.format)

    async def _discard(self, take: SwitchTake) -> None:
        state = self._snoops.takes.pop(take.id, None)
        if state is not None:
            await self._snoops.delete_files(state)

    async def pause(self, recording_id: str) -> Millis:
        """Leave out the audio from now on. Return the offset in the take. Raises `TakeRefused`."""
        take, state, part = await self._recorded(recording_id)
        async with take.lock:
            if state.paused_at is None:
                await self._snoops.treat(part, ari_requests.set_pause, on=True)
                state.paused_at = self._clock.now()
            return self._offset(take, state, state.paused_at)

    async def resume(self, recording_id: str) -> Millis | None:
        """End a pause. Return its length, if it is known. Raises `TakeRefused`."""
        take, state, part = await self._recorded(recording_id)
        async with take.lock:
            await self._snoops.treat(part, ari_requests.set_pause, on=False)
            length = None if state.paused_at is None else max(0, self._clock.now() - state.paused_at)
            state.paused_at, state.left_out = None, state.left_out + (length or 0)
            return length

    async def mask(self, recording_id: str) -> Millis:
        """Record silence from now on. Return the offset in the take. Raises `TakeRefused`."""
        take, state, part = await self._recorded(recording_id)
        async with take.lock:
            if state.masked_at is None:
                await self._snoops.treat(part, ari_requests.set_mute, on=True)
                state.masked_at = self._clock.now()
            return self._offset(take, state, state.masked_at)

    async def unmask(self, recording_id: str) -> Millis | None:
        """Record the audio again. Return the length of the mask, if it is known. Raises `TakeRefused`."""
        take, state, part = await self._recorded(recording_id)
        async with take.lock:
            await self._snoops.treat(part, ari_requests.set_mute, on=False)
            length = None if state.masked_at is None else max(0, self._clock.now() - state.masked_at)
            state.masked_at = None
            return length

    async def _recorded(self, recording_id: str) -> tuple[SwitchTake, SnoopTake, Part]:
        """Return an open take with the part that is recorded now."""
        take = self._open_take(recording_id)
        state = await self._state_of(take)
        if state is None or state.current is None:
            raise TakeRefused(f"the switch {self.name} has nothing of the take {recording_id}")
        return take, state, state.current

    def _offset(self, take: SwitchTake, state: SnoopTake, at: Millis) -> Millis:
        begun = take.result.at if take.result is not None else at
        return max(0, at - begun - state.left_out)
