"""The background work of a server: it claims and runs due steps, and applies the events of recorders."""

import asyncio
from contextlib import suppress
from typing import Final

from graph.server.error_log import ErrorLog
from graph.server.log_setup import logger
from graph.server.recorder_events import RecorderEvents
from graph.server.system_clock import SystemClock
from recordings.model.instants import Millis
from recordings.model.recording import Recording
from recordings.ports.clock import Clock
from recordings.ports.recorder import LocalRecorder
from recordings.ports.recording_store import StoreUnavailableError
from recordings.use_cases.policy_starts import PolicyStarts
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.upkeep import Upkeep

_POLL_SECONDS: Final = 1.0
_LONGEST_WAIT: Final = 30.0
_ADOPT_SECONDS: Final = 3_600.0
_RECOVERY_SECONDS: Final = 5.0
MAX_FAILED_CLAIMS: Final = 3
"""After this many failed claims in sequence, the server is not ready."""
MAX_UNSAVED_SECONDS: Final = 30.0
"""If an event of a recorder cannot be saved for this long, the server is not ready."""
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


class StepRunner:
    """Claims and runs due steps: at most `max_steps` at the same time, plus at most `max_deliveries` deliveries.

    A delivery may wait minutes for a customer's server, so deliveries never take the slots of other steps. One account
    can use at most three quarters of the slots for deliveries.
    """

    def __init__(self, upkeep: Upkeep, wake: WakeSignal, max_steps: int = 4, max_deliveries: int = 16) -> None:
        self._upkeep = upkeep
        self._wake = wake
        self._max_steps = max_steps
        self._max_deliveries = max_deliveries
        self._max_of_account = max_deliveries - max_deliveries // 4
        self._running: set[asyncio.Task[Recording]] = set()
        self._delivering: dict[asyncio.Task[Recording], str] = {}
        self._stopping = False
        self._errors = ErrorLog(_log)
        self.failed_claims = 0
        """How many claims in sequence have failed."""

    async def run(self) -> None:
        """Run until `stop`. While the store is unreachable, the wait between two claims grows."""
        wait = _POLL_SECONDS
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

    @property
    def running(self) -> tuple[int, int]:
        """The numbers of steps and of deliveries that run now."""
        return len(self._running), len(self._delivering)

    def stop(self) -> None:
        """Stop claiming. The loop is not cancelled: a cancelled claim would leave its recordings leased but not run."""
        self._stopping = True
        self._wake()

    async def claim(self) -> None:
        """Start as many due steps as there are free slots. A finished step wakes the loop, which starts more steps."""
        free = self._max_steps - len(self._running)
        claimed = await self._upkeep.claim(free) if free > 0 else ()
        postponed = []
        for recording in claimed:
            is_delivery = self._upkeep.is_delivery(recording)
            if is_delivery and not self._has_slot(recording.account_id):
                postponed.append(recording)
                continue
            task = asyncio.create_task(self._upkeep.step(recording))
            if is_delivery:
                self._delivering[task] = recording.account_id
            else:
                self._running.add(task)
            task.add_done_callback(self._done)
        # After the other claimed steps have started, so that an error here does not delay them.
        for recording in postponed:
            await self._postpone(recording)

    def _has_slot(self, account_id: str) -> bool:
        of_account = sum(account == account_id for account in self._delivering.values())
        return len(self._delivering) < self._max_deliveries and of_account < self._max_of_account

    async def _postpone(self, recording: Recording) -> None:
        try:
            await self._upkeep.postpone(recording)
        except Exception as error:  # noqa: BLE001 - the delivery is due again when its lease expires
            self._errors.write("delivery not postponed", error, recording_id=recording.id)
        # The next due recording may need another kind of step.
        self._wake()

    async def finish(self, seconds: float) -> None:
        """Wait up to so many seconds for running steps, then cancel the rest. The next process runs those again."""
        # A cancelled delivery is repeated with the same id.
        if running := self._running | self._delivering.keys():
            await asyncio.wait(running, timeout=seconds)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _done(self, task: asyncio.Task[Recording]) -> None:
        self._running.discard(task)
        self._delivering.pop(task, None)
        self._wake()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._errors.write("step crashed", error if isinstance(error, Exception) else RuntimeError(repr(error)))


