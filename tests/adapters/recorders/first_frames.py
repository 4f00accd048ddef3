"""The first frames of each dialect, as its platform documents them, and their meaning."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.recorders.dialects.stream_format import StreamFormat
from recordings.ports.audio import Codec

MULAW = StreamFormat()
SESSION = "57e136b9-f286-481f-8fd3-6b96ebfbc062"
CONVERSATION = "d282af90-22c0-49d9-9af0-919f0fa4a94d"


@dataclass(frozen=True)
class FirstFrames:
    frames: Sequence[str | bytes]
    decoder: str
    call_id: str
    format: StreamFormat
    parameters: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    subprotocols: Sequence[str] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


def linear(rate: int, tracks: int) -> StreamFormat:
    return StreamFormat(Codec.S16, rate, tracks)


def text(**message: Any) -> str:
    return json.dumps(message)


TWILIO = text(
    event="start",
    sequenceNumber="1",
    streamSid="MZ1",
    start={
        "accountSid": "AC1",
        "streamSid": "MZ1",
        "callSid": "CA1",
        "tracks": ["inbound", "outbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"from": "alice"},
    },
)
SIGNALWIRE = TWILIO.replace('"audio/x-mulaw"', '"audio/l16"').replace("8000", "16000")
TELNYX = text(
    event="start",
    sequence_number="1",
    stream_id="32DE0DEA",
    start={
        "call_control_id": "v3:abc",
        "call_session_id": "session-1",
        "user_id": "u1",
        "from": "+13122010094",
        "to": "+13122123456",
        "media_format": {"encoding": "PCMA", "sample_rate": 8000, "channels": 1},
        "custom_parameters": [{"name": "team", "value": "blue"}],
    },
)
PLIVO = text(
    event="start",
    sequenceNumber=0,
    start={
        "callId": "plivo-1",
        "streamId": "s-1",
        "accountId": "MA1",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-l16", "sampleRate": 16000},
    },
    extra_headers="X-PH-team=blue,X-PH-from=alice",
)
EXOTEL = text(
    event="start",
    sequence_number="1",
    stream_sid="es-1",
    start={
        "stream_sid": "es-1",
        "call_sid": "exo-1",
        "account_sid": "x1",
        "from": "0800",
        "to": "0900",
        "custom_parameters": {"team": "blue"},
        "media_format": {"encoding": "base64", "sample_rate": "8000", "bit_rate": "128kbps"},
    },
)
JAMBONZ = text(
    callSid="jb-1",
    accountSid="a1",
    applicationSid="p1",
    sampleRate=16000,
    mixType="stereo",
    direction="inbound",
    **{"from": "alice", "to": "bob"},
    callId="sip-1",
    sipStatus=200,
    team="blue",
)
ASTERISK = text(
    event="MEDIA_START",
    connection_id="c1",
    channel="WebSocket/x-1",
    channel_id="1700000000.1",
    format="slin16",
    optimal_frame_size=640,
    ptime=20,
    channel_variables={"team": "blue"},
)
ASTERISK_TEXT = (
    "MEDIA_START connection_id:c1 channel:WebSocket/x-1 channel_id:1700000000.1 format:ulaw optimal_frame_size:160"
)
AUDIOHOOK = text(
    version="2",
    type="open",
    id=SESSION,
    seq=1,
    serverseq=0,
    position="PT0S",
    parameters={
        "organizationId": "f304278d-d676-483e-ad55-06205647352d",
        "conversationId": CONVERSATION,
        "participant": {
            "id": "406dd417-b955-460d-90e8-fb8df9f2ad1e",
            "ani": "+1-555-555-1234",
            "aniName": "Ada Example",
            "dnis": "+1-800-555-6789",
        },
        "media": [
            {"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000},
            {"type": "audio", "format": "PCMU", "channels": ["external", "internal"], "rate": 8000},
        ],
    },
)
DECLARED = {"rate": "16000", "channels": "2", "call_id": "fs-1"}
BLUE = {"team": "blue"}

FIRST_FRAMES: Mapping[str, FirstFrames] = {
    "twilio": FirstFrames(
        ['{"event":"connected","protocol":"Call","version":"1.0.0"}', TWILIO],
        "TwilioStream",
        "CA1",
        MULAW,
        {"from": "alice"},
    ),
    "twilio without connected": FirstFrames([TWILIO], "TwilioStream", "CA1", MULAW),
    "signalwire": FirstFrames([SIGNALWIRE], "TwilioStream", "CA1", linear(16_000, 2)),
    "telnyx": FirstFrames(
        ['{"event":"connected","version":"1.0.0"}', TELNYX],
        "TelnyxStream",
        "v3:abc",
        StreamFormat(Codec.ALAW),
        {"from": "+13122010094", "interaction_id": "session-1", **BLUE},
    ),
    "plivo": FirstFrames([PLIVO], "PlivoStream", "plivo-1", linear(16_000, 2), {"from": "alice", **BLUE}),
    "exotel": FirstFrames(
        ['{"event":"connected"}', EXOTEL], "ExotelStream", "exo-1", linear(8_000, 1), {"to": "0900", **BLUE}
    ),
    "vonage": FirstFrames(
        [text(event="websocket:connected", uuid="v-1", team="blue", **{"content-type": "audio/l16;rate=16000"})],
        "VonageStream",
        "v-1",
        linear(16_000, 1),
        BLUE,
    ),
    "vonage at 8 kHz": FirstFrames(
        [text(event="websocket:connected", call_id="mine", **{"content-type": "audio/l16;rate=8000"})],
        "VonageStream",
        "mine",
        linear(8_000, 1),
    ),
    "jambonz": FirstFrames(
        [JAMBONZ],
        "JambonzStream",
        "jb-1",
        linear(16_000, 2),
        {"sip_call_id": "sip-1", **BLUE},
        subprotocols=["audio.jambonz.org"],
    ),
    "jambonz without a subprotocol": FirstFrames([JAMBONZ], "JambonzStream", "jb-1", linear(16_000, 2)),
    "mod_audio_fork": FirstFrames(
        ['{"team":"blue"}', b"\0" * 640],
        "DeclaredStream",
        "fs-1",
        linear(16_000, 2),
        BLUE,
        DECLARED,
        ["audio.drachtio.org"],
    ),
    "mod_audio_stream": FirstFrames([b"\0" * 640], "DeclaredStream", "fs-1", linear(16_000, 2), query=DECLARED),
    "mod_audio_stream with a text": FirstFrames(
        ["hello", b"\0" * 640], "DeclaredStream", "fs-1", linear(16_000, 2), query=DECLARED
    ),
    "asterisk": FirstFrames(
        [ASTERISK], "AsteriskStream", "1700000000.1", linear(16_000, 1), BLUE, subprotocols=["media"]
    ),
    "asterisk in text": FirstFrames([ASTERISK_TEXT], "AsteriskStream", "1700000000.1", StreamFormat(tracks=1)),
    "asterisk with a call id": FirstFrames(
        [ASTERISK], "AsteriskStream", "mine", linear(16_000, 1), query={"call_id": "mine"}
    ),
    "audiohook": FirstFrames(
        [AUDIOHOOK], "AudioHookStream", CONVERSATION, MULAW, {"from": "+1-555-555-1234", "to": "+1-800-555-6789"}
    ),
    "audiohook by its headers": FirstFrames(
        [AUDIOHOOK], "AudioHookStream", CONVERSATION, MULAW, headers={"audiohook-session-id": SESSION}
    ),
}
