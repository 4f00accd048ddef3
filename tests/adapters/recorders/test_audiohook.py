"""Genesys AudioHook: the captured sessions of Genesys's own client, positions, numbers and signatures."""

import base64
import hmac
import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from adapters.recorders.dialects import audiohook_signature
from adapters.recorders.dialects.audiohook import PROBE, AudioHookStream
from adapters.recorders.dialects.stream_events import (
    Audio,
    Discarded,
    Event,
    Paused,
    Reply,
    StreamStarted,
    StreamStopped,
)
from adapters.recorders.dialects.stream_limits import ProtocolError
from tests.adapters.recorders.first_frames import AUDIOHOOK, CONVERSATION

SESSIONS = (Path(__file__).parent / "captured" / "audiohook.txt").read_text(encoding="utf-8").split("PATH ")[1:]
FRAME = bytes(range(256)) * 12 + bytes(128)


def opening(**changes: Any) -> str:
    message = json.loads(AUDIOHOOK)
    message["parameters"] |= changes
    return json.dumps(message)


def replies(events: list[Event]) -> list[dict[str, Any]]:
    return [json.loads(event.message) for event in events if isinstance(event, Reply)]


def lines(session: str, arrow: str) -> list[dict[str, Any]]:
    """Return the messages of one side. The long ones are cut in the captured text; their beginning is complete."""
    found = []
    for line in session.splitlines():
        if line.startswith(f"  {arrow} "):
            text = line[5:]
            head = re.match(r'.*?"type": ?"open(?:ed)?".*?(?=, ?"parameters")', text)
            found.append(json.loads(f"{head[0]}}}" if head else text))
    return found


def test_the_captured_session_gets_the_same_replies_and_its_pause_is_in_the_time() -> None:
    client, server = lines(SESSIONS[0], "->"), lines(SESSIONS[0], "<-")
    stream = AudioHookStream()
    client[0]["parameters"] = json.loads(AUDIOHOOK)["parameters"]
    events: list[Event] = []
    frames = 0

    def play(count: int) -> None:
        nonlocal frames
        frames += count
        for _ in range(count):
            events.extend(stream.receive(FRAME))

    for message in client:
        if message["type"] == "paused":
            # The captured server asked for the pause; this one does not, so the numbers differ by its message.
            play(20)
            stream._sent += 1
        if message["type"] == "resumed":
            stream._sent += 1
        if message["type"] == "close":
            play(5)
        events.extend(stream.receive(json.dumps(message)))
    assert frames == 25
    expected = [message for message in server if message["type"] not in {"pause", "resume"}]
    found = replies(events)
    names = ("version", "id", "type", "seq", "clientseq")
    assert [[each[name] for name in names] for each in found] == [[each[name] for name in names] for each in expected]
    assert Paused(4_000) in events
    left = [event.at_ms for event in events if isinstance(event, Audio) and event.track == 0]
    assert left == [*range(0, 4_000, 200), *range(5_000, 6_000, 200)]
    assert events[-1] == StreamStopped()


def test_the_captured_probe_is_answered_and_starts_nothing() -> None:
    client, server = lines(SESSIONS[1], "->"), lines(SESSIONS[1], "<-")
    stream = AudioHookStream()
    client[0]["parameters"] = json.loads(opening(conversationId=PROBE))["parameters"]
    events = [*stream.receive(json.dumps(client[0])), *stream.receive(b""), *stream.receive(json.dumps(client[1]))]
    assert [each["type"] for each in replies(events)] == [each["type"] for each in server] == ["opened", "closed"]
    assert [each["clientseq"] for each in replies(events)] == [each["clientseq"] for each in server]
    assert not any(isinstance(event, StreamStarted | Audio) for event in events)


def test_the_customer_is_left_and_the_agent_right() -> None:
    stream = AudioHookStream()
    opened, started = stream.receive(opening())
    assert isinstance(opened, Reply)
    assert isinstance(started, StreamStarted)
    assert started.parameters["interaction_id"] == CONVERSATION
    assert replies([opened])[0]["parameters"]["media"][0]["channels"] == ["external", "internal"]
    assert stream.receive(b"\x01\x02\x01\x02") == [Audio(0, 0, b"\x01\x01"), Audio(1, 0, b"\x02\x02")]


def message(kind: str, seq: int, serverseq: int = 1, position: str = "PT0S", **parameters: Any) -> str:
    session = json.loads(AUDIOHOOK)["id"]
    head = {"version": "2", "type": kind, "id": session, "seq": seq, "serverseq": serverseq, "position": position}
    return json.dumps(head | {"parameters": parameters})


def test_discarded_audio_is_in_the_time() -> None:
    stream = AudioHookStream()
    stream.receive(opening())
    stream.receive(FRAME)
    (event,) = stream.receive(message("discarded", 2, start="PT0.2S", discarded="PT1M2.5S"))
    assert event == Discarded(200, 62_500)
    assert stream.receive(FRAME)[0].at_ms == 62_700  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "wrong",
    [
        message("ping", 3),
        message("ping", 1),
        message("ping", 2, serverseq=2),
        message("ping", 2, serverseq=-1),
        message("ping", 2).replace('"2"', '"3"', 1),
        message("ping", 2).replace(json.loads(AUDIOHOOK)["id"], "other"),
        message("resumed", 2, start="PT0S"),
        message("discarded", 2, start="PT0S", discarded="-PT1S"),
        message("discarded", 2, start="P", discarded="PT"),
        "{}",
        "[]",
        b"\x01",
    ],
    ids=str,
)
def test_a_wrong_message_is_a_protocol_error(wrong: str | bytes) -> None:
    stream = AudioHookStream()
    stream.receive(opening())
    with pytest.raises(ProtocolError):
        stream.receive(wrong)


