"""Makes, uses and removes the snoop channels and recordings of takes on an Asterisk.

The names of all snoop channels and recordings are known before they are requested. When a take does not need them any
more, they are removed, and the removal is tried again until Asterisk confirms it.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from adapters.recorders.asterisk import ari_requests
from adapters.recorders.asterisk.ari_client import AriClient, Reply
from adapters.recorders.asterisk.ari_messages import AriError, AriEvent, EventType, read_channel, read_variable
from adapters.recorders.asterisk.ari_requests import AriRequest, read_side_name
from adapters.recorders.asterisk.snoop_take import NARROWBAND, Part, Side, SnoopTake, file_format
from adapters.recorders.switch_base import ConnectionLost, SwitchRejected
from recordings.model.recording import Reason
from recordings.ports.recorder import TakeRefused

START_DEADLINE: Final = 3.0
"""Seconds until Asterisk must prove that it records."""
UNDO_DEADLINE: Final = 1.0
"""Seconds that a failed start waits for the removal. After that, the removal continues in the background."""
FILE_DEADLINE: Final = 5.0
"""Seconds until the files of an ended take must exist."""
LOOK: Final = 0.1
"""Seconds between two looks at a recording that should have ended."""
_EXISTS: Final = 409
_NO_FORMAT: Final = 422
_NOT_CREATED: Final = 500
_Result = TypeVar("_Result")


class SnoopSwitch:
    """The snoop channels and recordings of one Asterisk. `takes` has the state of each take that began here."""

    def __init__(self, client: AriClient, application: str, log: Any) -> None:
        self.takes: dict[str, SnoopTake] = {}
        self._client = client
        self._application = application
        self._log = log
        self._leftovers: set[str] = set()
        """The names of sides that must be removed."""
        self._removing = asyncio.Lock()
        self._signals: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def receive(self, event: AriEvent, name: str) -> SnoopTake | None:
        """Note an event of a snoop channel or of a recording. Return its take, if it is known."""
        side = read_side_name(name)
        if side is None:
            return None
        state = self.takes.get(side[0])
        if state is not None and any(each.name == name for each in state.sides()):
            state.receive(event)
            if (signal := self._signals.get(side[0])) is not None:
                signal.set()
        elif event.type is EventType.STASIS_START and event.application == self._application:
            # It is the late result of a start that failed.
            self._log.warning("late snoop channel removed", recording_id=side[0])
            self.remove_soon([name])
        return state

    async def open_part(self, state: SnoopTake, channel: str, spies: Mapping[str, str], seconds: int) -> None:
        """Record a channel. Return on proof: `StasisStart` and `RecordingStarted` of each side.

        Everything that was made is removed before an error. Raises `TakeRefused`.
        """
        part = state.add_part(channel, spies)
        try:
            async with asyncio.timeout(START_DEADLINE):
                await self._prove(state, part, seconds)
        except BaseException as error:
            state.parts.remove(part)
            removal = self.remove_soon([side.name for side in part.sides])
            if isinstance(error, TimeoutError):
                await asyncio.wait([removal], timeout=UNDO_DEADLINE)
                detail = f"Asterisk did not begin to record in {START_DEADLINE:g} s"
                raise TakeRefused(detail, Reason.NO_START) from None
            if isinstance(error, TakeRefused):
                await asyncio.wait([removal], timeout=UNDO_DEADLINE)
            raise

    async def _prove(self, state: SnoopTake, part: Part, seconds: int) -> None:
        await _all(self._snoop(part, side) for side in part.sides)
        await self._until(state, part, lambda: all(side.entered for side in part.sides))
        if not state.format:
            state.format = await self._format(part.sides[0])
        await _all(self._record(state, side, seconds) for side in part.sides)
        await self._until(state, part, lambda: part.has_begun)

    async def _snoop(self, part: Part, side: Side) -> None:
        request = ari_requests.snoop(part.channel, side.name, side.spy, self._application)
        reply = await self.command(request)
        if reply.status == _NOT_CREATED:
            # A snoop channel of an earlier attempt has this id. Its recording, if any, was never acknowledged.
            await self._remove(side.name)
            reply = await self.command(request)
        if reply.is_missing:
            raise TakeRefused(f"the call {part.channel} has ended")
        _require(reply, "make a snoop channel")

    async def _format(self, side: Side) -> str:
        reply = await self.command(ari_requests.read_format(side.name))
        try:
            return file_format(read_variable(reply.body)) if reply.is_ok else NARROWBAND
        except AriError:
            return NARROWBAND

    async def _record(self, state: SnoopTake, side: Side, seconds: int) -> None:
        reply = await self.command(ari_requests.record(side.name, state.format, seconds))
        if reply.status == _EXISTS and not side.started:
            await self.command(ari_requests.delete_file(side.name))
            reply = await self.command(ari_requests.record(side.name, state.format, seconds))
        if reply.status == _NO_FORMAT and state.format != NARROWBAND:
            state.format = NARROWBAND
            reply = await self.command(ari_requests.record(side.name, state.format, seconds))
        if reply.status != _EXISTS:
            _require(reply, "record")

    async def _until(self, state: SnoopTake, part: Part, condition: Callable[[], bool]) -> None:
        """Wait until events make a condition true."""
        signal = self._signals[state.recording_id] = asyncio.Event()
        try:
            while not condition():
                if part.has_ended:
                    raise TakeRefused(part.error or f"the call {part.channel} has ended", Reason.NO_START)
                await signal.wait()
                signal.clear()
        finally:
            self._signals.pop(state.recording_id, None)

    async def close_part(self, part: Part) -> None:
        """End the recordings of a part, and hang up its snoop channels. Raises `TakeRefused`."""
        await _all(self._close_side(side) for side in part.sides)

    async def _close_side(self, side: Side) -> None:
        if not side.ended:
            reply = await self.command(ari_requests.stop_recording(side.name))
            if not reply.is_missing:
                _require(reply, "stop the recording")
        if not side.gone:
            reply = await self.command(ari_requests.hang_up(side.name))
            if not reply.is_missing:
                _require(reply, "hang up the snoop channel")

    async def treat(self, part: Part, make: Callable[..., AriRequest], *, on: bool) -> None:
        """Pause or mute all sides, or end that. Raises `TakeRefused`; then no side is paused or muted."""
        replies = await _all(self.command(make(side.name, on=on)) for side in part.sides)
        failed = next((reply for reply in replies if not reply.is_ok), None)
        if failed is not None:
            for side in part.sides:
                await self.command(make(side.name, on=False))
            _require(failed, "pause or mute the recording" if on else "continue the recording")

    async def files_of(self, state: SnoopTake) -> list[tuple[Side, ...]]:
        """Wait for the files of an ended take. Return the sides that have a file, by part; none after a deadline."""
        found: list[tuple[Side, ...]] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(FILE_DEADLINE):
                while await self._is_live(state) or not (found := await self._stored(state)):  # noqa: ASYNC110
                    await asyncio.sleep(LOOK)
        return found or await self._stored(state)

    async def _is_live(self, state: SnoopTake) -> bool:
        """Return true if a recording has not ended. Its event may be lost."""
        for side in state.sides():
            side.ended = side.ended or (await self.command(ari_requests.show_recording(side.name))).is_missing
        return not all(side.ended for side in state.sides())

    async def _stored(self, state: SnoopTake) -> list[tuple[Side, ...]]:
        parts = [
            tuple([side for side in part.sides if (await self.command(ari_requests.show_file(side.name))).is_ok])
            for part in state.parts
        ]
        return [part for part in parts if part]

    async def find(self, recording_id: str) -> SnoopTake | None:
        """Return what a take has on the switch, if another process began it; `None` if there is nothing."""
        state = SnoopTake(recording_id)
        for tracks in ((ari_requests.LEFT, ari_requests.RIGHT), (ari_requests.MIXED,)):
            while part := await self._find_part(state, tracks):
                state.parts.append(part)
        if state.parts:
            self.takes[recording_id] = state
        return state if state.parts else None

    async def _find_part(self, state: SnoopTake, tracks: Sequence[str]) -> Part | None:
        sides, channel, number = [], "", len(state.parts) + 1
        for track in tracks:
            side = Side(ari_requests.side_name(state.recording_id, number, track), track, "", entered=True)
            snoop = await self.command(ari_requests.show_channel(side.name))
            file = await self.command(ari_requests.show_file(side.name))
            side.started = file.is_ok
            side.gone = side.ended = not snoop.is_ok
            if snoop.is_ok or file.is_ok:
                sides.append(side)
            if snoop.is_ok:
                channel = ari_requests.snooped_channel(_name_of(snoop)) or channel
        return Part(number, channel, tuple(sides)) if sides else None

    async def delete_files(self, state: SnoopTake) -> None:
        """Delete the files of an ended take. What fails is tried again later."""
        names = {side.name for side in state.sides() if side.ended}
        self._leftovers |= {side.name for side in state.sides()} - names
        for name in names:
            try:
                reply = await self.command(ari_requests.delete_file(name))
            except TakeRefused:
                reply = Reply(_NOT_CREATED)
            if not reply.is_ok and not reply.is_missing:
                self._leftovers.add(name)

    def remove_soon(self, names: Iterable[str]) -> "asyncio.Task[None]":
        """Remove sides in the background: their recordings, files and snoop channels."""
        self._leftovers.update(names)
        task = asyncio.get_running_loop().create_task(self.remove_leftovers(), name="remove snoop channels")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def remove_leftovers(self) -> None:
        """Remove all sides that no take needs. The next call tries failed removals again."""
        async with self._removing:
            for name in tuple(self._leftovers):
                try:
                    await self._remove(name)
                except TakeRefused as refused:
                    self._log.warning("snoop channel not removed yet", name=name, error=str(refused))
                    return
                self._leftovers.discard(name)

    async def _remove(self, name: str) -> None:
        # Asterisk cannot cancel a recording that is just ending. The two others are enough then.
        await self.command(ari_requests.cancel_recording(name))
        for request in (ari_requests.hang_up(name), ari_requests.delete_file(name)):
            reply = await self.command(request)
            if not reply.is_ok and not reply.is_missing:
                raise TakeRefused(f"Asterisk does not remove {name}: {reply.reason}")

    def forget(self) -> None:
        """Forget all takes, because another server may control the switch."""
        for task in self._tasks:
            task.cancel()
        self.takes.clear()
        self._leftovers.clear()

    async def command(self, request: AriRequest) -> Reply:
        """Send a request for a take. Raises `TakeRefused` if Asterisk does not answer."""
        try:
            return await self._client.ask(request)
        except (ConnectionLost, SwitchRejected) as error:
            raise TakeRefused(str(error)) from error


async def _all(steps: Iterable[Coroutine[None, None, _Result]]) -> list[_Result]:
    """Do steps at the same time. Raise the first error after all have ended: none of them may go on after it."""
    results = await asyncio.gather(*steps, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def _name_of(reply: Reply) -> str:
    try:
        return read_channel(reply.body).name
    except AriError:
        return ""


def _require(reply: Reply, action: str) -> None:
    if not reply.is_ok:
        raise TakeRefused(f"Asterisk does not {action}: {reply.reason}")
