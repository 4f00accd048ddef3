"""Messages of one read that are recorded together: the result is that of one message after another."""

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.recorders.dialects.detect import AnyStream
from adapters.recorders.dialects.stream_events import Audio, Dtmf, Mark, StreamStarted
from adapters.recorders.dialects.stream_limits import ProtocolError
from adapters.recorders.dialects.twilio import TwilioStream
from adapters.recorders.embedded import EmbeddedRecorder, Limits
from adapters.recorders.embedded.arrival_clock import ArrivalClock
from adapters.recorders.embedded.stream_session import StreamHost, _StreamSession
from recordings.model.events import Ended
from recordings.model.recording import EndCause
from recordings.ports.audio import Codec
from recordings.ports.recorder import TakeRefused
from tests.adapters.recorders.parts import ACCOUNT, FRAME, HandTimers, live_call, take
from tests.support.fake_clock import FakeClock

TRACKS: Final = ("inbound", "outbound")
CODECS: Final = {"audio/x-mulaw": FRAME, "audio/x-l16": 2 * FRAME}
"""The bytes of a frame of 20 ms."""


@dataclass
class MemoryTracks:
    """A writer of tracks that keeps them in memory, and fails if it is `broken`."""

    tracks: tuple[bytearray, bytearray] = field(default_factory=lambda: (bytearray(), bytearray()))
    writes: list[tuple[int, int]] = field(default_factory=list)
    broken: bool = False

    def write_at(self, track_index: int, offset_bytes: int, data: bytes | bytearray | memoryview) -> None:
        if self.broken:
            raise OSError("no space")
        track = self.tracks[track_index]
        assert offset_bytes <= len(track), "a hole"
        track[offset_bytes : offset_bytes + len(data)] = data
        self.writes.append((track_index, len(data)))

    async def close(self, *, sync: bool = True) -> None:
        """Nothing to close."""


@dataclass
class MemorySpool:
    """A spool in memory."""

    writers: dict[str, MemoryTracks] = field(default_factory=dict)

    async def open_tracks(
        self, recording_id: str, codec: Codec, sample_rate: int, names: Sequence[str] = ("left", "right")
    ) -> MemoryTracks:
        return self.writers.setdefault(recording_id, MemoryTracks())

    async def remove(self, recording_id: str) -> None:
        """Keep the files for the test."""


class OneByOne(AnyStream):
    """A stream without the quick way for many messages."""

    def __init__(self, quick: bool) -> None:
        super().__init__()
        self.quick = quick

    def receive(self, message: str | bytes) -> Any:
        events = super().receive(message)
        if not self.quick:
            self.tracks = lambda _messages, _is_text: None
        return events


class Streamed:
    """A call that is recorded from the messages of one stream. `quick` records those of a read together."""

    def __init__(self, quick: bool, codec: str) -> None:
        self.timers, self.spool, self.stream = HandTimers(), MemorySpool(), OneByOne(quick)
        clock = FakeClock()
        self.recorder = EmbeddedRecorder(spool=self.spool, clock=clock, limits=Limits(), timers=self.timers)
        self.session = _StreamSession(None, ACCOUNT, StreamHost(self.recorder, clock), record_all=False)  # type: ignore[arg-type]
        self.session._time = self.timers.time
        start = {"streamSid": "MZ1", "callSid": "call-1", "mediaFormat": {"encoding": codec, "sampleRate": 8000}}
        (started,) = self.stream.receive(json.dumps({"event": "start", "start": start}))
        assert isinstance(started, StreamStarted)
        self.live = self.recorder.open_call(live_call(), lambda _end: None, started.format)
        self.session._live, self.session._arrivals = self.live, ArrivalClock(started.format)
        self.handled: list[tuple[int, bool]] = []
        self.is_over = False

    def read(self, messages: Sequence[bytes]) -> None:
        """Receive the messages of one read, as a connection and its session do."""
        if self.is_over:
            return
        handled, may_go_on = self.session.record_now(messages, True, self.stream)
        self.handled.append((handled, may_go_on))
        for message in messages[handled:]:
            try:
                events = self.stream.receive(message.decode())
            except ProtocolError:
                self.is_over = True
                return
            for event in events:
                if isinstance(event, Audio):
                    self.recorder.receive_audio(self.live, event)

    async def act(self, act: str, number: int) -> str:
        recorder, name = self.recorder, take(number).recording_id
        try:
            if act == "start":
                return type(await recorder.start(take(number, time_limit=1 if number == 1 else 100))).__name__
            return str(await getattr(recorder, act)(name))
        except TakeRefused as refused:
            return str(refused)

    async def result(self) -> Any:
        await self.recorder.close()
        events = [event async for event in self.recorder.events()]
        positions = self.live.positions
        sides = [
            (side.offset, side.end, side.last_at, side.gaps, sorted(side.recent), side.is_unsure)
            for side in positions._sides
        ]
        decoder = self.stream._decoder
        assert isinstance(decoder, TwilioStream)
        state = (decoder._last_at, decoder._last_ticks, decoder._other_track, decoder._has_ignored, decoder.state)
        written = {name: each.tracks for name, each in self.spool.writers.items()}
        return written, events, sides, positions.last_audio_at, state, self.live._has_audio, self.handled, self.is_over


