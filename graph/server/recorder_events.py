"""Apply the events of a recorder: in order for each recording and call, without waiting for the events of others."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from graph.server.error_log import ErrorLog
from graph.server.log_setup import logger
from recordings.model.errors import Conflict, Refused
from recordings.model.events import Begun
from recordings.model.recording import Recording
from recordings.ports.recorder import CallEvent, Recorder, TakeEvent
from recordings.use_cases.policy_starts import PolicyStarts
from recordings.use_cases.recordings import Recordings

_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 5.0
_log: Final = logger("background")


class RecorderEvents:
    """Saves the events of a recorder. An event that cannot be saved is tried again until it is saved or rejected."""

    def __init__(
        self,
        recorder: Recorder,
        recordings: Recordings,
        check_later: Callable[[str], None],
        policies: PolicyStarts | None = None,
    ) -> None:
        """`check_later` is called with the recording id of a take that began too late."""
        self._policies = policies
        self._recorder = recorder
        self._recordings = recordings
        self._check_later = check_later
        self._errors = ErrorLog(_log)
        self._waiting: dict[str, deque[TakeEvent | CallEvent]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._failing: dict[str, float] = {}

    async def run(self) -> None:
        """Apply the events until the recorder is closed, and then those that still wait."""
        try:
            async for event in self._recorder.events():
                self._add(event)
            while self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            for task in self._tasks:
                task.cancel()

    @property
    def failing_seconds(self) -> float:
        """How long the oldest event could not be saved."""
        return time.monotonic() - min(self._failing.values()) if self._failing else 0.0

    def _add(self, event: TakeEvent | CallEvent) -> None:
        name = event.recording_id if isinstance(event, TakeEvent) else f"{event.call.account_id} {event.call.call_id}"
        if (waiting := self._waiting.get(name)) is not None:
            waiting.append(event)
            return
        self._waiting[name] = deque([event])
        task = asyncio.create_task(self._apply_waiting(name), name=f"events of {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _apply_waiting(self, name: str) -> None:
        waiting = self._waiting[name]
        try:
            while waiting:
                event = waiting[0]
                if isinstance(event, TakeEvent):
                    await self._apply(event)
                elif self._policies is not None:
                    await self._save(name, partial(self._policies.on_change, event))
                waiting.popleft()
        finally:
            del self._waiting[name]

    async def _apply(self, take_event: TakeEvent) -> None:
        recording_id = take_event.recording_id
        recording = await self._save(recording_id, partial(self._recordings.on_event, recording_id, take_event.event))
        if isinstance(take_event.event, Begun) and recording is not None and not recording.in_progress:
            # The caller of the start timed out before the take began, or the recording has already ended.
            try:
                await self._recorder.stop(recording_id)
            except Exception as error:  # noqa: BLE001 - the take may have ended by itself
                self._errors.write("late take not stopped", error, recording_id=recording_id)
            self._check_later(recording_id)

    async def _save(self, name: str, save: Callable[[], Awaitable[Recording | None]]) -> Recording | None:
        # Keep the event while it cannot be saved: only the recorder knows about it.
        wait = _FIRST_WAIT
        while True:
            try:
                saved = await save()
            except Exception as error:  # noqa: BLE001 - after any other error, the event is retried
                if isinstance(error, Refused) and not isinstance(error, Conflict):
                    _log.warning("recorder event rejected", event_of=name, error=error.message)
                    saved = None
                else:
                    if not isinstance(error, Conflict):
                        self._failing.setdefault(name, time.monotonic())
                    self._errors.write("recorder event not saved yet", error, event_of=name)
                    await asyncio.sleep(wait)
                    wait = min(wait * 2, _LONGEST_WAIT)
                    continue
            self._failing.pop(name, None)
            return saved
