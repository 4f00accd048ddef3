"""The registry of this server's recorders: it finds the recorder of each call and of each take."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from recordings.model.call import EMBEDDED, Call, position_of_call
from recordings.model.events import Armed, Begun
from recordings.model.instants import Millis
from recordings.model.item_list import take_page
from recordings.model.query import PageRequest
from recordings.ports.recorder import (
    CallEvent,
    Capability,
    LocalRecorder,
    SwitchRecorder,
    SwitchState,
    Take,
    TakeEvent,
    TakeRefused,
)


class RecorderRegistry:
    """A `Recorder` for the calls of all recorders of this server.

    If two recorders have the same call, such as a switch that also sends the audio here, the call is the embedded
    recorder's, or that of the first switch.
    """

    def __init__(self, embedded: LocalRecorder, switches: Sequence[SwitchRecorder] = ()) -> None:
        self._recorders: Mapping[str, LocalRecorder] = {EMBEDDED: embedded, **{each.name: each for each in switches}}
        self._embedded = embedded
        self.switches = tuple(switches)

    def states(self) -> Mapping[str, SwitchState]:
        """Return the state of each switch, by name."""
        return {switch.name: switch.state for switch in self.switches}

    def capabilities_of(self, recorder: str) -> frozenset[Capability]:
        """Return the capabilities of the recorder with this name."""
        found = self._recorders.get(recorder)
        return frozenset() if found is None else found.capabilities_of(recorder)

    # Calls

    def live_calls(self) -> Sequence[Call]:
        """Return the live calls of all recorders. Each call is there once."""
        if not self.switches:
            return self._embedded.live_calls()
        calls: dict[tuple[str, str], Call] = {}
        for recorder in self._recorders.values():
            for call in recorder.live_calls():
                calls.setdefault((call.account_id, call.call_id), call)
        return list(calls.values())

    def on_calls_changed(self, callback: Callable[[], None]) -> None:
        """Call `callback` after each start and each end of a live call."""
        for recorder in self._recorders.values():
            recorder.on_calls_changed(callback)

    async def find_call(self, account_id: str, call_id: str) -> Call | None:
        """Return the live call with this id in an account."""
        for recorder in self._recorders.values():
            if (call := await recorder.find_call(account_id, call_id)) is not None:
                return call
        return None

    async def calls(self, account_id: str, request: PageRequest, owner_id: str | None = None) -> Sequence[Call]:
        """Return a page of the live calls of an account, newest first."""
        if not self.switches:
            return await self._embedded.calls(account_id, request, owner_id)
        return take_page(self._calls_of(account_id, owner_id), request, position_of_call, descending=True)

    async def count_calls(self, account_id: str, owner_id: str | None = None) -> int:
        """Return the number of live calls of an account."""
        return len(self._calls_of(account_id, owner_id))

    def _calls_of(self, account_id: str, owner_id: str | None) -> list[Call]:
        calls = (call for call in self.live_calls() if call.account_id == account_id)
        return [call for call in calls if owner_id in {None, call.owner_id}]

    # Servers: only the recorder of all servers knows others.

    async def check_server(self, node: str | None) -> None:
        """Do nothing: the registry has only calls of this server."""

    async def is_gone(self, node: str) -> bool:  # noqa: ARG002 - a method of the port
        """Return true: the registry knows no other servers."""
        return True

    async def yield_call(self, account_id: str, call_id: str) -> bool:
        """End a call of this server that came back on another server. Return false if it is live here."""
        return all([await each.yield_call(account_id, call_id) for each in self._recorders.values()])

    # Takes

    async def start(self, take: Take) -> Armed | Begun:
        """Begin or arm a take on a live call, with the call's recorder. Raises `TakeRefused`."""
        recorder = self._recorders.get(take.recorder)
        if recorder is None:
            raise TakeRefused(f"this server has no switch {take.recorder!r} in its settings (--switch)")
        return await recorder.start(take)

    async def stop(self, recording_id: str) -> None:
        """End a take. Does nothing if no recorder has it."""
        await (await self._holder(recording_id)).stop(recording_id)

    async def pause(self, recording_id: str) -> Millis:
        """Leave out the audio from now on. Return the offset in the take. Raises `TakeRefused`."""
        return await (await self._holder(recording_id)).pause(recording_id)

    async def resume(self, recording_id: str) -> Millis | None:
        """End a pause and return its length, if it is known. Raises `TakeRefused`."""
        return await (await self._holder(recording_id)).resume(recording_id)

    async def mask(self, recording_id: str) -> Millis:
        """Record silence from now on. Return the offset in the take. Raises `TakeRefused`."""
        return await (await self._holder(recording_id)).mask(recording_id)

    async def unmask(self, recording_id: str) -> Millis | None:
        """End a mask and return its length, if it is known. Raises `TakeRefused`."""
        return await (await self._holder(recording_id)).unmask(recording_id)

    async def is_open(self, recording_id: str) -> bool:
        """Return true if a recorder has this take."""
        return any([await recorder.is_open(recording_id) for recorder in self._recorders.values()])

    async def _holder(self, recording_id: str) -> LocalRecorder:
        """Return the recorder that has a take, or else the embedded one, which answers as without a take."""
        for switch in self.switches:
            if await switch.is_open(recording_id):
                return switch
        return self._embedded

    # Events

    def events(self) -> AsyncIterator[TakeEvent | CallEvent]:
        """Yield the events of all recorders until they are closed. Events of one recorder keep their order."""
        return self._merged_events() if self.switches else self._embedded.events()

    async def _merged_events(self) -> AsyncIterator[TakeEvent | CallEvent]:
        # One event of each recorder is read in advance: the recorders bound their own queues.
        sources = [recorder.events() for recorder in self._recorders.values()]
        reading = {asyncio.ensure_future(anext(source, None)): source for source in sources}
        try:
            while reading:
                done, _ = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    source = reading.pop(task)
                    if (event := task.result()) is not None:
                        reading[asyncio.ensure_future(anext(source, None))] = source
                        yield event
        finally:
            for task in reading:
                task.cancel()

    async def close(self) -> None:
        """Close all recorders, and so end the events."""
        await asyncio.gather(*(recorder.close() for recorder in self._recorders.values()))
