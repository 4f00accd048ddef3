"""Independent senders: each speaks the dialect of a platform to a real server, and knows nothing of its code.

A sender gets the samples of two voices (or one) and sends them as its platform does. Only Twilio's sender is a library,
streamdouble; Telnyx, Plivo and Exotel take the audio from its messages under other names. Asterisk, jambonz, Vonage and
Genesys have no published client for Python, so theirs are written here from the documents of the platforms.
"""

import asyncio
import base64
import json
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from streamdouble import g711  # type: ignore[import-untyped]
from streamdouble.protocol import MediaStreamEncoder, StreamIdentity  # type: ignore[import-untyped]
from websockets.asyncio.client import ClientConnection, connect

from tests.adapters.recorders.first_frames import AUDIOHOOK

Samples = NDArray[np.int16]
CALL = "call-1"


@dataclass(frozen=True)
class Where:
    """The addresses of a server."""

    ws: str
    http: str
    audiosocket: tuple[str, int]


@dataclass(frozen=True)
class Sent:
    """A platform's stream: its sampling rate, its tracks, and the steps of a call."""

    rate: int
    tracks: int
    begin: Callable[[Where], Awaitable[Any]]
    play: Callable[[Any, Sequence[Samples]], Awaitable[None]]
    end: Callable[[Any], Awaitable[None]]
    lossless: bool = True


def frames(samples: Samples, rate: int, ms: int = 20) -> list[Samples]:
    size = rate * ms // 1_000
    return [samples[at : at + size] for at in range(0, len(samples), size)]


def interleaved(voices: Sequence[Samples]) -> bytes:
    return np.column_stack(voices).astype("<i2").tobytes()


def ulaw(samples: Samples) -> bytes:
    return bytes(g711.encode(samples))


async def opened(
    where: Where, *messages: str | bytes, query: str = "", subprotocol: str | None = None
) -> ClientConnection:
    protocols = None if subprotocol is None else [subprotocol]
    socket = await connect(f"{where.ws}{query}", compression=None, subprotocols=protocols)  # type: ignore[arg-type]
    assert socket.subprotocol == subprotocol
    for message in messages:
        await socket.send(message)
    return socket


async def close(socket: ClientConnection) -> None:
    await socket.close()


# Twilio and its relatives


def _json_play(
    encode: Callable[[Samples], bytes], rate: int, rename: Callable[[dict[str, Any]], dict[str, Any]], order: int = 1
) -> Callable[[Any, Sequence[Samples]], Awaitable[None]]:
    async def play(socket: ClientConnection, voices: Sequence[Samples]) -> None:
        encoder = MediaStreamEncoder(StreamIdentity(call_sid=CALL, stream_sid="S1"))
        encoder.connected()
        encoder.start(tracks=["inbound", "outbound"])
        messages = []
        for number, parts in enumerate(zip(*(frames(voice, rate) for voice in voices), strict=True)):
            for track, part in zip(("inbound", "outbound"), parts, strict=False):
                # The library's own frames are always 160 bytes.
                message = encoder.media(bytes(160), track=track)
                message["media"]["payload"] = base64.b64encode(encode(part)).decode()
                message["media"]["timestamp"] = str(number * 20)
                messages.append(json.dumps(rename(message)))
        # Groups of messages in the opposite order, as on a network that reorders them.
        # The first group stays as it is, because a recording begins with the first frame that arrives.
        for at in range(0, len(messages), order):
            group = messages[at : at + order]
            for text in reversed(group) if at else group:
                await socket.send(text)

    return play


async def _json_stop(socket: ClientConnection) -> None:
    await socket.send('{"event":"stop","stop":{}}')
    await socket.wait_closed()


def _twilio_start(encoding: str, rate: int) -> str:
    encoder = MediaStreamEncoder(StreamIdentity(call_sid=CALL, stream_sid="S1"))
    start = encoder.start(tracks=["inbound", "outbound"])
    start["start"]["mediaFormat"] = {"encoding": encoding, "sampleRate": rate, "channels": 1}
    return json.dumps(start)


