"""The common part of the recorders of switches: takes, time limits, hand-over of files, and reconnection.

A recorder of one kind of switch adds its protocol. Its `_serve` connects, subscribes, compares calls and takes with the
switch, calls `_is_ready`, and then reads until the connection is lost.
"""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import structlog

from adapters.recorders.switch_calls import SwitchCalls
from adapters.recorders.switch_url import SwitchUrl
from adapters.recorders.take_files import TakeFiles
from recordings.model.call import Call
from recordings.model.events import Armed, Begun, Ended, Event, Failed, Lost
from recordings.model.instants import SECOND, Millis
from recordings.model.recording import EndCause, Reason
from recordings.ports.audio import Spool
from recordings.ports.clock import Clock
from recordings.ports.recorder import Capability, SwitchState, Take, TakeEvent, TakeRefused

FIRST_WAIT: Final = 0.25
LONGEST_WAIT: Final = 15.0
"""The shortest and the longest wait, in seconds, before the next attempt to connect."""
STABLE: Final = 30.0
"""After a connection of this many seconds, the waits begin again with the shortest."""
EVENT_QUEUE_TIMEOUT: Final = 10.0
"""How long, in seconds, the start of a take waits for space in the event queue."""
_log: Final[Any] = structlog.get_logger("recorder")


class SwitchRejected(Exception):  # noqa: N818 - an expected result
    """The switch rejects the name or the password."""


class ConnectionLost(Exception):  # noqa: N818 - an expected result
    """The switch closed the connection, or does not answer. The message has no secret."""


class SwitchLost(TakeRefused):
    """The connection was lost during a command. The switch may have executed it."""


@dataclass(slots=True)
class SwitchTake:
    """A take on a switch. `intent` is the cause that this server chose for its end, before the switch reports it."""

    take: Take
    call: Call | None
    result: Armed | Begun | None = None
    intent: EndCause | None = None
    timer: asyncio.TimerHandle | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    lost: Lost | None = None
    """Set if the take ended without a file."""

    @property
    def id(self) -> str:
        """The id of the recording."""
        return self.take.recording_id


