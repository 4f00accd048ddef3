"""A call that loses its connection and reconnects is one recording, with silence in between."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from streamdouble.protocol import MediaStreamEncoder, StreamIdentity  # type: ignore[import-untyped]
from websockets.sync.client import ClientConnection, connect

from tests.adapters.recorders.parts import FRAME, tone
from tests.e2e.installation import make_account, make_ingest
from tests.e2e.server import Client, Server, until
from tests.e2e.sound import decode

CALLS = "{ viewer { account { calls(first: 100) { nodes { callId } } } } }"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "data") as server:
        yield server


def play(socket: ClientConnection, call_id: str, hertz: float) -> MediaStreamEncoder:
    """Start a stream of a call and send one second in real time. Its messages are as other senders write them."""
    encoder = MediaStreamEncoder(StreamIdentity(call_sid=call_id))
    start = encoder.start()
    start["start"] |= {"customParameters": None, "tracks": None}
    for message in (encoder.connected(), start, {"event": "mark"}):
        socket.send(json.dumps(message))
    sound = tone(50, hertz)
    for begin in range(0, len(sound), FRAME):
        frame = encoder.media(sound[begin : begin + FRAME])
        frame["media"]["payload"] = frame["media"]["payload"].rstrip("=")
        socket.send(json.dumps(frame))
        time.sleep(0.02)
    return encoder


def test_a_call_that_reconnects_is_one_recording(server: Server) -> None:
    client: Client = server.client(make_account(server.data))
    url = server.url.replace("http", "ws", 1) + make_ingest(server.data) + "/ws"
    with connect(url) as first:
        play(first, "call-1", 440)
        until(lambda: client.graphql(CALLS)["viewer"]["account"]["calls"]["nodes"])
        identity = client.do("startRecording", callId="call-1", format="WAV")["plainId"]
        play(first, "call-1", 440)
    # The connection was closed without `stop`.
    time.sleep(2)
    assert client.find(identity)["state"] == "RECORDING"
    with connect(url) as second:
        encoder = play(second, "call-1", 1_000)
        second.send(json.dumps(encoder.stop()))
    stored = client.wait_for(identity, "STORED")
    assert stored["endCause"] == "HANGUP"
    sound = decode(httpx.get(client.find(identity)["media"]["url"]).raise_for_status().content)
    assert 4 <= sound.seconds <= 6
    end = sound.seconds
    assert sound.loudness(0, 0.1, 0.9) > 0.1
    assert sound.loudness(0, end - 2.5, end - 1.2) < 0.001
    assert sound.loudness(0, end - 0.8, end - 0.1) > 0.1
