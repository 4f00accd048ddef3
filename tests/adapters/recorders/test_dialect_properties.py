"""Messages that are split, joined or damaged: the same audio, or a `ProtocolError`."""

import base64
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.recorders.dialects.audiosocket import AudioSocketFrames
from adapters.recorders.dialects.detect import AnyStream, Handshake
from adapters.recorders.dialects.stream_events import Audio, Event, StreamStarted, StreamStopped
from adapters.recorders.dialects.stream_limits import MAX_MESSAGE, ProtocolError
from adapters.recorders.dialects.twilio import TwilioStream
from tests.adapters.recorders.first_frames import FIRST_FRAMES, SESSION, FirstFrames

MEDIA = {"track": "inbound", "chunk": "1", "timestamp": "20", "payload": base64.b64encode(b"\x01\x02" * 80).decode()}


def audiohook(kind: str, seq: int, serverseq: int, **parameters: object) -> str:
    message = {"version": "2", "type": kind, "id": SESSION, "seq": seq, "serverseq": serverseq, "position": "PT1S"}
    return json.dumps(message | {"parameters": parameters})


LATER: Mapping[str, Sequence[str | bytes]] = {
    "TwilioStream": [json.dumps({"event": "media", "media": MEDIA}), '{"event":"stop"}'],
    "TelnyxStream": [json.dumps({"event": "media", "stream_id": "32DE0DEA", "media": MEDIA}), '{"event":"stop"}'],
    "PlivoStream": [json.dumps({"event": "media", "media": MEDIA}), '{"event":"dtmf","dtmf":{"digit":"1"}}'],
    "ExotelStream": [json.dumps({"event": "media", "media": MEDIA}), '{"event":"stop"}'],
    "VonageStream": [b"\x01\x02" * 160, '{"event":"websocket:dtmf","digit":"1"}', b"\x01\x02" * 160],
    "JambonzStream": [b"\x01\x02" * 160, '{"event":"dtmf","dtmf":"1"}', b"\x01\x02" * 160],
    "DeclaredStream": [b"\x01\x02" * 160, b"\x01\x02" * 160],
    "AsteriskStream": [b"\x01\x02" * 160, "MEDIA_XOFF", '{"event":"DTMF_END","digit":"1"}', b"\x01\x02" * 160],
    "AudioHookStream": [
        b"\x01\x02" * 800,
        audiohook("ping", 2, 1, rtt="PT0.01S"),
        audiohook("paused", 3, 2),
        audiohook("resumed", 4, 2, start="PT1S", discarded="PT2.5S"),
        b"\x01\x02" * 800,
        audiohook("discarded", 5, 2, start="PT4S", discarded="PT1S"),
        audiohook("close", 6, 2, reason="end"),
    ],
}


def session(case: FirstFrames) -> list[str | bytes]:
    return [*case.frames, *LATER[case.decoder]]


def stream_of(case: FirstFrames) -> AnyStream:
    return AnyStream(Handshake(case.query, case.subprotocols, case.headers))


@pytest.mark.parametrize("name", FIRST_FRAMES)
def test_a_whole_session_has_audio(name: str) -> None:
    stream = stream_of(FIRST_FRAMES[name])
    events = [event for frame in session(FIRST_FRAMES[name]) for event in stream.receive(frame)]
    assert sum(isinstance(event, StreamStarted) for event in events) == 1
    assert any(isinstance(event, Audio) and event.payload for event in events)


@settings(max_examples=400)
@given(st.data(), st.sampled_from(list(FIRST_FRAMES)))
def test_any_damage_is_at_worst_a_protocol_error(data: st.DataObject, name: str) -> None:
    case = FIRST_FRAMES[name]
    frames = session(case)
    index = data.draw(st.integers(0, len(frames) - 1))
    frame = frames[index]
    raw = bytearray(frame.encode() if isinstance(frame, str) else frame)
    kind = data.draw(st.sampled_from(["flip", "cut", "repeat", "join", "insert"]))
    place = data.draw(st.integers(0, max(0, len(raw) - 1)))
    if kind == "flip" and raw:
        raw[place] ^= data.draw(st.integers(1, 255))
    elif kind == "cut":
        del raw[place : place + data.draw(st.integers(1, 40))]
    elif kind == "repeat":
        raw *= 2
    elif kind == "join":
        following = frames[(index + 1) % len(frames)]
        raw += following.encode() if isinstance(following, str) else following
    else:
        raw[place:place] = data.draw(st.binary(max_size=8))
    damaged: str | bytes = bytes(raw)
    if isinstance(frame, str):
        damaged = bytes(raw).decode("utf-8", data.draw(st.sampled_from(["replace", "ignore"])))
    stream = stream_of(case)
    with suppress(ProtocolError):
        for each in [*frames[:index], damaged, *frames[index + 1 :]]:
            stream.receive(each)


VALUES: Mapping[str, Sequence[Any]] = {
    "track": ["inbound", "outbound", "INBOUND", "both_tracks", None, 1],
    "timestamp": [
        "20",
        20,
        20.0,
        "20.5",
        "+20",
        " 20",
        "-1",
        -1,
        2**53,
        "1e3",
        "1E2",
        "1e-3",
        "1e400",
        "20.0",
        "00020",
        "-0",
        "0x10",
        "1_0",
        "inf",
        "",
        None,
        True,
        [20],
    ],
    "payload": ["AQID", "AQI=", "AQI", "A-_/", "AQ ID", "", "!", None, 7, "\u00e9"],
    "chunk": ["1", 1, None, {"x": "y"}, "\u00e9"],
}
STREAM_IDS: Sequence[Any] = ["MZ1", "MZ2", "", None, 3]