def media(track: str, at_ms: object, payload: bytes, **other: object) -> bytes:
    body = {"track": track, "timestamp": at_ms, "payload": base64.b64encode(payload).decode()} | other
    return json.dumps({"event": "media", "media": body, "streamSid": "MZ1"}).encode()


class Sender:
    """Makes the messages of both tracks from descriptions of what each of them does."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.at = dict.fromkeys(TRACKS, 0)
        self.sent = 0
        self.last = media(TRACKS[0], 0, b"")

    def message(self, kind: str, track: str) -> bytes:
        self.sent += 1
        payload, at = self.sent.to_bytes(2) * (self.size // 2), self.at[track]
        if kind in OTHERS:
            return OTHERS[kind]
        if kind == "again":
            return self.last
        if kind == "late":
            return media(track, max(0, at - 60), payload)
        if kind == "untimed":
            return media(track, None, payload)
        if kind == "short":
            payload = payload[:7]
        elif kind == "empty":
            payload = b""
        elif kind == "jump":
            at += 700
        elif kind == "far":
            at += 100_000
        elif kind == "restart":
            at = 0
        self.at[track] = at + 20
        self.last = media(track, str(at), payload, chunk=str(self.sent))
        return self.last


OTHERS: Final[Mapping[str, bytes]] = {
    "mark": b'{"event":"mark","mark":{"name":"m"}}',
    "dtmf": b'{"event":"dtmf","dtmf":{"digit":"1"}}',
    "mark without a body": b'{"event":"mark"}',
    "unknown": b'{"event":"new"}',
    "another stream": b'{"event":"media","streamSid":"MZ2","media":{"track":"inbound","timestamp":0,"payload":"AQID"}}',
    "mix": b'{"event":"media","media":{"track":"both_tracks","timestamp":"0","payload":"AQID"}}',
    "no audio": b'{"event":"media","media":{"track":"inbound","timestamp":"0","payload":"!"}}',
    "not ascii": '{"event":"mark","mark":{"name":"\u00e9"}}'.encode(),
    "start again": b'{"event":"start","start":{"callSid":"call-1","streamSid":"MZ1"}}',
    "not JSON": b"{",
}
USUAL: Final = ["next"] * 30
RARE: Final = ["again", "late", "untimed", "short", "empty", "jump", "restart", "far", *OTHERS]
ACTS: Final = ["start", "stop", "pause", "resume", "mask", "unmask"]
READS = st.lists(st.tuples(st.sampled_from(USUAL + RARE[:-1]), st.sampled_from(TRACKS)), min_size=1, max_size=12)
REGULAR = st.sampled_from([1, 2, 3, 25]).map(
    lambda frames: [("next", track) for _ in range(frames) for track in TRACKS]
)
STEPS = st.one_of(READS, REGULAR, REGULAR, st.tuples(st.sampled_from(ACTS), st.integers(1, 2)))
DAMAGED = st.lists(st.tuples(st.sampled_from(RARE), st.sampled_from(TRACKS)), max_size=1)


async def recorded(quick: bool, codec: str, steps: Sequence[Any]) -> Any:
    streamed, sender, answers = Streamed(quick, codec), Sender(CODECS[codec]), []
    answers.append(await streamed.act("start", 2))
    for step in steps:
        if isinstance(step, list):
            streamed.read([sender.message(kind, track) for kind, track in step])
        else:
            answers.append(await streamed.act(*step))
        streamed.timers.advance(0.04)
        await asyncio.sleep(0)
    return answers, await streamed.result()


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(CODECS)), st.lists(STEPS, max_size=25), DAMAGED)
@example("audio/x-mulaw", [("start", 1), *[[("next", track) for _ in range(9) for track in TRACKS]] * 7], [])
def test_messages_of_a_read_are_recorded_together_as_they_are_one_by_one(
    codec: str, steps: list[Any], damaged: list[tuple[str, str]]
) -> None:
    steps = [*steps, damaged] if damaged else steps
    quick = asyncio.run(recorded(True, codec, steps))
    assert quick == asyncio.run(recorded(False, codec, steps))


async def test_the_frames_of_a_track_that_arrive_together_are_one_write() -> None:
    streamed, sender = Streamed(True, "audio/x-mulaw"), Sender(FRAME)
    await streamed.act("start", 2)
    for _ in range(2):
        streamed.read([sender.message("next", track) for _ in range(3) for track in TRACKS])
    assert streamed.spool.writers[take(2).recording_id].writes[-2:] == [(0, 3 * FRAME), (1, 3 * FRAME)]


async def test_a_take_whose_disk_fails_ends_and_the_others_go_on() -> None:
    streamed, sender = Streamed(True, "audio/x-mulaw"), Sender(FRAME)
    frames = [("next", track) for _ in range(2) for track in TRACKS]
    await streamed.act("start", 2)
    await streamed.act("start", 3)
    streamed.read([sender.message(*each) for each in frames])
    streamed.spool.writers[take(2).recording_id].broken = True
    streamed.read([sender.message(*each) for each in frames])
    assert len(streamed.spool.writers[take(3).recording_id].tracks[1]) == 4 * FRAME
    await streamed.recorder.close()
    ends = {
        event.recording_id: event.event.cause  # type: ignore[union-attr]
        async for event in streamed.recorder.events()
        if isinstance(getattr(event, "event", None), Ended)
    }
    assert ends == {take(2).recording_id: EndCause.SPOOL_FULL, take(3).recording_id: EndCause.SHUTDOWN}


KINDS = st.lists(st.tuples(st.sampled_from(USUAL[:4] + RARE), st.sampled_from(TRACKS)), min_size=1, max_size=4)


@settings(max_examples=100)
@given(st.lists(KINDS, min_size=1, max_size=4))
def test_the_decoder_finds_in_many_messages_what_it_finds_in_each(reads: list[list[tuple[str, str]]]) -> None:
    sender, many, each = Sender(FRAME), TwilioStream(), TwilioStream()
    start = json.dumps({"event": "start", "start": {"streamSid": "MZ1", "callSid": "call-1"}})
    assert many.receive(start) == each.receive(start)
    for read in reads:
        messages = [sender.message(*kind) for kind in read]
        found, audios = many.tracks(messages), [each.audio(message) for message in messages]
        if found is None:
            assert None in audios or many._has_ignored
        else:
            flat = [audio for given in audios for audio in given or ()]
            assert None not in audios
            assert [[(one.at_ms, one.payload) for one in track] for track in found] == [
                [(one.at_ms, one.payload) for one in flat if one.track == track] for track in (0, 1)
            ]
        for message in messages:
            with suppress(ProtocolError):
                each.receive(message)
            with suppress(ProtocolError):
                many.receive(message)


@pytest.mark.parametrize("name", OTHERS)
def test_only_marks_and_keys_are_notes(name: str) -> None:
    stream, other = TwilioStream(), TwilioStream()
    start = json.dumps({"event": "start", "start": {"streamSid": "MZ1", "callSid": "call-1"}})
    assert stream.receive(start) == other.receive(start)
    is_note = stream.is_note(OTHERS[name])
    try:
        events = other.receive(OTHERS[name])
    except ProtocolError:
        events = ()
    # A note with other letters than ASCII is left to `receive`.
    assert is_note == (bool(events) and isinstance(events[0], Mark | Dtmf) and OTHERS[name].isascii())
    assert stream.state is other.state or not is_note