def _linear(samples: Samples) -> bytes:
    return samples.astype("<i2").tobytes()


def _renamed(stream_id: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def rename(message: dict[str, Any]) -> dict[str, Any]:
        message[stream_id] = message.pop("streamSid")
        if stream_id == "stream_sid":
            del message["media"]["track"]
        return message

    return rename


TWILIO_CONNECTED = '{"event":"connected","protocol":"Call","version":"1.0.0"}'
TELNYX_START = json.dumps(
    {
        "event": "start",
        "stream_id": "S1",
        "start": {
            "call_control_id": CALL,
            "from": "+15550001",
            "to": "+15550002",
            "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
        },
    }
)
PLIVO_START = json.dumps(
    {
        "event": "start",
        "start": {
            "streamId": "S1",
            "callId": CALL,
            "mediaFormat": {"encoding": "audio/x-l16", "sampleRate": 16000},
        },
    }
)
EXOTEL_START = json.dumps(
    {
        "event": "start",
        "stream_sid": "S1",
        "start": {
            "stream_sid": "S1",
            "call_sid": CALL,
            "account_sid": "A1",
            "media_format": {"encoding": "base64", "sample_rate": "8000", "bit_rate": "128kbps"},
        },
    }
)


# Binary dialects


def _binary_play(
    rate: int, ms: int = 20, size: int | None = None
) -> Callable[[Any, Sequence[Samples]], Awaitable[None]]:
    """Send interleaved L16 in messages of `ms`, or in pieces of `size` bytes that cut samples apart."""

    async def play(socket: ClientConnection, voices: Sequence[Samples]) -> None:
        data = interleaved(voices)
        step = size or rate * ms // 1_000 * 2 * len(voices)
        for at in range(0, len(data), step):
            await socket.send(data[at : at + step])

    return play


JAMBONZ = {"accountSid": "a", "direction": "inbound", "from": "1", "to": "2", "callId": "x", "sipStatus": 200}


# Genesys AudioHook


class AudioHook:
    """A session of Genesys AudioHook, with its sequence numbers."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.received: list[dict[str, Any]] = []
        self.seq = 0
        self.id = json.loads(AUDIOHOOK)["id"]

    async def say(self, kind: str, parameters: Mapping[str, Any] | None = None, position: str = "PT0S") -> None:
        self.seq += 1
        message = {"version": "2", "type": kind, "id": self.id, "seq": self.seq, "position": position}
        await self.socket.send(json.dumps(message | {"serverseq": len(self.received), "parameters": parameters or {}}))

    async def hear(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.socket.recv())
        self.received.append(message)
        assert (message["seq"], message["clientseq"], message["id"]) == (len(self.received), self.seq, self.id)
        return message

    async def open(self, conversation: str = CALL, **changes: Any) -> dict[str, Any]:
        parameters = json.loads(AUDIOHOOK)["parameters"] | {"conversationId": conversation} | changes
        await self.say("open", parameters)
        return await self.hear()

    async def play(self, voices: Sequence[Samples]) -> None:
        encoded = [np.frombuffer(ulaw(voice), np.uint8) for voice in voices]
        data = np.column_stack(encoded).tobytes()
        for at in range(0, len(data), 3_200):
            await self.socket.send(data[at : at + 3_200])

    async def close(self, reason: str = "end") -> None:
        await self.say("close", {"reason": reason})
        assert (await self.hear())["type"] == "closed"
        await self.socket.close()


async def _audiohook_begin(where: Where) -> AudioHook:
    session = AudioHook(await opened(where))
    opened_message = await session.open()
    assert opened_message["parameters"]["media"][0]["channels"] == ["external", "internal"]
    return session


async def _audiohook_play(session: AudioHook, voices: Sequence[Samples]) -> None:
    await session.play(voices)
    await session.say("ping")
    assert (await session.hear())["type"] == "pong"


# AudioSocket


@dataclass
class AudioSocketCall:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


async def audiosocket_uuid(where: Where, **parameters: str) -> bytes:
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.post(f"{where.http}/audiosocket", params={"call_id": CALL, **parameters})
    assert response.status_code == 200, response.text
    return bytes.fromhex(response.json()["uuid"].replace("-", ""))


async def _audiosocket_begin(where: Where) -> AudioSocketCall:
    uuid = await audiosocket_uuid(where)
    reader, writer = await asyncio.open_connection(*where.audiosocket)
    # The call is known with its first audio frame.
    writer.write(b"\x01\x00\x10" + uuid + b"\x12\x00\x00")
    return AudioSocketCall(reader, writer)


async def _audiosocket_play(call: AudioSocketCall, voices: Sequence[Samples]) -> None:
    data = b"".join(
        b"\x12" + struct.pack(">H", 2 * len(part)) + part.astype("<i2").tobytes() for part in frames(voices[0], 16_000)
    )
    # In pieces that do not end where a frame ends.
    for at in range(0, len(data), 1_111):
        call.writer.write(data[at : at + 1_111])
        await call.writer.drain()


async def _audiosocket_end(call: AudioSocketCall) -> None:
    call.writer.close()


def base64_credentials(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


SENDERS: Mapping[str, Sent] = {
    "twilio": Sent(
        8_000, 2, lambda where: opened(where, TWILIO_CONNECTED, _twilio_start("audio/x-mulaw", 8_000)),
        _json_play(ulaw, 8_000, dict), _json_stop, lossless=False,
    ),
    "signalwire, L16": Sent(
        24_000, 2, lambda where: opened(where, TWILIO_CONNECTED, _twilio_start("audio/l16;rate=24000", 24_000)),
        _json_play(_linear, 24_000, dict), _json_stop,
    ),
    "telnyx, reordered": Sent(
        8_000, 2, lambda where: opened(where, '{"event":"connected","version":"1.0.0"}', TELNYX_START),
        _json_play(ulaw, 8_000, _renamed("stream_id"), order=4), _json_stop, lossless=False,
    ),
    "plivo": Sent(
        16_000, 2, lambda where: opened(where, PLIVO_START), _json_play(_linear, 16_000, _renamed("streamId")),
        _json_stop,
    ),
    "exotel": Sent(
        8_000, 1, lambda where: opened(where, '{"event":"connected"}', EXOTEL_START),
        _json_play(_linear, 8_000, _renamed("stream_sid")), _json_stop,
    ),
    "vonage": Sent(
        16_000, 1,
        lambda where: opened(
            where, json.dumps({"event": "websocket:connected", "content-type": "audio/l16;rate=16000", "call_id": CALL})
        ),
        _binary_play(16_000), close,
    ),
    "jambonz record": Sent(
        8_000, 2,
        lambda where: opened(
            where, json.dumps({**JAMBONZ, "callSid": CALL, "sampleRate": 8000, "mixType": "stereo"}),
            query="/record/aws_s3", subprotocol="audio.jambonz.org",
        ),
        _binary_play(8_000), close,
    ),
    "mod_audio_fork": Sent(
        16_000, 2,
        lambda where: opened(
            where, '{"team":"blue"}', query=f"?rate=16000&channels=2&call_id={CALL}", subprotocol="audio.drachtio.org"
        ),
        _binary_play(16_000, size=1_001), close,
    ),
    "mod_audio_stream": Sent(
        48_000, 1, lambda where: opened(where, b"", query=f"?rate=48000&channels=1&call_id={CALL}"),
        _binary_play(48_000), close,
    ),
    "chan_websocket": Sent(
        16_000, 1,
        lambda where: opened(
            where, json.dumps({"event": "MEDIA_START", "channel_id": CALL, "format": "slin16"}), subprotocol="media"
        ),
        _binary_play(16_000), close,
    ),
    "audiosocket": Sent(16_000, 1, _audiosocket_begin, _audiosocket_play, _audiosocket_end),
    "audiohook": Sent(8_000, 2, _audiohook_begin, _audiohook_play, lambda session: session.close(), lossless=False),
}  # fmt: skip
