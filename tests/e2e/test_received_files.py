"""Files that a real server receives: repaired, reported as damaged, or failed with a reason, and never thrown away."""

import io
import json
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.audio.made_files import make
from tests.e2e.server import Client, Server, command, until
from tests.e2e.sound import opus_silence

FIELDS = "plainId state reason reasonDetail durationMs media { url length damaged damage expectedMs durationMs }"


class Receiver:
    """A server with an account, and an address for uploads."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        account = self.run("account", "create", "Acme")["id"]
        self.address = self.run("ingest", "create", "--account", account, "--port", str(server.port))["url"]
        words = ("token", "--account", account, "--scope", "read", "--scope", "listen", "--scope", "delete")
        token = command(*words, data=server.data).stdout.strip()
        self.client: Client = server.client(token)

    def run(self, *words: str) -> Any:
        done = command(*words, data=self.server.data)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def upload(self, name: str, call_id: str | None = None) -> Any:
        data = make(name, self.folder).read_bytes()
        response = self.client.http.put(f"{self.address}/call_recording_{name}?call_id={call_id or name}", content=data)
        assert response.status_code == 201, response.text
        identity = response.json()["id"]
        self.client.wait_for(identity, "STORED", "FAILED", "DISCARDED")
        return self.client.graphql(f"query Q($id: ID!) {{ recording(id: $id) {{ {FIELDS} }} }}", id=identity)[
            "recording"
        ]

    def aside(self, recording: Any) -> list[Path]:
        folder = self.server.data / "aside" / recording["plainId"]
        return [path for path in folder.iterdir() if path.name != "take.json"] if folder.is_dir() else []


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    folder = tmp_path_factory.mktemp("received")
    with Server(folder / "data", "--video", "reject") as server:
        yield Receiver(server, folder)


@pytest.mark.parametrize("name", ["w02_data0.wav", "k10_killed_rf64.wav", "x10_dataFF_then_list.wav", "w49_rifx.wav"])
def test_the_served_file_of_a_killed_writer_has_its_true_length(receiver: Receiver, name: str) -> None:
    found = receiver.upload(name)
    assert (found["state"], found["media"]["durationMs"], found["media"]["damaged"]) == ("STORED", 2_000, False)
    served = receiver.client.http.get(found["media"]["url"]).content
    assert len(served) == found["media"]["length"]
    with wave.open(io.BytesIO(served)) as file:
        assert (file.getnframes(), file.getframerate()) == (16_000, 8_000)
    assert receiver.aside(found) == []


def test_a_damaged_file_is_stored_reported_and_its_original_is_kept(receiver: Receiver) -> None:
    found = receiver.upload("p18_damaged_middle.mp3")
    assert (found["state"], found["media"]["damaged"]) == ("STORED", True)
    assert found["media"]["expectedMs"] > found["media"]["durationMs"]
    (original,) = receiver.aside(found)
    assert original.read_bytes() == (receiver.folder / "p18_damaged_middle.mp3").read_bytes()


@pytest.mark.parametrize(("name", "reason"), [("y01_ac3.mka", "ac3"), ("z01_tag1234.wav", "0x1234")])
def test_a_codec_that_is_not_decoded_fails_at_once_and_its_bytes_are_kept(
    receiver: Receiver, name: str, reason: str
) -> None:
    found = receiver.upload(name)
    assert (found["state"], found["reason"], found["media"]) == ("FAILED", "NOT_AUDIO", None)
    assert reason in found["reasonDetail"]
    (original,) = receiver.aside(found)
    assert original.read_bytes() == (receiver.folder / name).read_bytes()


def test_headerless_samples_are_stored_by_the_extension_of_their_name(receiver: Receiver) -> None:
    assert receiver.upload("r02.ulaw")["durationMs"] == pytest.approx(2_000, abs=20)


def test_the_same_file_is_stored_once_in_sequence_and_at_once(receiver: Receiver) -> None:
    body = make("w01_plain.wav", receiver.folder).read_bytes()

    def put(name: str) -> tuple[int, str]:
        path = f"{receiver.address}/call_recording_{name}.wav?call_id={name}"
        response = receiver.client.http.put(path, content=body)
        return response.status_code, response.json()["id"]

    in_sequence = [put("again") for _ in range(60)]
    with ThreadPoolExecutor(40) as pool:
        at_once = list(pool.map(put, ["at-once"] * 40))
    for answers in (in_sequence, at_once):
        assert sorted(status for status, _ in answers) == [200] * (len(answers) - 1) + [201]
        (identity,) = {identity for _, identity in answers}
        assert receiver.client.wait_for(identity, "STORED")["state"] == "STORED"


def test_erased_audio_has_no_duplicate(receiver: Receiver) -> None:
    path = f"{receiver.address}/call_recording_erased.wav?call_id=erased"
    empty = make("w01_plain.wav", receiver.folder).read_bytes()[:44]
    for body, state in ((b"", "DISCARDED"), (empty, "DISCARDED"), (empty, "DISCARDED")):
        response = receiver.client.http.put(path, content=body)
        assert response.status_code == 201
        assert receiver.client.wait_for(response.json()["id"], "STORED", state)["reason"] == "EMPTY"
    whole = receiver.client.http.put(path, content=make("w01_plain.wav", receiver.folder).read_bytes())
    assert whole.status_code == 201
    assert receiver.client.wait_for(whole.json()["id"], "STORED")["durationMs"] == 2_000


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("r01.sln", None),
        ("r02.ulaw", "audio/basic"),
        ("r02.ulaw", "audio/PCMU"),
        ("r03.alaw", "audio/PCMA;rate=8000"),
        ("r04.g722", "audio/G722"),
        ("r06.l168000", "audio/L16;rate=8000"),
        ("w01_plain.wav", "audio/basic"),
        ("w01_plain.wav", "application/x-www-form-urlencoded"),
    ],
)
def test_the_content_type_identifies_a_file_whose_name_does_not(
    receiver: Receiver, name: str, content_type: str | None
) -> None:
    shown = name if content_type is None else "call_recording_typed"
    path = f"{receiver.address}/{shown}?call_id={name}-{(content_type or '').replace('/', '-')}"
    headers = {} if content_type is None else {"Content-Type": content_type}
    response = receiver.client.http.put(path, content=make(name, receiver.folder).read_bytes(), headers=headers)
    found = receiver.client.wait_for(response.json()["id"], "STORED", "FAILED", "DISCARDED")
    assert (found["state"], found["durationMs"]) == ("STORED", pytest.approx(2_000, abs=20))


def test_the_damage_is_still_reported_after_the_recording_was_restored(receiver: Receiver) -> None:
    found = receiver.upload("p18_damaged_middle.mp3", "restored")
    client, words = receiver.client, {"id": found["plainId"]}
    query = f"query Q($id: ID!) {{ recording(id: $id) {{ {FIELDS} }} }}"
    client.do("deleteRecording", **words)
    assert client.graphql(query, **words)["recording"]["media"]["damage"] == found["media"]["damage"]
    assert receiver.aside(found)
    client.do("restoreRecording", **words)
    restored = client.graphql(query, **words)["recording"]
    assert (restored["state"], restored["media"]["damage"]) == ("STORED", found["media"]["damage"])
    assert receiver.aside(found)


def test_a_purge_deletes_the_original_of_a_damaged_file(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--trash-days", "0") as server:
        receiver = Receiver(server, tmp_path)
        found = receiver.upload("p18_damaged_middle.mp3")
        assert receiver.aside(found)
        receiver.client.do("deleteRecording", id=found["plainId"])
        until(lambda: not receiver.aside(found) or None)


def test_silence_that_would_grow_as_mp3_stays_small_and_plays_in_every_way(receiver: Receiver) -> None:
    sent, http = opus_silence(150), receiver.client.http
    response = http.put(f"{receiver.address}/call_recording_s.opus?call_id=s", content=sent)
    identity = response.json()["id"]
    assert receiver.client.wait_for(identity, "STORED")["media"]["contentType"] == "audio/ogg"
    fields = "format media { url(format: MP3) length }"
    listed = "recordings(first: 9, filter: {format: {equal: OPUS}}) { nodes { plainId format } }"
    query = f"query Q($id: ID!) {{ recording(id: $id) {{ {fields} }} {listed} }}"
    found = receiver.client.graphql(query, id=identity)
    assert found["recordings"]["nodes"] == [{"plainId": identity, "format": "OPUS"}]
    assert found["recording"]["media"]["length"] == len(sent)
    assert http.get(f"/media/{identity}").content == sent
    assert http.get(found["recording"]["media"]["url"]).headers["content-type"] == "audio/mpeg"
