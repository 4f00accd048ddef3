"""A recorder without a telephone system: a test adds the calls and decides what happens to the takes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from recordings.model.call import Call, position_of_call
from recordings.model.events import Armed, Begun
from recordings.model.instants import Millis
from recordings.model.item_list import take_page
from recordings.model.query import PageRequest
from recordings.ports.clock import Clock
from recordings.ports.recorder import CallEvent, Capability, Take, TakeEvent, TakeRefused


class FakeRecorder:
    """A `Recorder` that appends each action to `commands`, and rejects all actions while `refusal` is set."""

    name = "scripted"

    def __init__(self, clock: Clock) -> None:
        self.capabilities = frozenset(Capability)
        self.commands: list[tuple[str, str]] = []
        self.refusal = ""
        self.clock_refusal = ""
        self.gone: set[str] = set()
        self.reported: asyncio.Queue[TakeEvent | CallEvent] = asyncio.Queue()
        self._clock = clock
        self._calls: dict[tuple[str, str], Call] = {}
        self._open: set[str] = set()

    def ring(self, account_id: str, call_id: str, owner_id: str | None = None, **given: Any) -> Call:
        """Add a live call, with these fields."""
        defaults = {"caller_id_number": "1001", "callee_id_number": "+14155550123", "recorder": self.name}
        call = Call(
            account_id=account_id, call_id=call_id, owner_id=owner_id, started=self._clock.now(), **defaults | given
        )
        self._calls[account_id, call_id] = call
        return call

    def hang_up(self, account_id: str, call_id: str) -> None:
        """Remove a live call."""
        del self._calls[account_id, call_id]

    def live_calls(self) -> Sequence[Call]:
        """Return the live calls of all accounts."""
        return list(self._calls.values())

    def capabilities_of(self, recorder: str) -> frozenset[Capability]:
        """Return `capabilities` for its own calls."""
        return self.capabilities if recorder == self.name else frozenset()

    async def find_call(self, account_id: str, call_id: str) -> Call | None:
        """Return a live call."""
        return self._calls.get((account_id, call_id))

    async def calls(self, account_id: str, request: PageRequest, owner_id: str | None = None) -> Sequence[Call]:
        """Return a page of the live calls of an account, newest first."""
        return take_page(self._calls_of(account_id, owner_id), request, position_of_call, descending=True)

    async def count_calls(self, account_id: str, owner_id: str | None = None) -> int:
        """Return the number of live calls of an account."""
        return len(self._calls_of(account_id, owner_id))

    def _calls_of(self, account_id: str, owner_id: str | None) -> list[Call]:
        found = [call for (account, _), call in self._calls.items() if account == account_id]
        return [call for call in found if owner_id in {None, call.owner_id}]

    async def check_server(self, node: str | None) -> None:
        """Raise `TakeRefused` while `clock_refusal` is set."""
        if self.clock_refusal:
            raise TakeRefused(self.clock_refusal)

    async def yield_call(self, account_id: str, call_id: str) -> bool:
        """Return false if the call is live: it always sends audio."""
        return (account_id, call_id) not in self._calls

    async def is_gone(self, node: str) -> bool:
        """Return whether a server is in `gone`."""
        return node in self.gone

    async def start(self, take: Take) -> Armed | Begun:
        """Begin the take, or arm it if its options require that."""
        self._ask("start", take.recording_id)
        self._open.add(take.recording_id)
        waits = take.options.record_on_answer or take.options.record_on_bridge
        return (Armed if waits else Begun)(at=self._clock.now())

    async def stop(self, recording_id: str) -> None:
        """Close the take."""
        self._ask("stop", recording_id)
        self._open.discard(recording_id)

    async def pause(self, recording_id: str) -> Millis:
        """Return a position of one second in the audio."""
        return self._ask("pause", recording_id)

    async def resume(self, recording_id: str) -> Millis | None:
        """Continue the take. The length of the pause is unknown."""
        self._ask("resume", recording_id)
        return None

    async def mask(self, recording_id: str) -> Millis:
        """Return a position of one second in the audio."""
        return self._ask("mask", recording_id)

    async def unmask(self, recording_id: str) -> Millis | None:
        """Continue the take. The length of the mask is unknown."""
        self._ask("unmask", recording_id)
        return None

    async def is_open(self, recording_id: str) -> bool:
        """Return whether the take was started and not stopped."""
        return recording_id in self._open

    async def events(self) -> AsyncIterator[TakeEvent | CallEvent]:
        """Yield the events that a test puts into `reported`."""
        while True:
            yield await self.reported.get()

    def _ask(self, action: str, recording_id: str) -> Millis:
        if self.refusal:
            raise TakeRefused(self.refusal)
        self.commands.append((action, recording_id))
        return 1_000
