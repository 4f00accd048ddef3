"""Calls of other platforms than Twilio, from the stream to the stored file and its spans."""

import json
import socket
import struct
import time
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from websockets.sync.client import connect

from tests.e2e.installation import make_account, make_ingest
from tests.e2e.server import Client, Server
from tests.e2e.sound import decode
from tests.servers.free_ports import free_port

RATE = 16_000
MEDIA = "query Q($id: ID!) { recording(id: $id) { spans { kind atMs durationMs } media { url sampleRate channels } } }"


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("dialects") / "data", "--audiosocket", f"127.0.0.1:{port}") as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    return server.client(make_account(server.data))


def note(hertz: float, seconds: float) -> bytes:
    instants = np.arange(round(RATE * seconds)) / RATE
    return bytes(np.round(np.sin(2 * np.pi * hertz * instants) * 9_000).astype("<i2").tobytes())


def test_a_call_by_audiosocket_is_stored_as_wideband(server: Server, client: Client, port: int) -> None:
    address = server.url + make_ingest(server.data)
    answer = httpx.post(f"{address}/audiosocket?call_id=as-1&from=+14155550123&to=1001", trust_env=False)
    uuid = bytes.fromhex(answer.json()["uuid"].replace("-", ""))
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"\x01\x00\x10" + uuid + b"\x12\x00\x00")
        identity = client.start("as-1", format="WAV", recordOnAnswer=True)["plainId"]
        sound = note(5_000, 1)
        for at in range(0, len(sound), 640):
            connection.sendall(b"\x12" + struct.pack(">H", 640) + sound[at : at + 640])
    stored = client.wait_for(identity, "STORED")
    assert (stored["endCause"], stored["from"].startswith("+14155550123@")) == ("HANGUP", True)
    media = client.graphql(MEDIA, id=identity)["recording"]["media"]
    assert (media["sampleRate"], media["channels"]) == (RATE, 1)
    heard = decode(httpx.get(media["url"], trust_env=False).raise_for_status().content)
    assert heard.seconds == pytest.approx(1, abs=0.02)
    # A narrowband recording has no such note.
    assert heard.strength(0, 5_000) > 0.1


def test_a_call_of_jambonz_that_reconnects_has_a_span(server: Server, client: Client) -> None:
    url = server.url.replace("http", "ws", 1) + make_ingest(server.data) + "/ws/record/aws_s3"
    first = json.dumps({"callSid": "jb-1", "sampleRate": RATE, "mixType": "stereo", "from": "1", "to": "2"})
    left, right = (np.frombuffer(note(hertz, 1), "<i2") for hertz in (440, 1_000))
    sound = np.column_stack([left, right]).tobytes()
    frames = [sound[at : at + 1_280] for at in range(0, len(sound), 1_280)]
    with connect(url, subprotocols=["audio.jambonz.org"], proxy=None) as stream:  # type: ignore[list-item]
        stream.send(first)
        identity = client.start("jb-1", format="WAV", recordOnAnswer=True)["plainId"]
        for frame in frames:
            stream.send(frame)
        stream.ping().wait(20)
        stream.socket.shutdown(socket.SHUT_RDWR)
    time.sleep(0.3)
    with connect(url, subprotocols=["audio.jambonz.org"], proxy=None) as stream:  # type: ignore[list-item]
        stream.send(first)
        for frame in frames:
            stream.send(frame)
    client.wait_for(identity, "STORED")
    found = client.graphql(MEDIA, id=identity)["recording"]
    heard = decode(httpx.get(found["media"]["url"], trust_env=False).raise_for_status().content)
    (span,) = found["spans"]
    assert (span["kind"], span["atMs"]) == ("DISCONNECTED", 1_000)
    assert span["durationMs"] >= 280
    assert heard.seconds == pytest.approx(2 + span["durationMs"] / 1_000, abs=0.02)
    assert heard.strength(0, 440) > 20 * heard.strength(0, 1_000)
    assert heard.strength(1, 1_000) > 20 * heard.strength(1, 440)
