"""The decoders agree with pipecat-ai, another server for the same platforms.

`captured/pipecat.json` has the results of pipecat-ai 1.14.0 for messages of the platforms: the detected platform, the
decoded samples, and its replies to Genesys. The package itself has too many dependencies for a test.
"""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest

from adapters.audio.pcm import read_track
from adapters.recorders.dialects.audiohook import AudioHookStream
from adapters.recorders.dialects.detect import AnyStream
from adapters.recorders.dialects.stream_events import Audio, Event, Reply, StreamStarted

ORACLE: dict[str, Any] = json.loads((Path(__file__).parent / "captured" / "pipecat.json").read_text(encoding="utf-8"))
STARTS = {
    "twilio": {"streamSid": "s", "callSid": "c"},
    "telnyx": {"call_control_id": "c", "stream_id": "s"},
    "plivo": {"streamId": "s", "callId": "c"},
    "exotel": {"stream_sid": "s", "call_sid": "c", "account_sid": "a"},
}


@pytest.mark.parametrize("case", ORACLE["detect"], ids=lambda case: json.dumps(case["message"]["start"]))
def test_the_detected_platform_is_the_same(case: dict[str, Any]) -> None:
    stream = AnyStream()
    stream.receive(json.dumps(case["message"]))
    assert type(stream._decoder).__name__.lower() == f"{case['verdict']}stream"


def decoded(case: dict[str, Any]) -> bytes:
    stream, name = AnyStream(), case["dialect"]
    if name == "vonage":
        first = '{"event":"websocket:connected","content-type":"audio/l16;rate=16000","call_id":"c"}'
        frame: str | bytes = base64.b64decode(case["media"])
    else:
        field = "media_format" if name in {"telnyx", "exotel"} else "mediaFormat"
        start = STARTS[name] | ({field: {"encoding": case["encoding"]}} if "encoding" in case else {})
        first, frame = json.dumps({"event": "start", "start": start}), case["media"]
    events = [event for message in (first, frame) for event in stream.receive(message)]
    (codec,) = [event.format.codec for event in events if isinstance(event, StreamStarted)]
    (audio,) = [event for event in events if isinstance(event, Audio)]
    frames = list(read_track(io.BytesIO(audio.payload), codec, 8_000, 1_000))
    return b"".join(bytes(frame.planes[0])[: 2 * frame.samples] for frame in frames)


@pytest.mark.parametrize("case", ORACLE["decode"], ids=lambda case: f"{case['dialect']} {case.get('encoding', '')}")
def test_the_decoded_samples_are_the_same(case: dict[str, Any]) -> None:
    assert decoded(case) == base64.b64decode(case["pcm"])


def test_the_replies_to_genesys_are_the_same() -> None:
    stream = AudioHookStream()
    events: list[Event] = []
    for message in ORACLE["audiohook"]["client"]:
        events += stream.receive(json.dumps(message))
    ours = [json.loads(event.message) for event in events if isinstance(event, Reply)]
    # Its replies have a position, which is a field of clients only.
    theirs = [
        {name: value for name, value in each.items() if name != "position"} for each in ORACLE["audiohook"]["server"]
    ]
    assert ours == theirs
