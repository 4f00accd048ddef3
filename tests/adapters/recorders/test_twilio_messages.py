"""The decoder of Twilio Media Streams: it accepts every valid message, and any other message is a `ProtocolError`."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamdouble.protocol import MediaStreamEncoder, StreamIdentity  # type: ignore[import-untyped]

from adapters.recorders.dialects.json_names import TRANSITIONS, State
from adapters.recorders.dialects.stream_call import call_of
from adapters.recorders.dialects.stream_events import (
    Audio,
    Connected,
    Dtmf,
    Event,
    Ignored,
    Mark,
    StreamStarted,
    StreamStopped,
)
from adapters.recorders.dialects.stream_format import StreamFormat
from adapters.recorders.dialects.stream_limits import MAX_IGNORED, MAX_MESSAGE, ProtocolError
from adapters.recorders.dialects.twilio import TwilioStream
from recordings.model.recording import Direction
from recordings.ports.audio import Codec
from tests.adapters.recorders.parts import Side


class Stream(TwilioStream):
    def one(self, message: str | bytes) -> Event:
        """Return the only event of a message."""
        (event,) = self.receive(message)
        return event


def started(**custom: str) -> tuple[Stream, MediaStreamEncoder, StreamStarted]:
    stream, encoder = Stream(), MediaStreamEncoder()
    stream.one(json.dumps(encoder.connected()))
    event = stream.one(json.dumps(encoder.start(tracks=["inbound", "outbound"], custom_parameters=custom)))
    assert isinstance(event, StreamStarted)
    return stream, encoder, event


def test_a_whole_stream_of_an_independent_encoder() -> None:
    stream, encoder, start = started(team="blue")
    sent = [
        encoder.media(b"\x01" * 160),
        encoder.media(b"\x02" * 160, track="outbound"),
        encoder.mark("hello"),
        encoder.dtmf("5"),
        encoder.stop(),
    ]
    assert start.call_id == encoder.identity.call_sid
    assert (start.tracks, start.parameters) == (("inbound", "outbound"), {"team": "blue"})
    assert [stream.one(json.dumps(message)) for message in sent] == [
        Audio(Side.INBOUND, 0, b"\x01" * 160),
        Audio(Side.OUTBOUND, 0, b"\x02" * 160),
        Mark("hello"),
        Dtmf("5"),
        StreamStopped(),
    ]
    assert stream.state is State.STOPPED


def test_connected_comes_first() -> None:
    assert Stream().one('{"event":"connected","protocol":"Call","version":"1.0.0"}') == Connected()


def media(**changes: Any) -> str:
    payload = base64.b64encode(b"\x01" * 160).decode()
    body = {"track": "inbound", "chunk": "1", "timestamp": "20", "payload": payload} | changes
    return json.dumps({"event": "media", "media": {name: value for name, value in body.items() if value is not None}})


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "[]",
        "null",
        '"media"',
        "{}",
        '{"event": 3}',
        '{"event": null}',
        '{"event": "stop", "x": ' + "[" * 20_000 + "]" * 20_000 + "}",
        "\ud800",
        b"\x00\x01",
        media(payload="A" * MAX_MESSAGE),
    ],
    ids=lambda message: str(message)[:60].encode("ascii", "backslashreplace").decode(),
)
def test_garbage_is_an_error_and_ends_the_stream(message: str | bytes) -> None:
    stream, encoder, _ = started()
    with pytest.raises(ProtocolError):
        stream.one(message)
    with pytest.raises(ProtocolError):
        stream.one(json.dumps(encoder.media(b"\x01" * 160)))


@pytest.mark.parametrize(
    ("message", "payload"),
    [
        ('{"event": "media"}', b""),
        ('{"event": "media", "media": []}', b""),
        (media(payload=None), b""),
        (media(payload=""), b""),
        (media(payload="AAA"), b"\0\0"),
        (media(payload="A A=\r\n="), b"\0"),
        (media(payload="____"), b"\xff\xff\xff"),
        (media(payload="-_8"), b"\xfb\xff"),
        (media(track=None), b"\x01" * 160),
        (media(track="inbound_track"), b"\x01" * 160),
        (media(track="INBOUND"), b"\x01" * 160),
        (media(track="mixed"), b"\x01" * 160),
        (media(chunk={"x": []}, extra=["y"] * 1_000), b"\x01" * 160),
        (media().encode(), b"\x01" * 160),
        (media().replace('"streamSid"', '"sequenceNumber": null, "streamSid"'), b"\x01" * 160),
    ],
    ids=str,
)
def test_audio_in_an_unusual_form_is_audio(message: str | bytes, payload: bytes) -> None:
    stream, _, _ = started()
    event = stream.one(message)
    assert isinstance(event, Audio)
    assert (event.track, event.payload) == (Side.INBOUND, payload)
    assert event.at_ms == (20 if "timestamp" in str(message) else 0)


@pytest.mark.parametrize("timestamp", [None, "", "-20", -20, "x", True, [], 2**80, "9" * 30, "２０"])  # noqa: RUF001
def test_audio_without_a_usable_timestamp_follows_the_last_audio(timestamp: Any) -> None:
    stream, _, _ = started()
    for track in ("inbound", "outbound"):
        for at in (100, 120, 140):
            event = stream.one(media(track=track, timestamp=timestamp if at > 100 else at))
            assert isinstance(event, Audio)
            assert event.at_ms == at


@pytest.mark.parametrize(
    "message",
    [
        media(payload="!"),
        media(payload="AAAAA"),
        media(payload="AAA=AAA="),
        media(payload=7),
        json.dumps({"event": "media", "streamSid": "MZother", "media": json.loads(media())["media"]}),
        '{"event": "start"}',
        '{"event": "start", "start": null}',
        '{"event": "clear"}',
        '{"event": ""}',
    ],
    ids=str,
)
def test_a_message_that_cannot_be_used_is_ignored_unless_many_follow_each_other(message: str) -> None:
    stream, _, _ = started()
    for _ in range(3):
        for _ in range(MAX_IGNORED):
            assert isinstance(stream.one(message), Ignored)
        assert isinstance(stream.one(media()), Audio)
    for _ in range(MAX_IGNORED):
        stream.one(message)
    with pytest.raises(ProtocolError, match="in a row"):
        stream.one(message)


def test_an_unusual_track_is_recorded_unless_there_is_a_usual_one() -> None:
    def sides(*tracks: str) -> list[int | None]:
        stream, _, _ = started()
        events = [stream.one(media(track=track)) for track in tracks]
        return [event.track if isinstance(event, Audio) else None for event in events]

    assert sides("caller", "caller", "agent", "outbound") == [Side.INBOUND, Side.INBOUND, None, Side.OUTBOUND]
    assert sides("mixed", "inbound", "mixed", "outbound") == [Side.INBOUND, Side.INBOUND, None, Side.OUTBOUND]


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ('{"event":"mark"}', Mark("")),
        ('{"event":"mark","mark":null}', Mark("")),
        ('{"event":"mark","mark":{"name":null}}', Mark("")),
        ('{"event":"mark","mark":{"name":7}}', Mark("7")),
        ('{"event":"mark","mark":"x"}', Mark("")),
        ('{"event":"dtmf"}', Dtmf("")),
        ('{"event":"dtmf","dtmf":{"digit":5}}', Dtmf("5")),
        ('{"event":"dtmf","dtmf":{"digit":["5"]}}', Dtmf("")),
        ('{"event":"connected","protocol":null,"version":1}', Connected()),
        ('{"event":"stop","stop":null,"sequenceNumber":"x"}', StreamStopped()),
        ('{"event":"stop","stop":[],"streamSid":7}', StreamStopped()),
    ],
)
def test_events_without_their_usual_body(message: str, event: object) -> None:
    stream, _, _ = started()
    assert stream.one(message) == event


@pytest.mark.parametrize(
    "timestamp", ["0", "20", 20, "9" * 10, "20.0", 20.9, " 20 ", "1732645000123", 1_732_645_000_123]
)
def test_a_timestamp_is_a_text_or_a_number(timestamp: Any) -> None:
    stream, _, _ = started()
    event = stream.one(media(timestamp=timestamp))
    assert isinstance(event, Audio)
    assert event.at_ms == int(float(timestamp))


def start_message(**changes: Any) -> str:
    start = MediaStreamEncoder().start()
    start["start"] |= changes
    return json.dumps(start)


@pytest.mark.parametrize(
    "changes",
    [
        {"mediaFormat": {"encoding": "audio/AMR-WB", "sampleRate": 16000, "channels": 1}},
        {"mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 16000, "channels": 1}},
        {"mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 2}},
        {"mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": "16000"}},
        {"callSid": ""},
        {"callSid": None, "customParameters": None},
        {"callSid": "x" * 129},
        {"callSid": "a\nb"},
        {"streamSid": "x" * 129},
        {"customParameters": {"call_id": "x" * 129}},
    ],
    ids=str,
)
def test_an_invalid_start_message_is_an_error(changes: dict[str, Any]) -> None:
    stream = Stream()
    stream.one('{"event":"connected"}')
    with pytest.raises(ProtocolError):
        stream.one(start_message(**changes))


@pytest.mark.parametrize(
    ("changes", "parameters"),
    [
        ({"customParameters": None}, {}),
        ({"customParameters": []}, {}),
        ({"customParameters": "x"}, {}),
        (
            {"customParameters": {"n": 3, "b": True, "x": None, "": "y", "list": [1]}},
            {"n": "3", "b": "true", "list": ""},
        ),
        ({"customParameters": [{"name": "a", "value": "b"}, {"value": "c"}, 5]}, {"a": "b"}),
        ({"customParameters": None, "accountSid": None, "tracks": None, "mediaFormat": None, "streamSid": None}, {}),
        ({"customParameters": None, "tracks": "inbound", "mediaFormat": {}}, {}),
        (
            {
                "customParameters": {},
                "mediaFormat": {"encoding": "PCMU;rate=8000", "sampleRate": "8000", "channels": "1"},
            },
            {},
        ),
    ],
    ids=str,
)
def test_a_start_message_with_null_or_unusual_values(changes: dict[str, Any], parameters: dict[str, str]) -> None:
    stream = Stream()
    event = stream.one(start_message(**changes))
    assert isinstance(event, StreamStarted)
    assert event.parameters == parameters
    assert isinstance(stream.one(media()), Audio)
    assert call_of(event, "acc", 5).call_id == event.call_id


def test_a_repeated_start_of_the_same_call_is_a_start_and_of_another_call_an_error() -> None:
    stream, encoder, first = started()
    again = MediaStreamEncoder(StreamIdentity(call_sid=first.call_id))
    assert stream.one(json.dumps(encoder.connected())) == Connected()
    event = stream.one(json.dumps(again.start()))
    assert isinstance(event, StreamStarted)
    assert (event.call_id, event.stream_id != first.stream_id) == (first.call_id, True)
    assert isinstance(stream.one(json.dumps(again.media(b"\x01" * 160))), Audio)
    with pytest.raises(ProtocolError, match="second call"):
        stream.one(start_message())


L16 = {"encoding": "audio/x-l16", "sampleRate": 16_000}


@pytest.mark.parametrize("again", [None, {}, {"encoding": "audio/x-l16"}, L16], ids=str)
def test_a_repeated_start_keeps_the_format_and_the_sides(again: Any) -> None:
    stream = Stream()
    first = {"callSid": "call-1", "mediaFormat": L16}
    stream.one(start_message(**first, customParameters={"direction": "outbound"}))
    before = stream.one(media())
    event = stream.one(start_message(**first | {"mediaFormat": again}, customParameters=None))
    assert isinstance(event, StreamStarted)
    assert event.format == StreamFormat(Codec.S16, 16_000)
    assert stream.one(media()) == before


@pytest.mark.parametrize("again", [{"encoding": "audio/x-mulaw", "sampleRate": 8_000}, L16 | {"sampleRate": 8_000}])
def test_a_repeated_start_with_another_format_is_an_error(again: Any) -> None:
    stream = Stream()
    stream.one(start_message(callSid="call-1", mediaFormat=L16))
    with pytest.raises(ProtocolError, match="mediaFormat changed within the stream"):
        stream.one(start_message(callSid="call-1", mediaFormat=again))


MESSAGES: dict[str, Callable[[], str]] = {
    "connected": lambda: '{"event":"connected"}',
    "start": start_message,
    "media": media,
    "mark": lambda: '{"event":"mark","mark":{"name":"x"}}',
    "dtmf": lambda: '{"event":"dtmf","dtmf":{"digit":"1"}}',
    "stop": lambda: '{"event":"stop"}',
}
MESSAGES_TO_REACH = {
    State.OPENED: (),
    State.CONNECTED: ("connected",),
    State.STARTED: ("connected", "start"),
    State.STOPPED: ("connected", "start", "stop"),
}


@pytest.mark.parametrize("kind", MESSAGES)
@pytest.mark.parametrize("state", MESSAGES_TO_REACH)
def test_the_state_table(state: State, kind: str) -> None:
    stream = Stream()
    start = start_message()
    for before in MESSAGES_TO_REACH[state]:
        stream.one(start if before == "start" else MESSAGES[before]())
    assert stream.state is state
    message = start if kind == "start" else MESSAGES[kind]()
    if state is State.STOPPED:
        with pytest.raises(ProtocolError, match="after the end"):
            stream.one(message)
        assert stream.state is State.BROKEN
    elif kind in {"media", "mark", "dtmf"} and state is not State.STARTED:
        assert stream.one(message) == Ignored(kind)
        assert stream.state is state
    else:
        assert not isinstance(stream.one(message), Ignored)
        assert stream.state is TRANSITIONS[state, kind]


def test_a_limited_number_of_unknown_events_is_ignored() -> None:
    stream, _, _ = started()
    for _ in range(MAX_IGNORED):
        assert stream.one('{"event":"weather","sky":"blue"}') == Ignored("weather")
    with pytest.raises(ProtocolError):
        stream.one('{"event":"weather"}')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(["event", "start", "media", "mark", "dtmf", "stop", "streamSid", "track", "payload"])
LIKELY = st.dictionaries(NAMES, JSON | NAMES | st.dictionaries(NAMES, JSON | NAMES), max_size=5)
HISTORIES = st.lists(
    st.text(max_size=200) | JSON.map(json.dumps) | LIKELY.map(json.dumps) | st.sampled_from(list(MESSAGES)), max_size=12
)


@given(HISTORIES)
def test_any_message_gives_an_event_or_a_protocol_error(history: list[str]) -> None:
    stream = Stream()
    broken = False
    for message in history:
        text = MESSAGES[message]() if message in MESSAGES else message
        try:
            stream.one(text)
            assert not broken
        except ProtocolError:
            broken = True
            assert stream.state is State.BROKEN


@given(st.data())
def test_a_damaged_message_raises_no_other_exception(data: st.DataObject) -> None:
    stream, _, _ = started()
    message = media()
    position = data.draw(st.integers(0, len(message)))
    length = data.draw(st.integers(0, 5))
    damaged = message[:position] + data.draw(st.text(max_size=5)) + message[position + length :]
    try:
        event = stream.one(damaged)
    except ProtocolError:
        return
    assert isinstance(event, Audio | Ignored)


def spelled(data: st.DataObject, payload: bytes) -> str:
    """Return base64 as some sender may write it."""
    encode = data.draw(st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]))
    text = encode(payload).decode()
    if data.draw(st.booleans()):
        text = text.rstrip("=")
    place = data.draw(st.integers(0, len(text)))
    return text[:place] + data.draw(st.text(" \r\n\t", max_size=3)) + text[place:]


@given(st.data(), st.binary(max_size=400), st.integers(0, 10**7), st.sampled_from(list(Side)))
def test_any_spelling_of_a_media_message_gives_the_same_audio(
    data: st.DataObject, payload: bytes, timestamp: int, side: Side
) -> None:
    stream, _, start = started()
    body = data.draw(st.dictionaries(st.text(max_size=9), JSON, max_size=3)) | {
        "track": data.draw(st.sampled_from([side.name.lower(), side.name, f"{side.name.lower()}_track"])),
        "timestamp": data.draw(st.sampled_from([timestamp, str(timestamp), float(timestamp), f" {timestamp}.0"])),
        "payload": spelled(data, payload),
    }
    others = data.draw(st.dictionaries(st.text(max_size=9), JSON, max_size=3))
    message = others | {"streamSid": data.draw(st.sampled_from([start.stream_id, "", None]))}
    text = json.dumps(message | {"event": "media", "media": body}, ensure_ascii=data.draw(st.booleans()))
    sent = text.encode("utf-8", "replace") if data.draw(st.booleans()) else text.encode("utf-8", "replace").decode()
    assert stream.one(sent) == Audio(side, timestamp, payload)


def test_known_parameters_fill_the_call_and_a_limited_number_of_others_is_kept() -> None:
    parameters = {
        "from": "alice",
        "to": "bob@sip.example",
        "caller_id_name": "Alice\x00\x07 A.",
        "caller_id_number": "+15551",
        "callee_id_name": "Bob",
        "callee_id_number": "7",
        "direction": "inbound",
        "owner_id": "o1",
        "interaction_id": "i1",
        "endpoint_id": "e1",
        "call_id": "mine",
        "te.am$": "blue",
        "long": "x" * 10_000,
        "empty": "",
    } | {f"extra{number}": "1" for number in range(100)}
    _, _, start = started(**parameters)
    call = call_of(start, "acc", 5)
    assert (call.account_id, call.call_id, call.started) == ("acc", "mine", 5)
    assert (call.from_, call.to, call.caller_id_name) == ("alice", "bob@sip.example", "Alice A.")
    assert (call.caller_id_number, call.callee_id_name, call.callee_id_number) == ("+15551", "Bob", "7")
    assert (call.owner_id, call.interaction_id, call.endpoint_id) == ("o1", "i1", "e1")
    assert call.direction is Direction.INBOUND
    kept = call.custom_channel_vars
    assert kept["te_am_"] == "blue"
    assert len(kept["long"]) == 256
    assert "empty" not in kept
    assert len(kept) == 32


def test_a_stream_without_parameters_is_a_call() -> None:
    _, encoder, start = started(direction="sideways")
    call = call_of(start, "acc", 5)
    assert (call.call_id, call.from_, call.to, call.direction) == (encoder.identity.call_sid, "", "", None)
    assert call.custom_channel_vars == {
        "Stream-SID": encoder.identity.stream_sid,
        "Account-SID": encoder.identity.account_sid,
    }
