"""The live calls of a switch, and the events about them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Final

from adapters.recorders.event_queue import EventQueue
from adapters.recorders.switch_url import SwitchUrl
from recordings.model.call import Call, position_of_call
from recordings.model.item_list import take_page
from recordings.model.query import PageRequest
from recordings.ports.recorder import CallChange, CallEvent, Capability, TakeEvent

MAX_CALLS: Final = 20_000
"""Maximum number of live calls of a switch. Further calls are not shown."""

Key = tuple[str, str]
"""The account and the id of a call."""


class SwitchCalls:
    """The calls of a switch.

    If the store is unavailable, changes of calls wait in a queue of limited length. Calls that arrive while the queue
    is full are reported later, if they are still live then. So are calls that are found before the switch is ready: a
    policy could not record them yet.
    """

    _capabilities: frozenset[Capability]

    def __init__(self, url: SwitchUrl) -> None:
        self.url = url
        self._calls: dict[Key, Call] = {}
        self._events = EventQueue()
        self._unreported: dict[Key, bool] = {}
        """Calls that are not reported yet, and whether they were answered."""
        self._is_reporting = False
        self._reporting: asyncio.Task[None] | None = None
        self._calls_changed: Callable[[], None] = lambda: None

    @property
    def name(self) -> str:
        """The name in the settings."""
        return self.url.name

    def capabilities_of(self, recorder: str) -> frozenset[Capability]:
        """Return what this switch supports."""
        return self._capabilities if recorder == self.name else frozenset()

    def live_calls(self) -> Sequence[Call]:
        """Return the live calls of all accounts."""
        return list(self._calls.values())

    def on_calls_changed(self, callback: Callable[[], None]) -> None:
        """Call `callback` after each start and each end of a live call."""
        self._calls_changed = callback

    async def find_call(self, account_id: str, call_id: str) -> Call | None:
        """Return the live call with this id in an account."""
        return self._calls.get((account_id, call_id))

    async def calls(self, account_id: str, request: PageRequest, owner_id: str | None = None) -> Sequence[Call]:
        """Return a page of the live calls of an account, newest first."""
        return take_page(self._calls_of(account_id, owner_id), request, position_of_call, descending=True)

    async def count_calls(self, account_id: str, owner_id: str | None = None) -> int:
        """Return the number of live calls of an account."""
        return len(self._calls_of(account_id, owner_id))

    def _calls_of(self, account_id: str, owner_id: str | None) -> list[Call]:
        calls = (call for call in self._calls.values() if call.account_id == account_id)
        return [call for call in calls if owner_id in {None, call.owner_id}]

    async def check_server(self, node: str | None) -> None:
        """Do nothing: this recorder has only calls of this server."""

    async def is_gone(self, node: str) -> bool:  # noqa: ARG002 - a method of the port
        """Return true: this recorder knows no other servers."""
        return True

    async def yield_call(self, account_id: str, call_id: str) -> bool:
        """Return false if the switch has the call: it does not move."""
        return (account_id, call_id) not in self._calls

    def events(self) -> AsyncIterator[TakeEvent | CallEvent]:
        """Yield the events of takes and calls until the recorder is closed."""
        return self._events.read()

    async def close(self) -> None:
        """End the events. The takes continue on the switch."""
        if self._reporting is not None:
            self._reporting.cancel()
        self._events.close()

    # For adapters

    def _add_call(self, call: Call) -> None:
        """Add a call of the switch. Does nothing if it is known, or if there are too many."""
        key = (call.account_id, call.call_id)
        if key in self._calls or len(self._calls) >= MAX_CALLS:
            return
        self._calls[key] = replace(call, recorder=self.name)
        self._calls_changed()
        if self._is_reporting and self._events.has_space:
            self._events.add(CallEvent(self._calls[key], CallChange.ARRIVED))
        else:
            self._unreported[key] = False
            if self._is_reporting:
                self._report_later()

    def _answer_call(self, call: Call) -> None:
        """Report that a known call was answered. More may be known about it than before."""
        key = (call.account_id, call.call_id)
        if (known := self._calls.get(key)) is not None:
            self._calls[key] = replace(call, recorder=self.name, started=known.started)
        if key in self._unreported:
            self._unreported[key] = True
        elif known is not None:
            self._events.add(CallEvent(self._calls[key], CallChange.ANSWERED))

    def _remove_call(self, account_id: str, call_id: str) -> Call | None:
        """Remove a call that ended, and return it."""
        key = (account_id, call_id)
        call = self._calls.pop(key, None)
        if call is not None:
            self._calls_changed()
            if self._unreported.pop(key, None) is None:
                self._events.add(CallEvent(call, CallChange.ENDED))
        return call

    def _forget_calls(self) -> None:
        self._unreported.clear()
        self._calls.clear()
        self._calls_changed()

    def _report_later(self) -> None:
        if self._reporting is None or self._reporting.done():
            self._reporting = asyncio.get_running_loop().create_task(self._report(), name=f"calls of {self.name}")

    async def _report(self) -> None:
        while self._unreported:
            await self._events.wait_for_space()
            if not self._is_reporting or not self._unreported:
                return
            key, is_answered = next(iter(self._unreported.items()))
            del self._unreported[key]
            self._events.add(CallEvent(self._calls[key], CallChange.ARRIVED))
            if is_answered:
                self._events.add(CallEvent(self._calls[key], CallChange.ANSWERED))
