"""The recorder of a FreeSWITCH: `uuid_record` by the Event Socket, and the files from a shared folder.

Each channel is a call. The second leg of a call is not, while the first one is live: the recording of the first leg has
both sides. The recording of a channel is a media bug of it, and can move to another channel by a transfer.

FreeSWITCH decides nothing about a take. It gets no minimum length, because `RECORD_MIN_SEC` counts samples at a wrong
rate, and `RECORD_APPEND` turns it off. Its limit is in whole seconds, so it is longer than the take's own limit. The
variables `record_ms` and `RECORD_DISCARDED` belong to the channel, not to the recording, so nothing reads them.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from adapters.recorders.freeswitch.channel import Channel
from adapters.recorders.freeswitch.esl_connection import EslConnection
from adapters.recorders.freeswitch.esl_protocol import Reply, SwitchEvent
from adapters.recorders.freeswitch.esl_switch import EslSwitch, for_each
from adapters.recorders.freeswitch.recording_files import FILE_DEADLINE, RecordingFiles
from adapters.recorders.freeswitch.switch_lists import read_targets
from adapters.recorders.freeswitch.uuid_record import NO_FILE, describe_refusal, is_stopped, variables_of
from adapters.recorders.switch_base import ConnectionLost, SwitchLost, SwitchTake
from adapters.recorders.switch_url import SwitchUrl
from adapters.recorders.take_files import TakeFiles
from recordings.model.events import Armed, Begun, Discarded, Event
from recordings.model.instants import SECOND, Millis
from recordings.model.recording import EndCause, Reason
from recordings.ports.audio import Spool
from recordings.ports.clock import Clock
from recordings.ports.recorder import Capability, TakeRefused

START_DEADLINE: Final = 3.0
"""Seconds until RECORD_START must prove that a take began."""
UNDO_DEADLINE: Final = 2.0
"""Seconds that a failed start waits until it is undone. Later, it is undone in the background."""
UPLOAD_DEADLINE: Final = 60.0
"""Seconds until the switch must begin to send a file."""
CONFIRM: Final = 0.5
"""Seconds until a recording that is missing on the switch is looked for again."""
_BEFORE_LIMIT: Final[Millis] = 2 * SECOND
"""A recording that the switch ends this close to its time limit ended by the limit: the switch counts whole seconds."""


@dataclass(slots=True)
class _Gap:
    """A pause or a mask in progress, and the length of the pauses before."""

    capability: Capability | None = None
    since: Millis = 0
    paused: Millis = 0


class FreeSwitchRecorder(EslSwitch):
    """A `SwitchRecorder` for FreeSWITCH 1.10."""

    supported: ClassVar[frozenset[Capability]] = frozenset(Capability)

    def __init__(self, url: SwitchUrl, *, spool: Spool, clock: Clock, node: str = "") -> None:
        super().__init__(url, spool=spool, clock=clock, node=node)
        folder = url.options["folder"]
        self._files = RecordingFiles(folder, url.options.get("switch_folder") or folder)
        self._upload = url.options.get("upload", "").rstrip("/")
        if self._upload:
            self._take_files = TakeFiles(url.secret)
        self._proofs: dict[str, asyncio.Future[None]] = {}
        """The starts in progress."""
        self._moved: dict[str, str] = {}
        """The channels of takes that a transfer moved."""
        self._completions: dict[str, str] = {}
        self._gaps: dict[str, _Gap] = {}

    async def _serve(self) -> None:
        try:
            await super()._serve()
        finally:
            for proof in self._proofs.values():
                _fail(proof, SwitchLost("the connection to the switch was lost"))

    # Start

    async def _start_on_switch(self, take: SwitchTake) -> Armed | Begun:
        channel = self._channels.get(take.take.call_id)
        if channel is None:
            raise TakeRefused(f"the call {take.take.call_id} has ended")
        if not channel.may_begin(take.take.options):
            return Armed(at=self._clock.now())
        return await self._record(take, channel)

    async def _record(self, take: SwitchTake, channel: Channel) -> Begun:
        """Start a recording. Return when the switch has reported that it records."""
        proof = self._proofs[take.id] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(START_DEADLINE):
                await self._command_start(take, channel)
                await proof
        except BaseException as error:
            await self._undo(channel.uuid, take.id)
            if isinstance(error, TimeoutError):
                detail = f"the switch did not report in {START_DEADLINE:g} s that it records"
                raise TakeRefused(detail, Reason.NO_START) from None
            raise
        finally:
            del self._proofs[take.id]
            if proof.done() and not proof.cancelled():
                # Otherwise asyncio reports an error that nothing waited for.
                proof.exception()
        return Begun(at=self._clock.now())

    async def _command_start(self, take: SwitchTake, channel: Channel) -> None:
        # FreeSWITCH reads these two variables from the channel, at the moment of a transfer.
        follow = "true" if take.take.options.should_follow_transfer else "false"
        for name in ("recording_follow_transfer", "recording_follow_attxfer"):
            await self._ask("uuid_setvar", channel.uuid, name, follow)
        path, limit = self._files.path_on_switch(take.id), str(take.take.options.time_limit + 1)
        reply = await self._ask(
            "uuid_record", channel.uuid, "start", path, limit, variables_of(take.take, is_outbound=channel.is_outbound)
        )
        if not reply.startswith("+OK"):
            raise TakeRefused(describe_refusal(reply, take.take.call_id))

    async def _undo(self, uuid: str, recording_id: str) -> None:
        """Remove everything of a failed start."""
        undoing = self._spawn(self._remove(uuid, recording_id))
        await asyncio.wait({undoing}, timeout=UNDO_DEADLINE)

    async def _remove(self, uuid: str, recording_id: str) -> None:
        """Stop a recording that has no take, and delete its file."""
        try:
            await self._stop_recording(uuid, recording_id)
        except TakeRefused as refused:
            # The comparison after the next connection finds the recording, and needs its file.
            self._log.warning("recording without a take not stopped yet", recording_id=recording_id, error=str(refused))
            return
        if self._take_files is None:
            await self._files.remove(recording_id)

    def _channel_answered(self, channel: Channel) -> None:
        for take in tuple(self._takes.values()):
            is_waiting = take.take.call_id == channel.uuid and isinstance(take.result, Armed)
            if is_waiting and channel.may_begin(take.take.options):
                self._spawn(self._begin_armed(take))

    # Events of the switch

    def _recording_changed(self, event: SwitchEvent) -> None:
        recording_id = self._files.recording_of(event.get("Record-File-Path"))
        if recording_id is None or event.get("Recording-Variable-recording_id") != recording_id:
            return
        take = self._takes.get(recording_id)
        uuid = event.get("Unique-ID")
        if event.name == "RECORD_STOP":
            if take is not None:
                self._completions[recording_id] = event.get("Record-Completion-Cause")
                self._finish_soon(take, self._cause_of_stop(take, event))
        elif (proof := self._proofs.get(recording_id)) is not None:
            if not proof.done():
                proof.set_result(None)
        elif take is None:
            # The switch answered after the deadline, or a start was cancelled.
            self._log.warning("late recording undone", recording_id=recording_id)
            self._spawn(self._remove(uuid, recording_id))
        elif uuid != take.take.call_id:
            self._moved[recording_id] = uuid

    def _cause_of_stop(self, take: SwitchTake, event: SwitchEvent) -> EndCause:
        """Return why the switch ended a recording. Its own cause is the same for a stop and for the limit."""
        if event.get("Answer-State") == "hangup":
            return EndCause.HANGUP
        begun = take.result.at if isinstance(take.result, Begun) else self._clock.now()
        limit = take.take.options.time_limit * SECOND - _BEFORE_LIMIT
        return EndCause.TIME_LIMIT if self._clock.now() - begun >= limit else EndCause.STOPPED

    # The end of a channel

    def _channel_ended(self, channel: Channel) -> None:
        for take in tuple(self._takes.values()):
            if self._channel_of(take) != channel.uuid:
                continue
            if (proof := self._proofs.get(take.id)) is not None:
                _fail(proof, TakeRefused(f"the call {take.take.call_id} has ended"))
            if _follows(take) and channel.other in self._channels:
                self._spawn(self._follow(take, channel.other))
            else:
                self._finish_soon(take, EndCause.HANGUP)

    def _leg_ended(self, take: SwitchTake, cause: EndCause) -> None:
        """Do nothing: a take ends with the channel where it is now. `_channel_ended` has finished it."""

    async def _follow(self, take: SwitchTake, uuid: str) -> None:
        """Continue a take on the other leg of its call, if a transfer moved it there. Otherwise finish it."""
        connection = self._connection
        if connection is None:
            return
        try:
            targets = read_targets(await connection.ask("uuid_buglist", uuid))
        except ConnectionLost:
            # The comparison after the next connection finds it.
            return
        if targets is not None and self._files.path_on_switch(take.id) in targets:
            self._moved[take.id] = uuid
            self._log.info("take follows a transfer", recording_id=take.id, channel=uuid)
        else:
            self._finish_soon(take, EndCause.HANGUP)

    def _channel_of(self, take: SwitchTake) -> str:
        """Return the channel where a take is recorded, or is to be recorded."""
        return self._moved.get(take.id, take.take.call_id)

    # Stop, and the file

    async def _stop_on_switch(self, take: SwitchTake) -> None:
        if not isinstance(take.result, Begun):
            return
        await self._has_moved(take, self._ask)
        await self._stop_recording(self._channel_of(take), take.id)

    async def _stop_recording(self, uuid: str, recording_id: str) -> None:
        """Stop a recording, if it has not ended. FreeSWITCH 1.10 does not find it by its path after a transfer."""
        path = self._files.path_on_switch(recording_id)
        reply = await self._ask("uuid_record", uuid, "stop", path)
        if not is_stopped(reply):
            raise TakeRefused(f"the switch does not stop the recording: {reply[:80]}")
        targets = None if reply.startswith("+OK") else read_targets(await self._ask("uuid_buglist", uuid))
        if targets is None or path not in targets:
            return
        if len(targets) > 1:
            raise TakeRefused("after a transfer, the switch cannot stop this recording without others of its channel")
        await self._ask("uuid_record", uuid, "stop", "all")

    async def _collect(self, take: SwitchTake) -> AsyncIterator[bytes] | None:
        is_deleted = self._completions.get(take.id) in NO_FILE
        if self._take_files is None:
            return await self._files.wait_for(take.id, 0 if is_deleted else FILE_DEADLINE)
        return None if is_deleted else await self._request_file(take, self._take_files)

    async def _request_file(self, take: SwitchTake, files: TakeFiles) -> AsyncIterator[bytes] | None:
        """Let the switch send the file of a take to this server. Raises `TakeRefused` if it does not."""
        path = self._files.path_on_switch(take.id)
        if await self._ask("file_exists", path) == "false":
            return None
        expected = files.expect(take.id)
        try:
            async with asyncio.timeout(UPLOAD_DEADLINE):
                await self._command("bgapi", "http_put", f"{self._upload}{files.path_of(take.id)}", path)
                return await expected
        except TimeoutError:
            # The file stays on the switch, and the next comparison tries again.
            detail = (
                f"the switch sent no file in {UPLOAD_DEADLINE:g} s: is mod_http_cache loaded, and {self._upload} its"
            )
            raise TakeRefused(f"{detail} way to this service?") from None
        finally:
            expected.cancel()

    def _without_file(self, take: SwitchTake, at: Millis) -> Event:
        reason = NO_FILE.get(self._completions.get(take.id, ""))
        if reason is None:
            return super()._without_file(take, at)
        return Discarded(at=at, reason=reason[0], detail=reason[1])

    async def _discard(self, take: SwitchTake) -> None:
        if self._take_files is None:
            await self._files.remove(take.id)

    def _close_take(self, take: SwitchTake, event: Event) -> None:
        super()._close_take(take, event)
        for values in (self._moved, self._completions, self._gaps):
            values.pop(take.id, None)

    # Pause and mask

    async def pause(self, recording_id: str) -> Millis:
        """Leave out the audio from now on. Return the offset in the take. Raises `TakeRefused`."""
        return await self._interrupt(recording_id, "pause", Capability.PAUSE)

    async def resume(self, recording_id: str) -> Millis | None:
        """End a pause. Return its length, if it is known. Raises `TakeRefused`."""
        return await self._continue(recording_id, "resume", Capability.PAUSE)

    async def mask(self, recording_id: str) -> Millis:
        """Record silence from now on. Return the offset in the take. Raises `TakeRefused`."""
        return await self._interrupt(recording_id, "mask", Capability.MASK)

    async def unmask(self, recording_id: str) -> Millis | None:
        """Record the audio again. Return the length of the mask, if it is known. Raises `TakeRefused`."""
        return await self._continue(recording_id, "unmask", Capability.MASK)

    async def _interrupt(self, recording_id: str, action: str, capability: Capability) -> Millis:
        take = self._open_take(recording_id)
        gap = self._gaps.setdefault(recording_id, _Gap())
        if gap.capability is None:
            await self._change(take, action)
            gap.capability, gap.since = capability, self._clock.now()
        elif gap.capability is not capability:
            raise TakeRefused(f"the take of {recording_id} has another interruption: {gap.capability.value}")
        begun = take.result.at if take.result is not None else gap.since
        return max(0, gap.since - begun - gap.paused)

    async def _continue(self, recording_id: str, action: str, capability: Capability) -> Millis | None:
        take = self._open_take(recording_id)
        gap = self._gaps.setdefault(recording_id, _Gap())
        if gap.capability not in {None, capability}:
            raise TakeRefused(f"the take of {recording_id} has another interruption")
        await self._change(take, action)
        if gap.capability is None:
            # An earlier process began the interruption.
            return None
        length = max(0, self._clock.now() - gap.since)
        gap.paused += length if capability is Capability.PAUSE else 0
        gap.capability = None
        return length

    async def _change(self, take: SwitchTake, action: str) -> None:
        reply = await self._ask("uuid_record", self._channel_of(take), action, self._files.path_on_switch(take.id))
        if not reply.startswith("+OK"):
            raise TakeRefused(f"the switch does not {action} the recording: {reply[:80]}")

    # Comparison

    async def _compare_takes(self, connection: EslConnection, *, is_first: bool) -> None:
        if is_first:
            await self._find_recordings(connection)
        for take in tuple(self._takes.values()):
            take.call = take.call or self._calls.get((take.take.account_id, take.take.call_id))
            if take.lock.locked() or take.intent is not None:
                continue
            if isinstance(take.result, Begun):
                if not await self._is_recorded(connection, take):
                    is_live = self._channel_of(take) in self._channels
                    self._finish_soon(take, EndCause.STOPPED if is_live else EndCause.HANGUP)
            elif (channel := self._channels.get(take.take.call_id)) is None:
                self._finish_soon(take, EndCause.HANGUP)
            elif channel.may_begin(take.take.options):
                self._spawn(self._begin_armed(take))

    async def _find_recordings(self, connection: EslConnection) -> None:
        """Look for our recordings on all channels: takes that began or moved, and recordings without a take."""

        async def look_at(uuid: str) -> None:
            for path in read_targets(await connection.ask("uuid_buglist", uuid)) or ():
                recording_id = self._files.recording_of(path)
                take = self._takes.get(recording_id or "")
                if take is not None:
                    self._note_start(take, Begun(at=self._clock.now()))
                    if uuid != take.take.call_id:
                        self._moved[take.id] = uuid
                elif recording_id is not None:
                    self._log.warning("recording without a take stopped", recording_id=recording_id)
                    self._spawn(self._remove(uuid, recording_id))

        await for_each(tuple(self._channels), look_at)

    async def _is_recorded(self, connection: EslConnection, take: SwitchTake) -> bool:
        """Return true if the switch records a take. Ask again before a take that only seems to be missing ends."""
        uuid, path = self._channel_of(take), self._files.path_on_switch(take.id)
        for _ in range(2):
            targets = read_targets(await connection.ask("uuid_buglist", uuid))
            if targets is None:
                # This is an error, or the channel has ended. Without the right to this command, an end shows otherwise.
                return not await self._is_gone(connection, uuid)
            if path in targets:
                return True
            await asyncio.sleep(CONFIRM)
        return await self._has_moved(take, connection.ask)

    async def _has_moved(self, take: SwitchTake, ask: Callable[..., Awaitable[str]]) -> bool:
        """Find a recording that an attended transfer moved to the other leg. The first leg may be live still."""
        channel = self._channels.get(self._channel_of(take))
        if channel is None or not channel.other or not _follows(take):
            return False
        targets = read_targets(await ask("uuid_buglist", channel.other))
        if targets is None or self._files.path_on_switch(take.id) not in targets:
            return False
        self._moved[take.id] = channel.other
        return True

    async def _ask(self, *parts: str) -> str:
        """Run an API command for a take. Raises `TakeRefused` if the switch does not answer."""
        return (await self._command("api", *parts)).text.strip()

    async def _command(self, *parts: str) -> Reply:
        if self._connection is None:
            raise SwitchLost(f"the switch {self.name} is not connected")
        try:
            return await self._connection.send(*parts)
        except ConnectionLost as error:
            raise SwitchLost(str(error)) from error


def _fail(proof: "asyncio.Future[None]", refused: TakeRefused) -> None:
    if not proof.done():
        proof.set_exception(refused)


def _follows(take: SwitchTake) -> bool:
    return take.take.options.should_follow_transfer and isinstance(take.result, Begun)
