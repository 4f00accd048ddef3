"""FreeSWITCH's Event Socket: captured traffic, and any split, merge and damage of it."""

import json
import random
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.recorders.freeswitch import esl_protocol
from adapters.recorders.freeswitch.esl_protocol import (
    AuthRequest,
    EslProtocol,
    Farewell,
    Message,
    ProtocolError,
    Refusal,
    Reply,
    SwitchEvent,
    command,
    is_argument,
    variables,
)
from tests.adapters.recorders.esl_transcript import NAMES, Step, read_transcript

STEPS = [step for name in NAMES for step in read_transcript(name)]
WIRE = b"Content-Type: auth/request\n\n" + b"".join(step.wire for step in STEPS)
JSON_EVENT = {"Event-Name": "RECORD_START", "Unique-ID": "50%41", "Record-File-Path": "/x/é.wav", "_body": "b"}
OTHERS = (
    b"Content-Type: text/disconnect-notice\nContent-Length: 7\n\nGoodbye"
    b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n"
    b"\nContent-Type: log/data\nContent-Length: 2\nLog-Level: 7\n\nhi"
    b"Content-Type: command/reply\nReply-Text: +OK Job-UUID: 7\nJob-UUID: 7\n\n"
)


def decode(chunks: Iterable[bytes]) -> list[Message]:
    protocol = EslProtocol()
    return [message for chunk in chunks for message in protocol.feed(chunk)]


WHOLE = decode([WIRE + OTHERS])


def test_the_captured_traffic_has_all_its_replies_and_events() -> None:
    messages = decode([WIRE])
    assert isinstance(messages[0], AuthRequest)
    for step, message in zip(STEPS, messages[1:], strict=True):
        if step.command:
            assert message == Reply(step.reply)
            assert message.is_error == step.reply.startswith(("-ERR", "-USAGE"))
        else:
            assert isinstance(message, SwitchEvent)
            _same_event(step, message)


def _same_event(step: Step, event: SwitchEvent) -> None:
    assert event.name == step.name
    for header in ("Unique-ID", "Record-File-Path", "Recording-Variable-recording_id", "Event-Sequence"):
        assert event.get(header) == step.headers.get(header, "")


def test_values_are_decoded() -> None:
    event = next(each for each in WHOLE if isinstance(each, SwitchEvent) and each.get("Event-Date-Local"))
    assert event.get("Event-Date-Local") == "2026-11-22 07:04:55"
    assert event.get("FreeSWITCH-IPv6") == "fd00::2"
    assert event.variable("loopback_leg") == "A"
    assert event.get("none") == event.variable("none") == ""


def test_an_empty_value_is_empty() -> None:
    """FreeSWITCH writes `_undef_` for it in a plain event."""
    body = b"Event-Name: CHANNEL_CREATE\nvariable_recordings_account: _undef_\n\n"
    (event,) = decode([b"Content-Length: %d\nContent-Type: text/event-plain\n\n%b" % (len(body), body)])
    assert isinstance(event, SwitchEvent)
    assert event.variable("recordings_account") == ""


def test_other_messages() -> None:
    assert decode([OTHERS]) == [
        Farewell("Goodbye"),
        Refusal("Access Denied, go away."),
        Reply("+OK Job-UUID: 7"),
    ]


def test_an_event_in_json() -> None:
    body = json.dumps(JSON_EVENT).encode()
    (event,) = decode([b"Content-Length: %d\nContent-Type: text/event-json\n\n%b" % (len(body), body)])
    assert isinstance(event, SwitchEvent)
    assert (event.name, event.get("Unique-ID"), event.body) == ("RECORD_START", "50%41", "b")
    assert event.get("Record-File-Path") == "/x/é.wav"


def test_an_event_with_a_body_of_its_own() -> None:
    body = b"Event-Name: BACKGROUND_JOB\nContent-Length: 12\n\n+OK Success\n"
    (event,) = decode([b"Content-Length: %d\nContent-Type: text/event-plain\n\n%b" % (len(body), body)])
    assert isinstance(event, SwitchEvent)
    assert (event.name, event.body) == ("BACKGROUND_JOB", "+OK Success\n")


