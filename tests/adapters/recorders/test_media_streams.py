"""The Media Streams decoder: it accepts every valid message, and any other message is a `ProtocolError`."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamdouble.protocol import MediaStreamEncoder  # type: ignore[import-untyped]

from adapters.recorders.dialects.media_streams import (
    MAX_IGNORED,
    MAX_MESSAGE,
    TRANSITIONS,
    Audio,
    Connected,
    Dtmf,
    Ignored,
    Mark,
    MediaStream,
    ProtocolError,
    Side,
    State,
    StreamStarted,
    StreamStopped,
)
from adapters.recorders.dialects.stream_call import call_of
from recordings.model.recording import Direction


def started(**custom: str) -> tuple[MediaStream, MediaStreamEncoder, StreamStarted]:
    stream, encoder = MediaStream(), MediaStreamEncoder()
    stream.receive(json.dumps(encoder.connected()))
    event = stream.receive(json.dumps(encoder.start(tracks=["inbound", "outbound"], custom_parameters=custom)))
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
    assert [stream.receive(json.dumps(message)) for message in sent] == [
        Audio(Side.INBOUND, 0, b"\x01" * 160),
        Audio(Side.OUTBOUND, 0, b"\x02" * 160),
        Mark("hello"),
        Dtmf("5"),
        StreamStopped(),
    ]
    assert stream.state is State.STOPPED


def test_connected_comes_first() -> None:
    assert MediaStream().receive('{"event":"connected","protocol":"Call","version":"1.0.0"}') == Connected()


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
        '{"event": "media"}',
        '{"event": "media", "media": []}',
        '{"event": "stop", "x": ' + "[" * 20_000 + "]" * 20_000 + "}",
        "\ud800",
        '{"event": "connected"}',
        media(track="both"),
        media(track=None),
        media(payload=None),
        media(payload=""),
        media(payload="AAA"),
        media(payload="A A="),
        media(payload="____"),
        media(payload="AAA=AAA="),
        media(payload=7),
        media(timestamp=None),
        media(timestamp=""),
        media(timestamp="-20"),
        media(timestamp=-20),
        media(timestamp="1.5"),
        media(timestamp="２０"),  # noqa: RUF001 - digits that are not ASCII
        media(timestamp="9" * 11),
        media(timestamp=2**63),
        media(timestamp=2**80),
        media(timestamp=True),
        media(timestamp=1.5),
        media(payload="A" * MAX_MESSAGE),
        json.dumps({"event": "media", "streamSid": "MZother", "media": json.loads(media())["media"]}),
    ],
    ids=lambda message: message[:60].encode("ascii", "backslashreplace").decode(),
)
def test_garbage_is_an_error_and_ends_the_stream(message: str) -> None:
    stream, encoder, _ = started()
    with pytest.raises(ProtocolError):
        stream.receive(message)
    with pytest.raises(ProtocolError):
        stream.receive(json.dumps(encoder.media(b"\x01" * 160)))


@pytest.mark.parametrize("timestamp", ["0", "20", 20, "9" * 10])
def test_a_timestamp_is_a_text_or_a_number(timestamp: Any) -> None:
    stream, _, _ = started()
    event = stream.receive(media(timestamp=timestamp))
    assert isinstance(event, Audio)
    assert event.timestamp_ms == int(timestamp)


def start_message(**changes: Any) -> str:
    start = MediaStreamEncoder().start()
    start["start"] |= changes
    return json.dumps(start)


@pytest.mark.parametrize(
    "changes",
    [
        {"mediaFormat": {"encoding": "audio/l16", "sampleRate": 8000, "channels": 1}},
        {"mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 16000, "channels": 1}},
        {"mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 2}},
        {"mediaFormat": None},
        {"callSid": ""},
        {"callSid": "x" * 129},
        {"callSid": "a\nb"},
        {"streamSid": ""},
        {"customParameters": {"call_id": "x" * 129}},
        {"customParameters": {"n": 3}},
    ],
    ids=str,
)
def test_an_invalid_start_message_is_an_error(changes: dict[str, Any]) -> None:
    stream = MediaStream()
    stream.receive('{"event":"connected"}')
    with pytest.raises(ProtocolError):
        stream.receive(start_message(**changes))


MESSAGES: dict[str, Callable[[], str]] = {
    "connected": lambda: '{"event":"connected"}',
    "start": start_message,
    "media": media,
    "mark": lambda: '{"event":"mark","mark":{"name":"x"}}',
    "dtmf": lambda: '{"event":"dtmf","dtmf":{"digit":"1"}}',
    "stop": lambda: '{"event":"stop"}',
}
LEGAL = {
    (State.OPENED, "connected"),
    (State.CONNECTED, "start"),
    *((State.STARTED, kind) for kind in ("media", "mark", "dtmf", "stop")),
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
    stream = MediaStream()
    for before in MESSAGES_TO_REACH[state]:
        stream.receive(MESSAGES[before]())
    assert stream.state is state
    if (state, kind) in LEGAL:
        stream.receive(MESSAGES[kind]())
    else:
        with pytest.raises(ProtocolError):
            stream.receive(MESSAGES[kind]())
        assert stream.state is State.BROKEN


def test_the_state_table_has_no_other_transitions() -> None:
    assert len(TRANSITIONS) == len(LEGAL)


def test_a_limited_number_of_unknown_events_is_ignored() -> None:
    stream, _, _ = started()
    for _ in range(MAX_IGNORED):
        assert stream.receive('{"event":"weather","sky":"blue"}') == Ignored("weather")
    with pytest.raises(ProtocolError):
        stream.receive('{"event":"weather"}')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
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
    stream = MediaStream()
    broken = False
    for message in history:
        text = MESSAGES[message]() if message in MESSAGES else message
        try:
            stream.receive(text)
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
        event = stream.receive(damaged)
    except ProtocolError:
        return
    assert isinstance(event, Audio | Ignored)


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
