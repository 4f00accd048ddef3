"""The dialect of a stream is found by its first frames. Random frames are refused."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.recorders.dialects.detect import AnyStream, Handshake
from adapters.recorders.dialects.stream_events import Event, StreamStarted
from adapters.recorders.dialects.stream_limits import ProtocolError, UnknownDialect
from adapters.recorders.embedded.stream_sockets import MAX_REASON
from recordings.ports.audio import Codec
from tests.adapters.recorders.first_frames import FIRST_FRAMES


def receive(stream: AnyStream, *frames: str | bytes) -> list[Event]:
    return [event for frame in frames for event in stream.receive(frame)]


@pytest.mark.parametrize("name", FIRST_FRAMES)
def test_the_first_frames_tell_the_dialect_and_the_format(name: str) -> None:
    case = FIRST_FRAMES[name]
    stream = AnyStream(Handshake(case.query, case.subprotocols, case.headers))
    events = [event for event in receive(stream, *case.frames) if isinstance(event, StreamStarted)]
    assert type(stream._decoder).__name__ == case.decoder
    (started,) = events
    assert (started.call_id, started.format) == (case.call_id, case.format)
    assert case.parameters.items() <= started.parameters.items()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(["event", "type", "version", "start", "callSid", "kind", "command", "media", "id"])
VALUES = JSON | st.sampled_from(["connected", "start", "open", "2", "media", "MEDIA_STAR", "websocket:", "connect"])
FRAMES = (
    st.binary(max_size=60)
    | st.text(max_size=60)
    | JSON.map(json.dumps)
    | st.dictionaries(KEYS, VALUES, max_size=5).map(json.dumps)
)


@settings(max_examples=1_000)
@given(st.lists(FRAMES, min_size=1, max_size=10))
def test_random_frames_start_no_stream(frames: list[str | bytes]) -> None:
    stream = AnyStream()
    for frame in frames:
        try:
            events = stream.receive(frame)
        except ProtocolError:
            return
        assert not any(isinstance(event, StreamStarted) for event in events)


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "hello",
        b"\0" * 320,
        "[]",
        "{}",
        '{"event":"clear"}',
        '{"kind":"AudioMetadata","audioMetadata":{}}',
        '{"command":"connect","version":"1","callId":"x"}',
    ],
    ids=str,
)
def test_an_unknown_dialect_is_refused_with_advice(frame: str | bytes) -> None:
    with pytest.raises(UnknownDialect) as error:
        AnyStream().receive(frame)
    assert "rate and channels" in str(error.value)[:MAX_REASON]


def test_the_address_may_name_the_dialect() -> None:
    with pytest.raises(UnknownDialect, match="dialect must be twilio"):
        AnyStream(Handshake({"dialect": "fax"}))
    stream = AnyStream(Handshake({"dialect": "jambonz"}))
    with pytest.raises(ProtocolError):
        stream.receive('{"event":"start","start":{"streamSid":"MZ1","callSid":"CA1"}}')


@pytest.mark.parametrize(("rate", "channels"), [("16000", "3"), ("16000", "x"), ("1", "1"), ("x", "1"), ("", "2")])
def test_a_wrong_declaration_is_an_error(rate: str, channels: str) -> None:
    stream = AnyStream(Handshake({"rate": rate, "channels": channels, "call_id": "c"}))
    with pytest.raises(ProtocolError, match=rf"rate {rate};|rate={rate};|channels={channels}"):
        stream.receive(b"\0" * 320)


@pytest.mark.parametrize(
    ("encoding", "rate", "codec", "ticks"),
    [
        ("audio/x-mulaw", "8000", Codec.MULAW, 8_000),
        ("PCMA", 8_000, Codec.ALAW, 8_000),
        ("G722", 8_000, Codec.G722, 8_000),
        ("G722", 16_000, Codec.G722, 8_000),
        ("OPUS", 16_000, Codec.OPUS, 48_000),
        ("L16", 16_000, Codec.S16, 16_000),
        ("audio/l16;rate=24000", None, Codec.S16, 24_000),
        ("L16@24000h", None, Codec.S16, 24_000),
        ("audio/x-l16", 48_000, Codec.S16, 48_000),
    ],
)
def test_the_formats_of_json_streams(encoding: str, rate: Any, codec: Codec, ticks: int) -> None:
    media = {"encoding": encoding} | ({} if rate is None else {"sampleRate": rate})
    start = {"event": "start", "start": {"streamSid": "MZ1", "callSid": "CA1", "mediaFormat": media}}
    (event,) = receive(AnyStream(), json.dumps(start))
    assert isinstance(event, StreamStarted)
    assert (event.format.codec, event.format.ticks_per_second) == (codec, ticks)


@pytest.mark.parametrize("encoding", ["AMR-WB", "speex", "audio/mp3"])
def test_a_codec_that_cannot_be_recorded_is_named(encoding: str) -> None:
    start = {"event": "start", "start": {"streamSid": "MZ1", "callSid": "CA1", "mediaFormat": {"encoding": encoding}}}
    with pytest.raises(ProtocolError, match=f"{encoding}.*allowed are mu-law"):
        AnyStream().receive(json.dumps(start))


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("ulaw", Codec.MULAW, 8_000),
        ("alaw", Codec.ALAW, 8_000),
        ("slin", Codec.S16, 8_000),
        ("slin12", Codec.S16, 12_000),
        ("slin44", Codec.S16, 44_100),
        ("slin48", Codec.S16, 48_000),
        ("g722", Codec.G722, 16_000),
        ("opus", Codec.OPUS, 48_000),
    ],
)
def test_the_formats_of_asterisk(name: str, codec: Codec, rate: int) -> None:
    message = f"MEDIA_START connection_id:x channel_id:1.2 format:{name} optimal_frame_size:160"
    (event,) = receive(AnyStream(), message)
    assert isinstance(event, StreamStarted)
    assert (event.format.codec, event.format.rate, event.format.tracks) == (codec, rate, 1)


@pytest.mark.parametrize("name", ["", "slin7", "slin1000000", "gsm", "g729"])
def test_a_format_of_asterisk_that_cannot_be_recorded_is_an_error(name: str) -> None:
    with pytest.raises(ProtocolError, match="format"):
        AnyStream().receive(f"MEDIA_START channel_id:1.2 format:{name}")
