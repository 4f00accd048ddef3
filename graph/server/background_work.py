"""The background work of a server: it claims and runs due steps, and applies the events of recorders."""

import asyncio
from contextlib import suppress
from typing import Final

from adapters.cancellation import cancel_and_wait
from graph.server.error_log import ErrorLog
from graph.server.log_setup import logger
from graph.server.recorder_events import RecorderEvents
from graph.server.step_runner import EarlySteps, StepRunner, WakeSignal
from graph.server.system_clock import SystemClock
from recordings.model.instants import Millis
from recordings.ports.clock import Clock
from recordings.ports.recorder import LocalRecorder
from recordings.ports.recording_store import StoreUnavailableError
from recordings.use_cases.policy_starts import PolicyStarts
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.upkeep import Upkeep

_ADOPT_SECONDS: Final = 3_600.0
_RECOVERY_SECONDS: Final = 5.0
MAX_FAILED_CLAIMS: Final = 3
"""After this many failed claims in sequence, the server is not ready."""
MAX_UNSAVED_SECONDS: Final = 30.0
"""If an event of a recorder cannot be saved for this long, the server is not ready."""
_log: Final = logger("background")


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
        clock: Clock | None = None,
        policies: PolicyStarts | None = None,
        early: EarlySteps | None = None,
    ) -> None:
        self._upkeep = upkeep
        self._recorder = recorder
        self._recordings = recordings
        self._wake = wake
        self._steps = StepRunner(upkeep, wake, early=early)
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
        await cancel_and_wait(*self._tasks, *self._later)
        await self._steps.finish(max(0.0, deadline - asyncio.get_running_loop().time()))

    async def _claim_once_more(self) -> None:
        try:
            await self._steps.claim()
        except Exception as error:  # noqa: BLE001 - after any error, the running steps still finish
            _log.warning("last claim failed", error=str(error))


def _log_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("background task ended", task=task.get_name(), exc_info=error)
