"""Share a limited number of slots fairly between owners."""

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

HALF_LIFE: Final = 60.0
"""After this many seconds, the time for which an owner used slots counts half."""
_FORGOTTEN: Final = 0.01
"""An owner without a slot that used less than this many seconds lately is forgotten."""

_Line = OrderedDict[str, deque[asyncio.Future[None]]]
"""The waiting requests of one kind, by owner. The owner that waits longest comes first."""


@dataclass(slots=True)
class _Use:
    """One owner's use of slots: `seconds` of finished requests as of the time `at`, and the numbers of running ones."""

    at: float
    seconds: float = 0.0
    running: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})

    def seconds_at(self, now: float) -> float:
        return self.seconds * math.pow(0.5, (now - self.at) / HALF_LIFE)

    def rank(self, now: float) -> float:
        """Return the number by which owners are ordered. A running request counts like a second."""
        return self.seconds_at(now) + sum(self.running.values())


class FairQueue:
    """A queue with `at_once` slots. It belongs to one event loop.

    A free slot goes to the owner that used the slots for the shortest time lately. Owners with the same use take turns,
    and the requests of one owner keep their order.

    Long work never uses the last slot, and one owner never uses the last slot: it uses at most two less than all for
    long work. A queue that is too small for these rules gives at least one slot to each kind and owner.
    """

    def __init__(
        self, at_once: int, clock: Callable[[], float] = time.monotonic, *, most_of_owner: int | None = None
    ) -> None:
        self._at_once = at_once
        self._most_of_owner = max(1, at_once - 1) if most_of_owner is None else most_of_owner
        self._clock = clock
        self._uses: dict[str, _Use] = {}
        self._running = {False: 0, True: 0}
        self._lines: Final[dict[bool, _Line]] = {False: OrderedDict(), True: OrderedDict()}

    @asynccontextmanager
    async def slot(self, owner: str, *, is_long: bool = False) -> AsyncIterator[None]:
        """Wait for a slot and hold it until the block ends."""
        await self._wait(owner, is_long)
        started = self._clock()
        try:
            yield
        finally:
            self._release(owner, is_long, started)

    async def _wait(self, owner: str, is_long: bool) -> None:  # noqa: FBT001 - private
        line = self._lines[is_long]
        if owner not in line and self._can_start(owner, is_long):
            self._start(owner, is_long)
            return
        granted = asyncio.get_running_loop().create_future()
        line.setdefault(owner, deque()).append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                # The slot was granted at the moment of the cancellation: the next request gets it.
                self._release(owner, is_long, self._clock())
            raise

    def _can_start(self, owner: str, is_long: bool) -> bool:  # noqa: FBT001 - private
        own = self._uses[owner].running if owner in self._uses else {False: 0, True: 0}
        if sum(self._running.values()) >= self._at_once or sum(own.values()) >= self._most_of_owner:
            return False
        return not is_long or (
            self._running[True] < max(1, self._at_once - 1) and own[True] < max(1, self._at_once - 2)
        )

    def _start(self, owner: str, is_long: bool) -> None:  # noqa: FBT001 - private
        self._uses.setdefault(owner, _Use(self._clock())).running[is_long] += 1
        self._running[is_long] += 1

    def _release(self, owner: str, is_long: bool, started: float) -> None:  # noqa: FBT001 - private
        now, use = self._clock(), self._uses[owner]
        use.seconds, use.at = use.seconds_at(now) + now - started, now
        use.running[is_long] -= 1
        self._running[is_long] -= 1
        # Short work first. An owner that may not start leaves the slot to the next one.
        while any(self._start_next(kind, now) for kind in (False, True)):
            pass
        idle = [name for name, use in self._uses.items() if use.rank(now) < _FORGOTTEN]
        for name in idle:
            del self._uses[name]

    def _start_next(self, is_long: bool, now: float) -> bool:  # noqa: FBT001 - private
        """Grant a slot to the owner with the least use that may start. Return false if there is none."""
        line = self._lines[is_long]
        able = [owner for owner in line if self._can_start(owner, is_long)]
        if not able:
            return False
        owner = min(able, key=lambda each: self._uses[each].rank(now) if each in self._uses else 0.0)
        requests = line.pop(owner)
        granted = requests.popleft()
        if requests:
            # This owner goes to the end of the line.
            line[owner] = requests
        if not granted.done():
            self._start(owner, is_long)
            granted.set_result(None)
        return True
