"""The background work of a server: due steps are claimed and done, and what recorders say is applied."""

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


class Wake:
    """A `Notify` that a waiting loop hears, once however often it is called."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def __call__(self) -> None:
        """Wake the loop."""
        self._event.set()

    async def wait(self, seconds: float) -> None:
        """Until called, or for so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        self._event.clear()


class Steps:
    """Claims what is due and does it, at most `at_once` steps at a time, and besides them at most `sending` deliveries.

    A delivery waits for a customer's server, for minutes if that is ill: it never takes the place of other steps, and
    those of one account leave a quarter of the places to others.
    """

    def __init__(self, upkeep: Upkeep, wake: Wake, at_once: int = 4, sending: int = 16) -> None:
        self._upkeep = upkeep
        self._wake = wake
        self._at_once = at_once
        self._most_sent = sending
        self._most_of_one = sending - sending // 4
        self._running: set[asyncio.Task[Recording]] = set()
        self._sending: dict[asyncio.Task[Recording], str] = {}
        self._stopping = False

    async def run(self) -> None:
        """Until `stop`. A store that is away is asked again, ever more slowly."""
        wait = _POLL_SECONDS
        while not self._stopping:
            try:
                await self.claim()
            except Exception:  # noqa: BLE001 - whatever it is, the loop goes on
                _log.exception("what is due cannot be claimed")
                wait = min(wait * 2, _LONGEST_WAIT)
            else:
                wait = _POLL_SECONDS
            await self._wake.wait(wait)

    def stop(self) -> None:
        """Claim no more. A cancelled claim would leave what it claimed leased to nobody."""
        self._stopping = True
        self._wake()

    async def claim(self) -> None:
        """Begin what is due and fits in. A step that is done wakes the loop, so what did not fit in comes next."""
        free = self._at_once - len(self._running)
        claimed = await self._upkeep.claim(free) if free > 0 else ()
        waiting = []
        for recording in claimed:
            sends = self._upkeep.sends(recording)
            if sends and not self._fits_in(recording.account_id):
                waiting.append(recording)
                continue
            task = asyncio.create_task(self._upkeep.step(recording))
            if sends:
                self._sending[task] = recording.account_id
            else:
                self._running.add(task)
            task.add_done_callback(self._done)
        # Not before all that was claimed with them has begun: one that cannot be given back must not keep them waiting.
        for recording in waiting:
            await self._give_back(recording)

    def _fits_in(self, account_id: str) -> bool:
        of_one = sum(account == account_id for account in self._sending.values())
        return len(self._sending) < self._most_sent and of_one < self._most_of_one

    async def _give_back(self, recording: Recording) -> None:
        try:
            await self._upkeep.postpone(recording)
        except Exception:  # noqa: BLE001 - it is due again when its lease is over
            _log.exception("a delivery cannot be given back", recording=recording.id)
        # What is behind it may be something else.
        self._wake()

    async def finish(self, seconds: float) -> None:
        """Let running steps finish, for so many seconds; what does not is taken up again by the next process."""
        # A delivery that breaks off is made again, under the same id.
        if running := self._running | self._sending.keys():
            await asyncio.wait(running, timeout=seconds)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _done(self, task: asyncio.Task[Recording]) -> None:
        self._running.discard(task)
        self._sending.pop(task, None)
        self._wake()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a step broke off", exc_info=error)


async def adopt(upkeep: Upkeep, wake: Wake) -> None:
    """Now and then, take up again what others took for lost, as long as nobody ends this."""
    while True:
        await asyncio.sleep(_ADOPT_SECONDS)
        try:
            for recording in await upkeep.adopt():
                _log.warning("it was given up for lost, and is here", recording=recording.id)
                wake()
        except Exception:  # noqa: BLE001 - whatever it is, the next time may be better
            _log.exception("what is in the spool cannot be looked at")


async def listen_to(recorder: Recorder, recordings: Recordings, doubt: Callable[[str], None]) -> None:
    """Apply what a recorder says, in its order, until it is closed. `doubt` hears of takes that nobody waited for."""
    async for said in recorder.events():
        found = await _apply(recordings, said)
        if isinstance(said.event, Begun) and found is not None and not found.in_progress:
            # Whoever asked for it did not hear in time that it begins, and gave it up; or it is over already.
            await recorder.stop(said.recording_id)
            doubt(said.recording_id)


async def _apply(recordings: Recordings, said: TakeEvent) -> Recording | None:
    # While the store is away the recorder's word must not be lost: it is the only one who knows.
    wait = 0.1
    while True:
        try:
            return await recordings.on_event(said.recording_id, said.event)
        except Exception as error:  # noqa: BLE001 - whatever it is, the event is kept and tried again
            if isinstance(error, Refused) and not isinstance(error, Conflict):
                _log.warning("what the recorder says does not fit", recording=said.recording_id, why=error.message)
                return None
            _log.exception("what the recorder says cannot be kept yet", recording=said.recording_id)
            await asyncio.sleep(wait)
            wait = min(wait * 2, 5.0)


class Background:
    """All background work of a server, from `start` to `stop`."""

    def __init__(
        self, upkeep: Upkeep, recorder: EmbeddedRecorder, recordings: Recordings, wake: Wake, at_once: int = 4
    ) -> None:
        self._upkeep = upkeep
        self._recorder = recorder
        self._recordings = recordings
        self._wake = wake
        self._steps = Steps(upkeep, wake, at_once)
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def start(self) -> None:
        """End what the last process of this node left open, and go to work."""
        await self._upkeep.recover()
        stepping = asyncio.create_task(self._steps.run(), name="steps")
        hearing = listen_to(self._recorder, self._recordings, self._upkeep.doubt)
        listening = asyncio.create_task(hearing, name="recorder's events")
        adopting = asyncio.create_task(adopt(self._upkeep, self._wake), name="adoption")
        self._tasks = (stepping, listening, adopting)
        for task in self._tasks:
            task.add_done_callback(_ended)

    async def check(self) -> None:
        """Raise unless all of it runs."""
        over = [task.get_name() for task in self._tasks if task.done()]
        if over or not self._tasks:
            message = f"not running: {', '.join(over) or 'anything'}"
            raise RuntimeError(message)

    async def stop(self, seconds: float) -> None:
        """Close takes, keep what the recorder says of them, and finish what is quick; at most so many seconds.

        What is not finished then is finished by the next process of this node.
        """
        stepping, listening, _ = self._tasks
        deadline = asyncio.get_running_loop().time() + seconds
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                # Its events end when it is closed, and the listener with them.
                await self._recorder.close()
                await asyncio.wait([listening])
                # A last look: a short take that just ended is stored before the server goes.
                self._steps.stop()
                await asyncio.wait([stepping])
                await self._last_look()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._steps.finish(max(0.0, deadline - asyncio.get_running_loop().time()))

    async def _last_look(self) -> None:
        try:
            await self._steps.claim()
        except Exception as error:  # noqa: BLE001 - whatever it is, what runs gets to its end all the same
            _log.warning("what is due is left to the next process", why=str(error))


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a background task ended", task=task.get_name(), exc_info=error)