@pytest.mark.parametrize("media", [[], None, [{"type": "audio", "format": "MP3", "channels": ["external"]}]], ids=str)
def test_an_offer_that_cannot_be_recorded_is_a_protocol_error(media: Any) -> None:
    with pytest.raises(ProtocolError, match="media"):
        AudioHookStream().receive(opening(media=media))


# Signatures

ADDRESS, SECRET = "c" * 32, "d" * 64
NOW = 1_700_000_000_000
TARGET = f"/ingest/{ADDRESS}/{SECRET}/ws"
COMPONENTS = (
    "@request-target", "@authority", "audiohook-organization-id", "audiohook-session-id", "audiohook-correlation-id",
    "x-api-key",
)  # fmt: skip


def signed(
    *,
    secret: str = SECRET,
    age: int = 0,
    components: tuple[str, ...] = COMPONENTS,
    key: str = ADDRESS,
    expires: int = 10,
) -> dict[str, str]:
    """Sign a handshake as Genesys does, with the client secret of the documentation."""
    headers = {name: f"value of {name}" for name in COMPONENTS if not name.startswith("@")}
    headers |= {"x-api-key": key, "host": "Recordings.example.org"}
    created = NOW // 1_000 - age
    names = " ".join(f'"{name}"' for name in components)
    parameters = (
        f'({names});keyid="{key}";nonce="VGhpcyBpcw";alg="hmac-sha256";created={created};expires={created + expires}'
    )
    derived = {"@request-target": TARGET, "@authority": "recordings.example.org"}
    text = "".join(f'"{name}": {derived.get(name) or headers.get(name)}\n' for name in components)
    client_secret = base64.b64decode(audiohook_signature.client_secret(secret))
    digest = hmac.new(client_secret, f'{text}"@signature-params": {parameters}'.encode(), sha256).digest()
    return headers | {
        "signature-input": f"sig1={parameters}",
        "signature": f"sig1=:{base64.b64encode(digest).decode()}:",
    }


def fault(headers: dict[str, str], target: str = TARGET) -> str | None:
    return audiohook_signature.fault(headers, target, ADDRESS, SECRET, NOW)


def test_a_right_signature_is_accepted() -> None:
    assert fault(signed()) is None
    assert fault(signed(age=-2)) is None
    without = {name: value for name, value in signed().items() if not name.startswith("signature")}
    assert fault(without) is None


@pytest.mark.parametrize(
    "headers",
    [
        signed(secret="e" * 64),
        signed(age=60),
        signed(age=-60),
        signed(key="f" * 32),
        signed(components=("@authority", "audiohook-session-id")),
        signed(components=("@request-target", "audiohook-session-id")),
        signed(components=("@request-target", "@authority", "@authority", "audiohook-session-id")),
        signed() | {"signature": "sig1=:AAAA:"},
        signed() | {"signature": "sig2=:AAAA:"},
        signed() | {"signature": "sig1=:!:"},
        signed() | {"signature-input": "sig1=()"},
        signed() | {"audiohook-session-id": "other"},
        signed() | {"host": "other.example.org"},
        {name: value for name, value in signed().items() if name != "signature"},
        {name: value for name, value in signed().items() if name != "signature-input"},
        {name: value for name, value in signed().items() if name != "x-api-key"},
    ],
)
def test_a_wrong_signature_is_refused_without_its_secret(headers: dict[str, str]) -> None:
    found = fault(headers)
    assert found is not None
    assert SECRET not in found


def test_the_documented_signature_of_genesys_is_right() -> None:
    # The example of its documentation, as its reference implementation computes it.
    key, secret = "SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh", base64.b64decode("TXlTdXBlclNlY3JldEtleVRlbGxOby0xITJAMyM0JDU=")
    names = ["audiohook-organization-id", "audiohook-session-id", "audiohook-correlation-id", "x-api-key"]
    values = (
        "d7934305-0972-4844-938e-9060eef73d05", "30b0e395-84d3-4570-ac13-9a62d8f514c0",
        "e160e428-53e2-487c-977d-96989bf5c99d", key,
    )  # fmt: skip
    listed = " ".join(f'"{name}"' for name in ("@request-target", "host", *names))
    parameters = f'({listed});keyid="{key}";nonce="VGhpc0lzQVVuaXF1ZU5vbmNl";alg="hmac-sha256";created=1641013200'
    headers = dict(zip(names, values, strict=True)) | {
        "host": "audiohook.example.com",
        "signature-input": f"sig1={parameters};expires=3282026430",
        "signature": "sig1=:zupMJUMfd/kMuvKc5zhRyfJPE3jTROuz1S1hn8SCTpE=:",
    }
    target = "/api/v1/voicebiometrics/ws"
    found = audiohook_signature.fault(headers, target, key, secret.decode("latin-1"), 1_641_013_205_000)
    assert found is None


def test_a_signature_is_for_one_path() -> None:
    assert fault(signed(), TARGET + "?call_id=x") is not None
