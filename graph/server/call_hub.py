"""The changes of live calls, for all readers of one process.

Each account with readers is watched once. The calls of this server are compared when its recorders report a change; the
calls of other servers when the metadata store reports one, and every few seconds.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Final

from adapters.cancellation import cancel_and_wait
from graph.server.error_log import ErrorLog
from graph.server.log_setup import logger
from recordings.model.call import Call, position_of_call
from recordings.model.query import PageRequest
from recordings.ports.call_updates import MAX_QUEUED_CALLS, CallPlace, CallUpdate, CallUpdateKind
from recordings.ports.peers import PeerStore
from recordings.ports.recording_store import StoreUnavailableError
from recordings.use_cases.account_lists import with_node

LINGER_SECONDS: Final = 60.0
"""How long an account without readers is still watched, so that a reader that comes back misses nothing."""
LOOK_SECONDS: Final = 1.0
"""How often the calls of this server are compared without a report: a call may get other parties."""
REFRESH_SECONDS: Final = 5.0
"""How often the calls of other servers are read without a report: a server may have died."""
HISTORY: Final = 1_000
"""How many changes of an account are remembered."""
MAX_CALLS: Final = 10_000
"""How many calls of other servers are followed in one account."""
_PAGE: Final = 1_000
_PAUSE_SECONDS: Final = 0.02
_RETRY_SECONDS: Final = 0.5
_log: Final = logger("calls")


@dataclass(eq=False)
class _Account:
    """The watch of one account. `others` are the calls on other servers; `None` until they were read."""

    id: str
    watch: str = field(default_factory=lambda: token_hex(8))
    calls: Mapping[str, Call] = field(default_factory=dict)
    others: Mapping[str, Call] | None = None
    queues: "set[LiveCallQueue]" = field(default_factory=set)
    history: deque[CallUpdate] = field(default_factory=lambda: deque(maxlen=HISTORY))
    number: int = 0
    last_used: float = field(default_factory=time.monotonic)

    def snapshot(self, owner_id: str | None) -> list[CallUpdate]:
        """Return the calls in progress, oldest first. Only the last one has a place to continue at."""
        calls = sorted(
            (call for call in self.calls.values() if owner_id in {None, call.owner_id}),
            key=lambda call: (position_of_call(call).key, call.call_id),
        )
        inside, end = CallPlace(self.watch, -1), CallPlace(self.watch, self.number)
        last = len(calls) - 1
        return [
            CallUpdate(CallUpdateKind.CURRENT, call, end if place == last else inside)
            for place, call in enumerate(calls)
        ]

    def after(self, place: CallPlace) -> list[CallUpdate] | None:
        """Return the changes after a place; `None` if they are not known."""
        first = self.number - len(self.history)
        if place.watch != self.watch or not first <= place.number <= self.number:
            return None
        return [update for update in self.history if update.place.number > place.number]

    def set(self, calls: Mapping[str, Call]) -> None:
        """Replace the calls, and queue the changes."""
        before, self.calls = self.calls, calls
        if before == calls:
            return
        for call_id, call in before.items():
            if call_id not in calls:
                self._put(CallUpdateKind.ENDED, call)
        for call_id, call in calls.items():
            known = before.get(call_id)
            if known is None:
                self._put(CallUpdateKind.STARTED, call)
            elif known != call:
                self._put(CallUpdateKind.CHANGED, call)

    def _put(self, kind: CallUpdateKind, call: Call) -> None:
        self.number += 1
        update = CallUpdate(kind, call, CallPlace(self.watch, self.number))
        self.history.append(update)
        for queue in self.queues:
            queue.put(update)


class CallHub:
    """A `LiveCalls`. `own` returns the calls of this server. Call `stop` at the end."""

    def __init__(self, own: Callable[[], Sequence[Call]], node: str, peers: PeerStore | None) -> None:
        self._own = own
        self._node = node
        self._peers = peers
        self._accounts: dict[str, _Account] = {}
        self._opening: dict[str, asyncio.Task[_Account]] = {}
        self._changed = asyncio.Event()
        self._dirty: set[str] = set()
        self._is_dirty = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._errors = ErrorLog(_log)
        self._is_stopped = False

    @property
    def readers(self) -> int:
        """How many queues are open. The thread of the metrics asks, too, so this iterates over a copy."""
        return sum(len(account.queues) for account in list(self._accounts.values()))

    def note_change(self) -> None:
        """Compare the calls of this server soon."""
        self._changed.set()

    async def open(
        self, account_id: str, owner_id: str | None, since: CallPlace | None, max_queued: int = MAX_QUEUED_CALLS
    ) -> "LiveCallQueue":
        """Return a queue. Raises as `LiveCalls.open`."""
        if self._is_stopped:
            raise StoreUnavailableError("the server stops")
        account = self._accounts.get(account_id) or await self._opened(account_id)
        self._compare(account)
        found = None if since is None or since.number < 0 else account.after(since)
        queue = LiveCallQueue(account, owner_id, max_queued)
        if found is not None:
            for update in found:
                queue.put(update)
        else:
            queue.begin(is_lost=since is not None)
        account.queues.add(queue)
        return queue

    async def stop(self) -> None:
        """End the watch. Waiting readers fail with `StoreUnavailableError`."""
        self._is_stopped = True
        await cancel_and_wait(*self._tasks, *self._opening.values())
        for queue in [queue for account in self._accounts.values() for queue in account.queues]:
            queue.end()

    async def _opened(self, account_id: str) -> _Account:
        opening = self._opening.get(account_id)
        if opening is None:
            opening = self._opening[account_id] = asyncio.create_task(self._load(account_id), name="calls")
            opening.add_done_callback(lambda _task: self._opening.pop(account_id, None))
        if not self._tasks:
            self._tasks.append(asyncio.create_task(self._follow_own(), name="own calls"))
            if self._peers is not None:
                self._tasks.append(asyncio.create_task(self._watch_others(self._peers), name="call watch"))
                self._tasks.append(asyncio.create_task(self._follow_others(), name="other calls"))
        # Others wait for the same task, so it goes on if this reader leaves.
        return await asyncio.shield(opening)

    async def _load(self, account_id: str) -> _Account:
        account = _Account(account_id)
        account.others = await self._read_others(account_id)
        account.calls = self._merged(account)
        self._accounts[account_id] = account
        return account

    async def _read_others(self, account_id: str) -> dict[str, Call]:
        found: list[Call] = []
        if self._peers is None:
            return {}
        while len(found) < MAX_CALLS:
            request = PageRequest(limit=_PAGE, after=position_of_call(found[-1]) if found else None)
            page = await self._peers.held_calls(account_id, request, other_than=self._node)
            found += page
            if len(page) < _PAGE:
                break
        return {call.call_id: call for call in found}

    def _merged(self, account: _Account) -> dict[str, Call]:
        own = [call for call in self._own() if call.account_id == account.id]
        # The published calls of this server may be out of date, so its own ones count.
        return {**(account.others or {}), **{call.call_id: call for call in with_node(own, self._node)}}

    def _compare(self, account: _Account) -> None:
        account.set(self._merged(account))

    async def _follow_own(self) -> None:
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                self._drop_unused()
            self._changed.clear()
            for account in self._accounts.values():
                self._compare(account)
            await asyncio.sleep(_PAUSE_SECONDS)

    def _drop_unused(self) -> None:
        now = time.monotonic()
        for account in list(self._accounts.values()):
            if account.queues:
                account.last_used = now
            elif now - account.last_used > LINGER_SECONDS:
                del self._accounts[account.id]

    async def _watch_others(self, peers: PeerStore) -> None:
        while True:
            try:
                async with aclosing(peers.watch_calls()) as watch:
                    refreshed = 0.0
                    async for changed in watch:
                        self._note_others(changed)
                        if time.monotonic() - refreshed > REFRESH_SECONDS:
                            refreshed = time.monotonic()
                            self._note_others(self._accounts)
            except Exception as error:  # noqa: BLE001 - no error may end the loop
                self._errors.write("call watch failed", error)
            await asyncio.sleep(_RETRY_SECONDS)

    def _note_others(self, account_ids: Iterable[str]) -> None:
        if found := self._accounts.keys() & set(account_ids):
            self._dirty |= found
            self._is_dirty.set()

    async def _follow_others(self) -> None:
        while True:
            await self._is_dirty.wait()
            self._is_dirty.clear()
            dirty, self._dirty = self._dirty, set()
            began = time.monotonic()
            try:
                for account_id in dirty:
                    others = await self._read_others(account_id)
                    if (account := self._accounts.get(account_id)) is not None:
                        account.others = others
                        self._compare(account)
            except Exception as error:  # noqa: BLE001 - as above; the next refresh reads them
                self._errors.write("calls of other servers not read", error)
            # At most a third of the time is spent here, however often calls start and end.
            await asyncio.sleep(max(_PAUSE_SECONDS, 2 * (time.monotonic() - began)))


class LiveCallQueue:
    """A `CallQueue` of a hub."""

    def __init__(self, account: _Account, owner_id: str | None, max_queued: int) -> None:
        self._account = account
        self._owner_id = owner_id
        self._max_queued = max_queued
        self._updates: deque[CallUpdate] = deque()
        self._waiting = asyncio.Event()
        self._is_full = self._is_ended = False

    def begin(self, *, is_lost: bool) -> None:
        """Queue the calls in progress."""
        if is_lost:
            lost = CallUpdate(CallUpdateKind.EVENTS_LOST, None, CallPlace(self._account.watch, -1))
            self._updates.append(lost)
        self._updates += self._account.snapshot(self._owner_id)

    def put(self, update: CallUpdate) -> None:
        """Add a change, unless the queue is full."""
        if update.call is None or self._owner_id not in {None, update.call.owner_id}:
            return
        if len(self._updates) >= self._max_queued:
            self._is_full = True
        if not self._is_full:
            self._updates.append(update)
        self._waiting.set()

    def end(self) -> None:
        """Make the reader fail: the server stops."""
        self._is_ended = True
        self._waiting.set()

    async def next(self) -> CallUpdate:
        """Return the next update."""
        while not self._updates:
            if self._is_ended:
                raise StoreUnavailableError("the server stops")
            if self._is_full:
                self._is_full = False
                self.begin(is_lost=True)
                continue
            self._waiting.clear()
            await self._waiting.wait()
        return self._updates.popleft()

    def close(self) -> None:
        """Stop to queue updates."""
        self._account.queues.discard(self)
        self._account.last_used = time.monotonic()