@given(st.lists(st.integers(0, len(WIRE + OTHERS)), max_size=40))
def test_every_split_gives_the_same_messages(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(WIRE + OTHERS)]
    data = WIRE + OTHERS
    assert decode(data[one:two] for one, two in pairwise(edges)) == WHOLE


def test_single_bytes_give_the_same_messages() -> None:
    length = len(b"".join(step.wire for step in STEPS[:9])) + len(b"Content-Type: auth/request\n\n")
    data = WIRE[:length] + OTHERS
    assert decode(data[at : at + 1] for at in range(len(data))) == decode([data])


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_a_close_inside_a_header_block_gives_only_whole_messages(cut: int) -> None:
    data = WIRE[: len(WIRE) - cut]
    assert decode([data]) == WHOLE[: len(decode([data]))]


@given(st.integers(0, 12_000), st.integers(1, 255), st.integers(1, 3))
def test_a_damaged_byte_is_at_worst_a_protocol_error(at: int, flip: int, number: int) -> None:
    data = bytearray(WIRE[:12_000] + OTHERS)
    for each in range(number):
        data[(at + each * 997) % len(data)] ^= flip
    pick = random.Random(at)
    edges = [0, *sorted(pick.choices(range(len(data)), k=5)), len(data)]
    whole, split = _outcome([bytes(data)]), _outcome(bytes(data[a:b]) for a, b in pairwise(edges))
    assert whole == split


def _outcome(chunks: Iterable[bytes]) -> object:
    try:
        return decode(chunks)
    except ProtocolError as error:
        return str(error)


@given(st.binary(max_size=2_000))
def test_any_bytes_are_at_worst_a_protocol_error(data: bytes) -> None:
    _outcome([data])


@pytest.mark.parametrize(
    "data",
    [
        b"Content-Type: api/response\nContent-Length: -1\n\n",
        b"Content-Type: api/response\nContent-Length: 1e3\n\n",
        b"Content-Type: api/response\nContent-Length: %d\n\n" % (esl_protocol.MAX_BODY + 1),
        b"Content-Type: api/response\nContent-Length: 9999999999\n\n",
        b"HTTP/1.1 400 Bad Request\n\n",
        b"no header\n\n",
        b"Name: value\n\n",
        b"a" * (esl_protocol.MAX_HEADERS + 1),
        b"a:b\n" * (esl_protocol.MAX_HEADERS // 2) + b"\n",
        b"Content-Type: text/event-json\nContent-Length: 2\n\n[]",
        b"Content-Type: text/event-json\nContent-Length: 1\n\n{",
        b"Content-Type: text/event-json\nContent-Length: 5000\n\n" + b"[" * 5_000,
        b"Content-Type: text/event-plain\nContent-Length: 4\n\nabcd",
    ],
)
def test_wrong_bytes_are_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode([data])


def test_the_memory_for_headers_is_limited() -> None:
    with pytest.raises(ProtocolError, match="longer than"):
        decode(b"ab" for _ in range(esl_protocol.MAX_HEADERS))


def test_a_command_cannot_end_early() -> None:
    assert command("auth", "a b") == b"auth a b\n\n"
    for text in ("a\nb", "a\rb", "a\0b"):
        with pytest.raises(ValueError, match="control characters"):
            command("auth", text)


@pytest.mark.parametrize(
    ("text", "is_one"), [("a-b", True), ("", False), ("a b", False), ("a\tb", False), ("é", False)]
)
def test_an_argument_has_no_space(text: str, is_one: bool) -> None:
    assert is_argument(text) is is_one


def test_the_variables_of_a_recording() -> None:
    assert variables({"recording_id": "1", "RECORD_STEREO": "true"}) == "{recording_id=1,RECORD_STEREO=true}"
