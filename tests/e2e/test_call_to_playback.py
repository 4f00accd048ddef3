"""The life of a recording as its users see it, from a live call to the trash and back."""

import json
import shlex
import subprocess
import time
from pathlib import Path

import pytest
from pymongo import MongoClient

from graph.demo.voices import CALLEE, CALLER
from tests.e2e.server import Client, Server, command
from tests.e2e.sound import decode
from tests.servers.mongod import Document


def record(server: Server, client: Client) -> str:
    """Record a call with a pause and a mask. Return the id of the stored recording."""
    with server.call() as call:
        taken = client.start(call.id, format="WAV", label="Order 17")
        assert taken["state"] in {"REQUESTED", "RECORDING"}
        assert taken["origin"].endswith(": Order 17")
        again = client.mutate("startRecording", callId=call.id)
        assert [error["code"] for error in again["errors"]] == ["ALREADY_RECORDING"]
        identity: str = taken["plainId"]
        # A fixed time, because a running call sends no event to wait for.
        time.sleep(3)
        assert client.do("maskRecording", id=identity)["state"] == "MASKED"
        time.sleep(1)
        assert client.do("unmaskRecording", id=identity)["state"] == "RECORDING"
        assert client.do("pauseRecording", id=identity)["state"] == "PAUSED"
        time.sleep(1)
        assert client.do("resumeRecording", id=identity)["state"] == "RECORDING"
        time.sleep(1)
        client.do("stopRecording", id=identity)
        stored = client.wait_for(identity, "STORED")
        assert call.hang_up() == 0
    assert stored["endCause"] == "STOPPED"
    assert [span["kind"] for span in stored["spans"]] == ["MASKED", "PAUSED"]
    return identity


def play(client: Client, identity: str) -> None:
    media = client.find(identity)["media"]
    whole = client.http.get(media["url"], headers={"X-Auth-Token": ""})
    assert (whole.status_code, whole.headers["content-type"]) == (200, media["contentType"])
    assert len(whole.content) == media["length"]
    part = client.http.get(media["url"], headers={"Range": "bytes=100-299"})
    assert (part.status_code, part.content) == (206, whole.content[100:300])
    sound = decode(whole.content)
    assert len(sound.channels) == media["channels"] == 2
    assert sound.seconds == pytest.approx(media["durationMs"] / 1000, abs=0.05)
    # Six seconds of the call without the paused second. The commands add some time.
    assert 4.5 < sound.seconds < 30
    for channel, own_notes, other_notes in ((0, CALLER, CALLEE), (1, CALLEE, CALLER)):
        own = max(sound.strength(channel, note) for note in own_notes)
        other = max(sound.strength(channel, note) for note in other_notes)
        assert own > 5 * other
    masked = client.find(identity)["spans"][0]
    begins, ends = masked["atMs"] / 1000, (masked["atMs"] + masked["durationMs"]) / 1000
    assert max(sound.loudness(channel, begins + 0.2, ends - 0.3) for channel in (0, 1)) < 0.001
    assert max(sound.loudness(channel, begins - 1, begins - 0.1) for channel in (0, 1)) > 0.01


def delete_and_restore(client: Client, identity: str) -> None:
    url = client.find(identity)["media"]["url"]
    assert client.do("deleteRecording", id=identity)["state"] == "TRASHED"
    assert identity not in client.ids()
    assert identity in client.ids(trashed=True)
    assert client.http.get(url).status_code == 404
    assert client.http.get(f"/media/{identity}").status_code == 404
    assert client.do("restoreRecording", id=identity)["state"] == "STORED"
    assert identity in client.ids()
    assert client.http.get(url).status_code == 200


def test_a_call_is_recorded_played_deleted_and_restored(server: Server, client: Client) -> None:
    identity = record(server, client)
    play(client, identity)
    delete_and_restore(client, identity)


def test_the_curl_command_of_the_demo_works(server: Server) -> None:
    line = next(line for line in server.printed().splitlines() if line.startswith("with curl"))
    ended = subprocess.run(
        shlex.split(line.removeprefix("with curl")), capture_output=True, text=True, check=True, timeout=30
    )
    nodes = json.loads(ended.stdout)["data"]["recordings"]["nodes"]
    assert len(nodes) == 3
    assert all(node["state"] == "STORED" and node["durationMs"] for node in nodes)


def test_the_demo_recordings_play(client: Client) -> None:
    query = """query Q($labels: [String!]!) { recordings(first: 9, filter: {label: {in: $labels}}) {
        nodes { format media { url durationMs } } } }"""
    recordings = client.graphql(query, labels=["Order", "Support", "Survey"])["recordings"]["nodes"]
    assert len(recordings) == 5
    assert {recording["format"] for recording in recordings} == {"MP3", "WAV"}
    for recording in recordings:
        sound = decode(client.http.get(recording["media"]["url"]).content)
        assert sound.seconds == pytest.approx(recording["media"]["durationMs"] / 1000, abs=0.1)
        assert max(sound.loudness(channel, 0, sound.seconds) for channel in (0, 1)) > 0.01


@pytest.fixture
def mongodb(mongodb_uri: str, mongodb_client: "MongoClient[Document]", mongodb_database: str) -> str:
    """The URI of a database for one test."""
    return mongodb_uri.replace("/?", f"/{mongodb_database}?")


def test_a_call_on_mongodb_is_recorded_played_deleted_and_restored(data: Path, mongodb: str) -> None:
    with Server(data, "--demo", "--mongodb", mongodb, RECORDINGS_MONGODB=mongodb) as server:
        client = server.client(server.shown_token())
        assert len(client.ids()) == 5
        identity = record(server, client)
        play(client, identity)
        delete_and_restore(client, identity)
        assert server.stop() == 0
    assert not (data / "recordings.sqlite3").exists()


def test_a_call_is_recorded_with_the_motor_driver(data: Path, mongodb: str) -> None:
    with Server(data, "--mongodb", mongodb, "--driver", "motor", RECORDINGS_MONGODB=mongodb) as server:
        made = command("account", "create", "Acme", data=data, RECORDINGS_MONGODB=mongodb)
        account = json.loads(made.stdout)["id"]
        token = command("token", "--account", account, data=data, RECORDINGS_MONGODB=mongodb).stdout.strip()
        client = server.client(token)
        with server.call(30, "--account", account) as call:
            identity = client.start(call.id)["plainId"]
            client.do("stopRecording", id=identity)
        assert client.wait_for(identity, "STORED", "DISCARDED")
        assert client.ids() == [identity]
