"""Claims and runs due steps. Each kind of work has its own share of the server, and the accounts take turns."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Final

from adapters.cancellation import cancel_and_wait
from graph.server.error_log import ErrorLog
from graph.server.log_setup import logger
from recordings.model.instants import SECOND
from recordings.model.recording import Recording
from recordings.model.work import Work
from recordings.use_cases.upkeep import Upkeep
from recordings.use_cases.work_claims import Turn

_POLL_SECONDS: Final = 1.0
_LONGEST_WAIT: Final = 30.0
_MAX_CLAIMED: Final = 64
"""The next claim follows at once, so that one claim does not block other writers for long."""
_log: Final = logger("background")


class WakeSignal:
    """A `WakeUp` that wakes a waiting loop. Several calls before the loop wakes count as one."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def __call__(self) -> None:
        """Wake the loop."""
        self._event.set()

    async def wait(self, seconds: float) -> None:
        """Wait for a call, or until the timeout in seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        self._event.clear()


@dataclass(frozen=True, slots=True)
class Share:
    """How many steps of a kind run at once, and how many of them for one account. No client waits for old work."""

    slots: int
    most_of_account: int = 1 << 30
    is_old: bool = False


SHARES: Final[Mapping[Work | None, Share]] = {
    # Most of these steps wait for a process that decodes. Long files must keep no short file from that queue.
    Work.FINALIZE: Share(2_048, 64),
    # A delivery may wait minutes for a customer's server.
    Work.DELIVER: Share(16, 12),
    Work.CHECK: Share(4),
    # A purge may wait for a media store.
    Work.PURGE: Share(24, 18, is_old=True),
    Work.EXPIRE: Share(4, 3, is_old=True),
    # The work of servers that have not come back.
    None: Share(4, is_old=True),
}
"""The kinds of work, the most urgent first."""


@dataclass(slots=True)
class _Lane:
    """The running steps of one kind, with their accounts. Old work of which nothing is due rests until `next_claim`.

    `reserved` has the number of reserved slots of each account. `has_more` is true if more may be due than was claimed.
    """

    work: Work | None
    share: Share
    turn: Turn = field(default_factory=Turn)
    running: dict[asyncio.Task[Recording], str] = field(default_factory=dict)
    reserved: Counter[str] = field(default_factory=Counter)
    next_claim: float = 0.0
    has_more: bool = False

    @property
    def free(self) -> int:
        return self.share.slots - len(self.running) - self.reserved.total()

    @property
    def by_account(self) -> Counter[str]:
        """The number of slots that each account uses."""
        return Counter(self.running.values()) + self.reserved

    def free_reserved(self, account_id: str) -> None:
        self.reserved -= Counter([account_id])

    @property
    def can_claim(self) -> bool:
        """Whether to claim now. The end of a step of old work is no reason for a claim, but that of several is."""
        return self.free > 0 if not self.share.is_old else self.free * 4 >= self.share.slots


class EarlySteps:
    """The `StepSlots` of a server: slots of its `StepRunner`, as long as that runs."""

    def __init__(self) -> None:
        self.runner: StepRunner | None = None

    def reserve(self, account_id: str) -> "_Slot | None":
        """Reserve a slot. Return `None` if the account must wait for its turn."""
        return None if self.runner is None else self.runner.reserve(account_id)


@dataclass(frozen=True, slots=True)
class _Slot:
    """A reserved slot. `start_step` starts a step in it, and `check_later` notes a recording whose save is unclear."""

    lane: _Lane
    account_id: str
    start_step: Callable[[_Lane, Recording], None]
    check_later: Callable[[str], None]

    def start(self, recording: Recording) -> None:
        self.free()
        self.start_step(self.lane, recording)

    def free(self) -> None:
        self.lane.free_reserved(self.account_id)

    def free_unclear(self, recording_id: str) -> None:
        self.free()
        self.check_later(recording_id)


class StepRunner:
    """Claims and runs due steps, by the shares of each kind of work."""

    def __init__(
        self,
        upkeep: Upkeep,
        wake: WakeSignal,
        shares: Mapping[Work | None, Share] = SHARES,
        early: EarlySteps | None = None,
    ) -> None:
        """While this runs, the slots of `early` are those of this runner."""
        self._upkeep = upkeep
        self._early = early or EarlySteps()
        self._wake = wake
        self._lanes = [_Lane(work, share) for work, share in shares.items()]
        self._stopping = False
        # A step that a request starts must not have the context of the request.
        self._context = copy_context()
        self._errors = ErrorLog(_log)
        self.failed_claims = 0
        """How many claims in sequence have failed."""

    @property
    def running(self) -> tuple[int, int]:
        """How many steps run: others than deliveries, and deliveries."""
        counts = {lane.work: len(lane.running) for lane in self._lanes}
        deliveries = counts.get(Work.DELIVER, 0)
        return sum(counts.values()) - deliveries, deliveries

    async def run(self) -> None:
        """Run until `stop`. While the store is unreachable, the wait between two claims grows."""
        wait = _POLL_SECONDS
        self._early.runner = self
        while not self._stopping:
            try:
                await self.claim()
            except Exception as error:  # noqa: BLE001 - no error may end the loop
                self.failed_claims += 1
                self._errors.write("claim failed", error)
                wait = min(wait * 2, _LONGEST_WAIT)
            else:
                self.failed_claims = 0
                wait = _POLL_SECONDS
            await self._wake.wait(wait)

    def stop(self) -> None:
        """Stop claiming. The loop is not cancelled: a cancelled claim would leave its recordings leased but not run."""
        self._stopping = True
        self._early.runner = None
        self._wake()

    def reserve(self, account_id: str) -> _Slot | None:
        """Reserve a slot to finalize a recording of an account; `None` if that must wait for a claim."""
        lane = next(lane for lane in self._lanes if lane.work is Work.FINALIZE)
        if lane.has_more or lane.free <= 0 or lane.by_account[account_id] >= lane.share.most_of_account:
            return None
        lane.reserved[account_id] += 1
        return _Slot(lane, account_id, self._start, self._upkeep.check_later)

    async def claim(self) -> None:
        """Start as many due steps as there are free slots. A finished step wakes the loop, which starts more steps."""
        await self._upkeep.prepare()
        for lane in self._lanes:
            # A server that stops claims no old work.
            is_resting = time.monotonic() < lane.next_claim or (self._stopping and lane.share.is_old)
            if is_resting or not lane.can_claim:
                continue
            claimed = await self._claim(lane)
            for recording in claimed:
                self._start(lane, recording)
            if len(claimed) == _MAX_CLAIMED:
                self._wake()
            if lane.share.is_old and not claimed:
                # Steps of other kinds wake the loop often.
                lane.next_claim = time.monotonic() + _POLL_SECONDS / 2

    async def _claim(self, lane: _Lane) -> Sequence[Recording]:
        limit = min(lane.free, _MAX_CLAIMED)
        if lane.work is None:
            return await self._upkeep.claims.claim_stranded(limit)
        most = lane.share.most_of_account
        claimed = await self._upkeep.claims.claim(lane.work, limit, lane.turn, lane.by_account, most)
        used = lane.by_account + Counter(recording.account_id for recording in claimed)
        lane.has_more = len(claimed) >= limit or any(count >= most for count in used.values())
        return claimed

    def _start(self, lane: _Lane, recording: Recording) -> None:
        task = asyncio.create_task(self._upkeep.step(recording), context=self._context.copy())
        lane.running[task] = recording.account_id
        task.add_done_callback(lambda done: self._done(lane, done))

    async def finish(self, seconds: float) -> None:
        """Wait up to so many seconds for running steps, then cancel the rest. The next process runs those again."""
        # A cancelled delivery is repeated with the same id.
        if running := {task for lane in self._lanes for task in lane.running}:
            await asyncio.wait(running, timeout=seconds)
        await cancel_and_wait(*running)

    def _done(self, lane: _Lane, task: asyncio.Task[Recording]) -> None:
        del lane.running[task]
        error = None if task.cancelled() else task.exception()
        # Most recordings need no other step now. Then a claim would find nothing.
        if lane.share.is_old or lane.has_more or task.cancelled() or error is not None or _is_due(task.result()):
            self._wake()
        if error is not None:
            self._errors.write("step crashed", error if isinstance(error, Exception) else RuntimeError(repr(error)))


def _is_due(recording: Recording) -> bool:
    """Return true if a recording needs another step soon after the one that was saved last."""
    return recording.due_at is not None and recording.due_at <= recording.modified + SECOND