class SwitchBase(SwitchCalls, ABC):
    """A `SwitchRecorder` without a protocol."""

    supported: ClassVar[frozenset[Capability]] = frozenset({Capability.CONTINUES})
    """The capabilities of this kind of switch. An adapter may detect more when it connects."""

    def __init__(self, url: SwitchUrl, *, spool: Spool, clock: Clock, node: str = "") -> None:
        super().__init__(url)
        self._node = node
        self.state = SwitchState.STANDBY
        self._capabilities = self.supported
        self._spool = spool
        self._clock = clock
        self._takes: dict[str, SwitchTake] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready_at: float | None = None
        self._take_files: TakeFiles | None = None
        """The files that the switch sends. An adapter sets it, if its switch sends files."""
        self._switch_started: Millis | None = None
        """When the switch started, by this server's clock. An adapter sets it when it connects, if it can."""
        self._log = _log.bind(switch=url.name)

    # What an adapter implements

    @abstractmethod
    async def _serve(self) -> None:
        """Connect, and serve until the connection is lost.

        Raises:
            SwitchRejected: the name or the password is wrong.
            ConnectionLost: the connection was lost. An `OSError` and a `TimeoutError` count as that, too.
        """

    @abstractmethod
    async def _start_on_switch(self, take: SwitchTake) -> Armed | Begun:
        """Start or arm a take. Return only on proof that the switch records.

        Remove everything that was made on the switch before an error. Raises `TakeRefused`.
        """

    @abstractmethod
    async def _stop_on_switch(self, take: SwitchTake) -> None:
        """Stop a take on the switch. It is no error if it has ended there. Raises `TakeRefused`."""

    @abstractmethod
    async def _collect(self, take: SwitchTake) -> AsyncIterator[bytes] | None:
        """Wait for the finished file of a take, up to a deadline. Return its bytes; `None` if there is no file."""

    @abstractmethod
    async def _discard(self, take: SwitchTake) -> None:
        """Delete the switch's file of a take. Its audio is in the spool."""

    extension: ClassVar[str] = "wav"
    """The extension of the switch's files."""

    # Calls

    def _end_call(self, account_id: str, call_id: str, cause: EndCause = EndCause.HANGUP) -> None:
        """Remove a call, and finish its takes. Does nothing if it is unknown."""
        call = self._remove_call(account_id, call_id)
        if call is None:
            return
        for take in [each for each in self._takes.values() if _is_of(each, call)]:
            self._leg_ended(take, cause)

    def _leg_ended(self, take: SwitchTake, cause: EndCause) -> None:
        """Finish a take whose call ended. A switch that moves recordings to another leg overrides this."""
        self._finish_soon(take, cause)

    # Takes

    async def start(self, take: Take) -> Armed | Begun:
        """Begin or arm a take. A repeated start of the same take returns the same result. Raises `TakeRefused`."""
        try:
            async with asyncio.timeout(EVENT_QUEUE_TIMEOUT):
                await self._events.wait_for_space()
        except TimeoutError as error:
            raise TakeRefused("too many events of other takes wait to be stored: try again later") from error
        call = self._calls.get((take.account_id, take.call_id))
        opened = self._takes.get(take.recording_id)
        if opened is None:
            self._require_ready()
            if call is None:
                raise TakeRefused(f"the call {take.call_id} has ended")
            opened = self._takes[take.recording_id] = SwitchTake(take, call)
        async with opened.lock:
            if opened.result is not None:
                return opened.result
            try:
                result = await self._start_on_switch(opened)
            except BaseException:
                self._takes.pop(opened.id, None)
                raise
            self._note_start(opened, result)
            return result

    def _note_start(self, take: SwitchTake, result: Armed | Begun) -> None:
        """Note that a take is armed, or that it began. The service gets `Begun` once."""
        if isinstance(take.result, Begun):
            return
        take.result = result
        if isinstance(result, Begun):
            self._events.add(TakeEvent(take.id, result))
            self._limit(take, result.at)

    async def _begin_armed(self, take: SwitchTake) -> None:
        """Begin an armed take, if `_start_on_switch` does not arm it again. A refusal ends it as `Failed`."""
        async with take.lock:
            if take.ended.is_set() or take.intent is not None or not isinstance(take.result, Armed):
                return
            try:
                self._note_start(take, await self._start_on_switch(take))
            except SwitchLost as lost:
                # The comparison after the next connection begins it, or finds that it has begun.
                self._log.warning("armed take not begun yet", recording_id=take.id, error=str(lost))
            except TakeRefused as refused:
                self._close_take(take, Failed(at=self._clock.now(), reason=refused.reason, detail=str(refused)))

    def _limit(self, take: SwitchTake, begun: Millis) -> None:
        left = max(0.0, take.take.options.time_limit - (self._clock.now() - begun) / SECOND)
        take.timer = asyncio.get_running_loop().call_later(left, self._finish_soon, take, EndCause.TIME_LIMIT)

    async def stop(self, recording_id: str) -> None:
        """End a take. Its audio is in the spool when this returns. Does nothing if the take is not open.

        Raises:
            TakeRefused: the switch is unreachable, or has no file of the take.
        """
        take = self._takes.get(recording_id)
        if take is None:
            return
        self._require_ready()
        await self._finish(take, EndCause.STOPPED)
        if take.lost is not None:
            raise TakeRefused(take.lost.detail or "the audio is lost", take.lost.reason)

    def _finish_soon(self, take: SwitchTake, cause: EndCause) -> None:
        """Finish a take in the background. A failure of the switch is tried again at the next comparison."""
        self._spawn(self._finish_quietly(take, cause))

    def _spawn(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        """Do work in the background, until this server gives the switch up."""
        task = asyncio.get_running_loop().create_task(work, name=f"switch {self.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _finish_quietly(self, take: SwitchTake, cause: EndCause) -> None:
        try:
            await self._finish(take, cause)
        except (TakeRefused, ConnectionLost, OSError) as error:
            self._log.warning("take not finished yet", recording_id=take.id, error=str(error))

    async def _finish(self, take: SwitchTake, cause: EndCause) -> None:
        """Stop a take on the switch, and hand its file over. The first cause applies."""
        take.intent = take.intent or cause
        async with take.lock:
            if take.ended.is_set():
                return
            if take.result is None or isinstance(take.result, Armed):
                await self._stop_on_switch(take)
                self._close_take(take, Ended(at=self._clock.now(), cause=take.intent))
                return
            at = self._clock.now()
            await self._stop_on_switch(take)
            await self._hand_over(take, at)

    async def _hand_over(self, take: SwitchTake, at: Millis) -> None:
        """Copy the file of an ended take to the spool, and report its end."""
        cause = EndCause.DISCONNECTED if self._is_of_earlier_run(take) else take.intent or EndCause.HANGUP
        if await self._spool.audio(take.id) is None:
            chunks = await self._collect(take)
            if chunks is None:
                self._close_take(take, self._without_file(take, at))
                return
            await self._spool.receive(take.id, self.extension, chunks)
        self._close_take(take, Ended(at=at, cause=cause))
        await self._discard(take)

    def _without_file(self, take: SwitchTake, at: Millis) -> Event:
        """Return the end of a take that has no file."""
        detail = f"the switch {self.name} has no file of this take"
        if self._is_of_earlier_run(take):
            detail = f"the switch {self.name} restarted during this take, and has no file of it"
            return Lost(at=at, reason=Reason.SWITCH_RESTARTED, detail=detail)
        return Lost(at=at, reason=Reason.NO_FILE, detail=detail)

    def _is_of_earlier_run(self, take: SwitchTake) -> bool:
        """Return true if the switch has restarted since a take began."""
        started = self._switch_started
        return started is not None and isinstance(take.result, Begun) and take.result.at < started

    def _retry_ends(self) -> None:
        """Finish the takes whose end failed before: the switch was unreachable, or refused it."""
        for take in self._takes.values():
            if take.intent is not None and not take.lock.locked():
                self._finish_soon(take, take.intent)

    def _close_take(self, take: SwitchTake, event: Event) -> None:
        """Report the end of a take, once."""
        if take.ended.is_set():
            return
        take.lost = event if isinstance(event, Lost) else None
        if take.timer is not None:
            take.timer.cancel()
        self._events.add(TakeEvent(take.id, event))
        self._takes.pop(take.id, None)
        take.ended.set()

    async def pause(self, recording_id: str) -> Millis:
        """Raise `TakeRefused`: a switch that can pause overrides this."""
        raise TakeRefused(f"the switch {self.name} cannot pause {recording_id}")

    async def resume(self, recording_id: str) -> Millis | None:
        """Raise `TakeRefused`, as `pause`."""
        raise TakeRefused(f"the switch {self.name} cannot resume {recording_id}")

    async def mask(self, recording_id: str) -> Millis:
        """Raise `TakeRefused`: a switch that can mask overrides this."""
        raise TakeRefused(f"the switch {self.name} cannot mask {recording_id}")

    async def unmask(self, recording_id: str) -> Millis | None:
        """Raise `TakeRefused`, as `mask`."""
        raise TakeRefused(f"the switch {self.name} cannot unmask {recording_id}")

    async def is_open(self, recording_id: str) -> bool:
        """Return true if a take is armed or open, or its file is not yet in the spool."""
        return recording_id in self._takes

    def _open_take(self, recording_id: str) -> SwitchTake:
        """Return a take that began. Raises `TakeRefused` without one, or while the switch is unreachable."""
        take = self._takes.get(recording_id)
        if take is None or not isinstance(take.result, Begun) or take.intent is not None:
            raise TakeRefused(f"no take of {recording_id} is open")
        self._require_ready()
        return take

    def _require_ready(self) -> None:
        if self.state is not SwitchState.READY:
            raise TakeRefused(f"the switch {self.name} cannot be used now: {self.state.value}")

    async def receive_file(self, recording_id: str, token: str, chunks: AsyncIterator[bytes]) -> bool:
        """Receive the file of a take that the switch sends. Return false if it is not expected."""
        return self._take_files is not None and await self._take_files.deliver(recording_id, token, chunks)

    # The connection

    async def run(self, takes: Sequence[Take]) -> None:
        """Control the switch until cancelled. Continue these takes."""
        for take in takes:
            if take.recording_id not in self._takes:
                result = None if take.begun is None else Begun(at=take.begun)
                adopted = SwitchTake(take, None, result or Armed(at=self._clock.now()))
                self._takes[take.recording_id] = adopted
                if take.begun is not None:
                    self._limit(adopted, take.begun)
        try:
            await self._stay_connected()
        finally:
            self._forget()

    async def _stay_connected(self) -> None:
        wait = FIRST_WAIT
        while True:
            self._ready_at, self._is_reporting = None, False
            self.state = SwitchState.CONNECTING
            try:
                await self._serve()
            except SwitchRejected as error:
                self.state, wait = SwitchState.REJECTED, LONGEST_WAIT
                self._log.error("switch rejects the password", error=str(error))
            except (ConnectionLost, OSError, TimeoutError) as error:
                self.state = SwitchState.UNREACHABLE
                self._log.warning("switch unreachable", error=str(error) or type(error).__name__)
            else:
                # An end without an error is a loss, too. Otherwise this would be a tight loop.
                self.state = SwitchState.UNREACHABLE
                self._log.warning("switch closed the connection")
            if self._ready_at is not None and asyncio.get_running_loop().time() - self._ready_at >= STABLE:
                wait = FIRST_WAIT
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            wait = min(wait * 2, LONGEST_WAIT)

    def _is_ready(self) -> None:
        """Note that all calls and takes of the switch are known now."""
        self.state = SwitchState.READY
        self._ready_at, self._is_reporting = asyncio.get_running_loop().time(), True
        self._report_later()
        self._log.info("switch connected", calls=len(self._calls), takes=len(self._takes))
        self._retry_ends()

    def _forget(self) -> None:
        self.state = SwitchState.STANDBY
        for task in self._tasks:
            task.cancel()
        for take in self._takes.values():
            if take.timer is not None:
                take.timer.cancel()
        self._takes.clear()
        self._forget_calls()


def _is_of(take: SwitchTake, call: Call) -> bool:
    return (take.take.account_id, take.take.call_id) == (call.account_id, call.call_id)