class CompleteParser(TwilioStream):
    """Twilio's decoder without its quick way."""

    def audio(self, message: str | bytes, is_text: bool = True) -> None:
        return None


@settings(max_examples=200)
@given(st.lists(st.fixed_dictionaries({}, optional={"streamSid": st.sampled_from(STREAM_IDS), **{
    name: st.sampled_from(values) for name, values in VALUES.items()
}}), max_size=6), st.booleans(), st.booleans())  # fmt: skip
def test_the_quick_parser_and_the_complete_one_agree(bodies: list[dict[str, Any]], as_bytes: bool, tidy: bool) -> None:
    quick, complete = TwilioStream(), CompleteParser()
    messages: list[str | bytes] = list(FIRST_FRAMES["twilio"].frames)
    for body in bodies:
        given_id = {"streamSid": body.pop("streamSid")} if "streamSid" in body else {}
        text = json.dumps({"event": "media", "media": MEDIA | body if tidy else body} | given_id, ensure_ascii=False)
        messages.append(text.encode() if as_bytes else text)
    for message in messages:
        results: list[Sequence[Event] | str] = []
        for stream in (quick, complete):
            try:
                results.append(stream.receive(message))
            except ProtocolError as error:
                results.append(str(error))
        assert results[0] == results[1]


BINARY = ["vonage", "jambonz", "mod_audio_stream", "asterisk"]


@given(st.data(), st.sampled_from(BINARY), st.binary(min_size=4, max_size=400))
def test_any_division_of_the_audio_gives_the_same_bytes(data: st.DataObject, name: str, sound: bytes) -> None:
    case = FIRST_FRAMES[name]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sound)), max_size=8)))
    parts = [sound[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(sound)], strict=True)]
    starts = [frame for frame in case.frames if isinstance(frame, str)]

    def tracks(pieces: Sequence[bytes]) -> list[bytes]:
        stream = stream_of(case)
        sent: list[str | bytes] = [*starts, *pieces]
        events = [event for frame in sent for event in stream.receive(frame)]
        audios = [event for event in events if isinstance(event, Audio)]
        return [b"".join(audio.payload for audio in audios if audio.track == track) for track in (0, 1)]

    whole = len(sound) - len(sound) % (2 * case.format.tracks)
    left, right = tracks(parts)
    assert (left, right) == tuple(tracks([sound]))
    assert len(left) + len(right) == whole


@pytest.mark.parametrize("name", BINARY)
def test_a_message_that_is_too_long_is_an_error(name: str) -> None:
    stream = stream_of(FIRST_FRAMES[name])
    for frame in FIRST_FRAMES[name].frames:
        stream.receive(frame)
    with pytest.raises(ProtocolError, match="at most"):
        stream.receive(bytes(MAX_MESSAGE + 1))


UUID = bytes(range(16))
AUDIOSOCKET = b"\x01\x00\x10" + UUID + b"\x12\x00\x04abcd" + b"\x03\x00\x015" + b"\x12\x00\x02ef" + b"\x00\x00\x00"


def audiosocket(pieces: Sequence[bytes]) -> list[Event]:
    frames = AudioSocketFrames()
    events: list[Event] = []
    for piece in pieces:
        events += frames.receive(piece)
        if frames.uuid is not None:
            frames.parameters = {"call_id": "c"}
            events += frames.receive(b"")
    return events


@given(st.lists(st.integers(0, len(AUDIOSOCKET)), max_size=12))
def test_any_division_of_an_audiosocket_connection_gives_the_same_events(places: list[int]) -> None:
    cuts = sorted(places)
    pieces = [AUDIOSOCKET[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(AUDIOSOCKET)], strict=True)]
    events = audiosocket(pieces)
    assert events == audiosocket([AUDIOSOCKET])
    assert isinstance(events[0], StreamStarted)
    assert b"".join(event.payload for event in events if isinstance(event, Audio)) == b"abcdef"
    assert events[-1] == StreamStopped()


def test_audio_before_an_invalid_audiosocket_frame_is_heard() -> None:
    frames = AudioSocketFrames()
    frames.receive(AUDIOSOCKET[:19])
    frames.parameters = {"call_id": "c"}
    events = frames.receive(b"\x10\x00\x02ab" + b"\x10\x00\x02cd" + b"\x10\x00\x01x" + b"\x10\x00\x02ef")
    assert b"".join(event.payload for event in events if isinstance(event, Audio)) == b"abcd"
    assert frames.is_invalid
    with pytest.raises(ProtocolError, match="half a sample"):
        frames.receive(b"")


@given(st.integers(0, len(AUDIOSOCKET) - 1), st.integers(1, 255), st.binary(max_size=30))
def test_a_damaged_audiosocket_connection_is_at_worst_a_protocol_error(at: int, change: int, rest: bytes) -> None:
    damaged = bytearray(AUDIOSOCKET + rest)
    damaged[at] ^= change
    with suppress(ProtocolError):
        audiosocket([bytes(damaged)])


@pytest.mark.parametrize("first", [b"\x00", b"\x01\x00\x11", b"GET / HTTP/1.1", b"\x01\x01", b"\x10\x01\x40"])
def test_a_connection_without_a_uuid_is_an_error_at_once(first: bytes) -> None:
    with pytest.raises(ProtocolError, match="UUID"):
        AudioSocketFrames().receive(first)
