"""The recorder of an rtpengine: `start recording` and `stop recording` by ng, and the packets from its folder.

rtpengine has no events and does not know the parties of a call. So this recorder asks for the list of calls once a
second. A call has its SIP Call-ID, no numbers, and the only account of the switch. It is answered when rtpengine has
seen the answer.

rtpengine records a call only once at a time, and it writes the metadata of the last `start recording`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, ClassVar, Final

from adapters.recorders.rtpengine.ng_client import NgClient
from adapters.recorders.rtpengine.ng_protocol import Reply
from adapters.recorders.rtpengine.pcap_reader import PcapError, PcapReader
from adapters.recorders.rtpengine.recording_folder import RecordingFolder
from adapters.recorders.rtpengine.rtp_stereo import RtpStereo
from adapters.recorders.switch_base import ConnectionLost, SwitchBase, SwitchTake
from adapters.recorders.switch_url import SwitchUrl
from recordings.model.call import Call
from recordings.model.events import Armed, Begun
from recordings.model.instants import SECOND, Millis
from recordings.model.recording import EndCause, Reason
from recordings.ports.audio import Spool
from recordings.ports.clock import Clock
from recordings.ports.recorder import Capability, TakeRefused

POLL: Final = 1.0
"""Seconds between two lists of the calls."""
MAX_CALLS: Final = 100_000
"""Maximum number of calls in a list."""
START_DEADLINE: Final = 3.0
"""Seconds until the file of a new recording must exist."""
FILE_DEADLINE: Final = 5.0
"""Seconds until the metadata of an ended recording must exist."""
LOOK: Final = 0.05
"""Seconds between two looks into the folder."""
_CHUNK: Final = 1 << 20
_PROBE: Final = "no such call"
"""The call-id for a command that must fail: its error shows whether rtpengine knows the command."""


class RtpengineRecorder(SwitchBase):
    """A `SwitchRecorder` for an rtpengine with `--recording-method=pcap`."""

    supported: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.CONTINUES, Capability.ON_ANSWER, Capability.FOLLOW_TRANSFER}
    )
    extension: ClassVar[str] = "au"

    def __init__(self, url: SwitchUrl, *, spool: Spool, clock: Clock, node: str = "") -> None:
        super().__init__(url, spool=spool, clock=clock, node=node)
        self._client = NgClient(url.host, url.port)
        self._folder = RecordingFolder(Path(url.options["folder"]))
        self._ringing: set[str] = set()
        self._pcaps: dict[str, Path] = {}
        """The file of each take, as far as it is known."""
        self._masked: dict[str, Millis] = {}
        """When the mask of a take began."""

    async def _serve(self) -> None:
        try:
            await self._detect()
            while True:
                await self._compare()
                await asyncio.sleep(POLL)
        finally:
            self._ringing.clear()

    async def _detect(self) -> None:
        """Find out what this release supports. rtpengine 10.5 cannot pause a recording."""
        if not (await self._client.ask("ping")).is_ok:
            raise ConnectionLost("rtpengine rejects a ping")
        probe = await self._client.ask("pause recording", call_id=_PROBE)
        # A paused file has no packets. They become silence, which is a mask.
        mask = frozenset[Capability]() if probe.is_unknown_command else frozenset({Capability.MASK})
        self._capabilities = self.supported | mask

    async def _compare(self) -> None:
        """Compare the calls and takes with those on rtpengine."""
        reply = await self._client.ask("list", limit=MAX_CALLS)
        listed = reply.values.get("calls")
        if not reply.is_ok or not isinstance(listed, list):
            raise ConnectionLost(f"rtpengine rejects the list of calls: {reply.reason or 'there is no list'}")
        live = {call_id for call_id in listed if isinstance(call_id, str)}
        for account_id, call_id in list(self._calls):
            if call_id not in live:
                self._ringing.discard(call_id)
                self._end_call(account_id, call_id)
        known = {call_id for _, call_id in self._calls}
        for call_id in live - known:
            await self._look_at(call_id, is_new=True)
        for call_id in tuple(self._ringing):
            await self._look_at(call_id, is_new=False)
        for take in tuple(self._takes.values()):
            if take.call is None:
                self._continue(take, is_live=take.take.call_id in live)
        self._retry_ends()
        if self._ready_at is None:
            self._is_ready()

    async def _look_at(self, call_id: str, *, is_new: bool) -> None:
        """Report a call that began or was answered."""
        account_id = self.url.account_of(None)
        reply = await self._client.ask("query", call_id=call_id)
        if account_id is None or not reply.is_ok:
            return
        call = Call(account_id=account_id, call_id=call_id, started=self._clock.now())
        if is_new:
            self._ringing.add(call_id)
            self._add_call(call)
        if _is_answered(reply):
            self._ringing.discard(call_id)
            self._answer_call(call)
            for take in tuple(self._takes.values()):
                if take.take.call_id == call_id and isinstance(take.result, Armed):
                    self._spawn(self._begin_armed(take))

    def _continue(self, take: SwitchTake, *, is_live: bool) -> None:
        """Continue a take that another process started. If it began, rtpengine is recording it."""
        take.call = self._calls.get((take.take.account_id, take.take.call_id))
        if not is_live and take.intent is None:
            self._finish_soon(take, EndCause.HANGUP)

    async def _start_on_switch(self, take: SwitchTake) -> Armed | Begun:
        if take.take.options.record_on_answer and take.take.call_id in self._ringing:
            return Armed(at=self._clock.now())
        return await self._record(take)

    async def _record(self, take: SwitchTake) -> Begun:
        """Let rtpengine record a call, and wait for the file."""
        call_id = take.take.call_id
        if any(each is not take and isinstance(each.result, Begun) for each in self._takes_of(call_id)):
            raise TakeRefused(f"rtpengine already records the call {call_id}: it can record a call only once at a time")
        before = await asyncio.to_thread(self._folder.pcaps_of, call_id)
        reply = await self._command("start recording", call_id=call_id, metadata=_mark(take))
        if not reply.is_ok:
            raise TakeRefused(f"rtpengine does not record the call {call_id}: {reply.reason}")
        begun = Begun(at=self._clock.now())
        try:
            async with asyncio.timeout(START_DEADLINE):
                while not (new := await asyncio.to_thread(self._folder.pcaps_of, call_id) - before):  # noqa: ASYNC110
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            await self._command("stop recording", call_id=call_id)
            detail = f"rtpengine wrote no file in {START_DEADLINE:g} s: is its --recording-dir shared with this server?"
            raise TakeRefused(detail, Reason.NO_START) from None
        self._pcaps[take.id] = new.pop()
        return begun

    def _takes_of(self, call_id: str) -> Iterator[SwitchTake]:
        return (take for take in self._takes.values() if take.take.call_id == call_id)

    async def _stop_on_switch(self, take: SwitchTake) -> None:
        if isinstance(take.result, Begun):
            reply = await self._command("stop recording", call_id=take.take.call_id)
            if not reply.is_ok and not reply.is_unknown_call:
                raise TakeRefused(f"rtpengine does not stop the recording: {reply.reason}")

    async def _collect(self, take: SwitchTake) -> AsyncIterator[bytes] | None:
        path = await self._file_of(take)
        if path is None or not await asyncio.to_thread(path.is_file):
            return None
        self._pcaps[take.id] = path
        return _convert(path)

    async def _file_of(self, take: SwitchTake) -> Path | None:
        """Return the pcap file of an ended take, by the metadata, or else as rtpengine left it after a crash."""
        call_id = take.take.call_id
        try:
            async with asyncio.timeout(FILE_DEADLINE):
                while (path := await asyncio.to_thread(self._folder.finished, call_id, _mark(take))) is None:  # noqa: ASYNC110
                    await asyncio.sleep(LOOK)
                return path
        except TimeoutError:
            begun = take.result.at if take.result is not None else self._clock.now()
            left = await asyncio.to_thread(self._folder.abandoned, call_id, begun / SECOND)
            return self._pcaps.get(take.id) or left

    async def _discard(self, take: SwitchTake) -> None:
        path = self._pcaps.pop(take.id, None)
        self._masked.pop(take.id, None)
        if path is not None:
            await asyncio.to_thread(self._folder.remove, take.take.call_id, path)

    async def mask(self, recording_id: str) -> Millis:
        """Let rtpengine write no packets. Return the offset in the take. Raises `TakeRefused`."""
        take = self._open_take(recording_id)
        if Capability.MASK not in self._capabilities:
            raise TakeRefused(f"this release of rtpengine cannot pause the recording {recording_id}")
        if recording_id not in self._masked:
            reply = await self._command("pause recording", call_id=take.take.call_id)
            if not reply.is_ok:
                raise TakeRefused(f"rtpengine does not pause the recording: {reply.reason}")
            self._masked[recording_id] = self._clock.now()
        begun = take.result.at if take.result is not None else self._masked[recording_id]
        return max(0, self._masked[recording_id] - begun)

    async def unmask(self, recording_id: str) -> Millis | None:
        """Let rtpengine write packets again. Return the length of the mask, if it is known. Raises `TakeRefused`."""
        take = self._open_take(recording_id)
        if Capability.MASK not in self._capabilities:
            raise TakeRefused(f"this release of rtpengine cannot pause the recording {recording_id}")
        reply = await self._command("start recording", call_id=take.take.call_id, metadata=_mark(take))
        if not reply.is_ok:
            raise TakeRefused(f"rtpengine does not continue the recording: {reply.reason}")
        since = self._masked.pop(recording_id, None)
        return None if since is None else max(0, self._clock.now() - since)

    async def _command(self, command: str, **values: str | int) -> Reply:
        """Send a command for a take. Raises `TakeRefused` if rtpengine does not answer."""
        try:
            return await self._client.ask(command, **values)
        except ConnectionLost as error:
            raise TakeRefused(str(error)) from error


def _mark(take: SwitchTake) -> str:
    return f"recording_id={take.id}"


def _is_answered(reply: Reply) -> bool:
    """Return true if both parties of a call are known: each has a tag after the answer."""
    tags: Any = reply.values.get("tags")
    named = [tag for tag in tags.values() if isinstance(tag, dict) and tag.get("tag")] if isinstance(tags, dict) else []
    return len(named) > 1


async def _convert(path: Path) -> AsyncIterator[bytes]:
    """Yield the audio of a pcap file. If it has no G.711 audio, yield the file itself: it is kept for operators."""
    pieces = _audio(path)
    first = await asyncio.to_thread(next, pieces, b"")
    if not first:
        pieces = _raw(path)
        first = await asyncio.to_thread(next, pieces, b"")
    while first:
        yield first
        first = await asyncio.to_thread(next, pieces, b"")


def _audio(path: Path) -> Iterator[bytes]:
    reader, stereo = PcapReader(), RtpStereo()
    begun = False
    try:
        for chunk in _raw(path):
            audio = b"".join([stereo.add(packet) for packet in reader.feed(chunk)])
            if audio:
                yield audio if begun else stereo.header() + audio
                begun = True
    except PcapError:
        # The packets before the damage are good.
        pass
    rest = stereo.finish()
    if rest:
        yield rest if begun else stereo.header() + rest


def _raw(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