async def adopt_periodically(upkeep: Upkeep, wake: WakeSignal) -> None:
    """Every hour, resume recordings of this spool that other servers have marked as LOST. Run until cancelled."""
    while True:
        await asyncio.sleep(_ADOPT_SECONDS)
        try:
            for recording in await upkeep.adopt():
                _log.warning("lost recording resumed", recording_id=recording.id)
                wake()
        except Exception:  # noqa: BLE001 - the next attempt may succeed
            _log.exception("adoption failed")


class BackgroundWork:
    """All background work of a server, from `start` to `stop`."""

    def __init__(
        self,
        upkeep: Upkeep,
        recorder: LocalRecorder,
        recordings: Recordings,
        wake: WakeSignal,
        max_steps: int = 4,
        clock: Clock | None = None,
        policies: PolicyStarts | None = None,
    ) -> None:
        self._upkeep = upkeep
        self._recorder = recorder
        self._recordings = recordings
        self._wake = wake
        self._steps = StepRunner(upkeep, wake, max_steps)
        self._events = RecorderEvents(recorder, recordings, upkeep.check_later, policies)
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._later: set[asyncio.Task[None]] = set()
        self._errors = ErrorLog(_log)
        self._clock = clock or SystemClock()
        self._recovery_failed = False

    async def start(self) -> None:
        """Recover what the previous process of this node left unfinished, and start the work."""
        try:
            await self._upkeep.recover()
        except StoreUnavailableError as error:
            # With a full disk or a damaged file, recordings can still be read and played.
            _log.error("recovery failed", error=str(error))
            self._recovery_failed = True
        self._tasks = (
            asyncio.create_task(self._steps.run(), name="steps"),
            asyncio.create_task(self._events.run(), name="recorder events"),
            asyncio.create_task(adopt_periodically(self._upkeep, self._wake), name="adoption"),
        )
        if self._recovery_failed:
            recovery = asyncio.create_task(self._recover_later(self._clock.now()), name="recovery")
            self._later.add(recovery)
            recovery.add_done_callback(self._later.discard)
        for task in self._tasks:
            task.add_done_callback(_log_end)

    async def _recover_later(self, started: Millis) -> None:
        """Recover when the store works again, without the recordings that this process has created."""
        while self._recovery_failed:
            await asyncio.sleep(_RECOVERY_SECONDS)
            try:
                await self._upkeep.recover(before=started)
            except Exception as error:  # noqa: BLE001 - the next attempt may succeed
                self._errors.write("recovery failed", error)
            else:
                self._recovery_failed = False
                self._wake()

    @property
    def running(self) -> tuple[int, int]:
        """The numbers of steps and of deliveries that run now."""
        return self._steps.running

    @property
    def failed_claims(self) -> int:
        """How many claims in sequence have failed."""
        return self._steps.failed_claims

    async def check(self) -> None:
        """Raise an error unless all tasks are running and succeed."""
        ended = [task.get_name() for task in self._tasks if task.done()]
        if ended or not self._tasks:
            message = f"not running: {', '.join(ended) or 'any task'}"
            raise RuntimeError(message)
        if self._recovery_failed:
            raise RuntimeError("the recordings of the last process are not recovered yet")
        if self._steps.failed_claims >= MAX_FAILED_CLAIMS:
            message = f"the last {self._steps.failed_claims} claims of due work failed"
            raise RuntimeError(message)
        if self._events.failing_seconds > MAX_UNSAVED_SECONDS:
            message = "events of recorders cannot be saved"
            raise RuntimeError(message)

    async def stop(self, seconds: float) -> None:
        """Close the takes, save the recorder's last events, and finish short steps, within so many seconds.

        The next process of this node finishes the rest.
        """
        steps, events, _ = self._tasks
        deadline = asyncio.get_running_loop().time() + seconds
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                # Closing the recorder ends its events, and with them the task that applies them.
                await self._recorder.close()
                await asyncio.wait([events])
                # Claim once more, so that a short take that just ended is stored before the server exits.
                self._steps.stop()
                await asyncio.wait([steps])
                await self._claim_once_more()
        for task in (*self._tasks, *self._later):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._steps.finish(max(0.0, deadline - asyncio.get_running_loop().time()))

    async def _claim_once_more(self) -> None:
        try:
            await self._steps.claim()
        except Exception as error:  # noqa: BLE001 - after any error, the running steps still finish
            _log.warning("last claim failed", error=str(error))


def _log_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("background task ended", task=task.get_name(), exc_info=error)
