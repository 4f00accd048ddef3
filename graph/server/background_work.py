"""The background work of a server: it claims and runs due steps, and applies the events of recorders."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from adapters.recorders.embedded import EmbeddedRecorder
from graph.server.log_setup import logger
from recordings.model.errors import Conflict, Refused
from recordings.model.events import Begun
from recordings.model.recording import Recording
from recordings.ports.recorder import Recorder, TakeEvent
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.upkeep import Upkeep

_POLL_SECONDS: Final = 1.0
_LONGEST_WAIT: Final = 30.0
_ADOPT_SECONDS: Final = 3_600.0
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

    async def run(self) -> None:
        """Run until `stop`. While the store is unreachable, the wait between two claims grows."""
        wait = _POLL_SECONDS
        while not self._stopping:
            try:
                await self.claim()
            except Exception:  # noqa: BLE001 - no error may end the loop
                _log.exception("claim failed")
                wait = min(wait * 2, _LONGEST_WAIT)
            else:
                wait = _POLL_SECONDS
            await self._wake.wait(wait)

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
        except Exception:  # noqa: BLE001 - the delivery is due again when its lease expires
            _log.exception("delivery not postponed", recording_id=recording.id)
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
            _log.error("step crashed", exc_info=error)


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


async def apply_events(recorder: Recorder, recordings: Recordings, doubt: Callable[[str], None]) -> None:
    """Apply a recorder's events in order, until it is closed. `doubt` is called for takes that began too late."""
    async for take_event in recorder.events():
        recording = await _apply(recordings, take_event)
        if isinstance(take_event.event, Begun) and recording is not None and not recording.in_progress:
            # The caller of the start timed out before the take began, or the recording has already ended.
            await recorder.stop(take_event.recording_id)
            doubt(take_event.recording_id)


async def _apply(recordings: Recordings, take_event: TakeEvent) -> Recording | None:
    # Keep the event while the store is unreachable: only the recorder knows about it.
    wait = 0.1
    while True:
        try:
            return await recordings.on_event(take_event.recording_id, take_event.event)
        except Exception as error:  # noqa: BLE001 - after any other error, the event is retried
            if isinstance(error, Refused) and not isinstance(error, Conflict):
                _log.warning("recorder event rejected", recording_id=take_event.recording_id, error=error.message)
                return None
            _log.exception("recorder event not saved yet", recording_id=take_event.recording_id)
            await asyncio.sleep(wait)
            wait = min(wait * 2, 5.0)


class BackgroundWork:
    """All background work of a server, from `start` to `stop`."""

    def __init__(
        self, upkeep: Upkeep, recorder: EmbeddedRecorder, recordings: Recordings, wake: WakeSignal, max_steps: int = 4
    ) -> None:
        self._upkeep = upkeep
        self._recorder = recorder
        self._recordings = recordings
        self._wake = wake
        self._steps = StepRunner(upkeep, wake, max_steps)
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def start(self) -> None:
        """Recover what the previous process of this node left unfinished, and start the work."""
        await self._upkeep.recover()
        events = apply_events(self._recorder, self._recordings, self._upkeep.check_later)
        self._tasks = (
            asyncio.create_task(self._steps.run(), name="steps"),
            asyncio.create_task(events, name="recorder events"),
            asyncio.create_task(adopt_periodically(self._upkeep, self._wake), name="adoption"),
        )
        for task in self._tasks:
            task.add_done_callback(_log_end)

    async def check(self) -> None:
        """Raise an error unless all tasks are running."""
        ended = [task.get_name() for task in self._tasks if task.done()]
        if ended or not self._tasks:
            message = f"not running: {', '.join(ended) or 'any task'}"
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
        for task in self._tasks:
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
