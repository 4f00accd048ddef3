"""Renditions from a real server: recordings in other formats and as waveforms."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from graph.demo.demo_account import DEMO_ACCOUNT
from tests.e2e.server import Client, Server, command, until

MEDIA = "{ recordings(first: 1) { nodes { plainId name media { url contentType durationMs channels %s } } } }"
TYPES = {"mp3": "audio/mpeg", "wav": "audio/x-wav", "opus": "audio/ogg", "flac": "audio/flac"}
DECODERS = {"mp3": {"mp3", "mp3float"}, "wav": {"pcm_s16le"}, "opus": {"opus", "libopus"}, "flac": {"flac"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("renditions") / "data", "--demo", "--trash-days", "0") as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    return server.client(server.shown_token())


def newest(client: Client, fields: str = "") -> Any:
    (node,) = client.graphql(MEDIA % fields)["recordings"]["nodes"]
    return node


def measured(path: Path) -> tuple[str, float]:
    """Return the codec and the decoded length of a file in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        samples = sum(frame.samples for frame in container.decode(stream))
        return stream.codec_context.name, samples / stream.codec_context.sample_rate


@pytest.mark.parametrize("format", TYPES)
def test_a_recording_plays_in_every_format(client: Client, tmp_path: Path, format: str) -> None:
    found = newest(client, f"asked: url(format: {format.upper()})")
    media, url = found["media"], found["media"]["asked"]
    whole = client.http.get(url, headers={"X-Auth-Token": ""})
    assert (whole.status_code, whole.headers["content-type"]) == (200, TYPES[format])
    assert whole.headers["etag"] == f'"{hashlib.sha256(whole.content).hexdigest()}"'
    assert f'.{format}"' in whole.headers["content-disposition"]
    assert whole.headers["content-disposition"].count(".") == 1
    (tmp_path / "file").write_bytes(whole.content)
    codec, seconds = measured(tmp_path / "file")
    assert codec in DECODERS[format]
    assert seconds == pytest.approx(media["durationMs"] / 1_000, abs=0.15)
    part = client.http.get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert client.http.get(url, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304


def test_accept_selects_a_format_and_browsers_get_the_stored_one(client: Client) -> None:
    url = newest(client)["media"]["url"]
    opus = client.http.get(url, headers={"Accept": "audio/ogg"})
    assert (opus.headers["content-type"], opus.headers["vary"]) == ("audio/ogg", "Accept")
    browser = client.http.get(url, headers={"Accept": "audio/webm,audio/ogg,audio/*;q=0.9,*/*;q=0.5"})
    assert (browser.headers["content-type"], browser.headers["vary"]) == ("audio/mpeg", "Accept")
    assert client.http.head(url, headers={"Accept": "audio/flac"}).headers["content-type"] == "audio/flac"
    assert client.http.get(f"{url}&accept=audio/flac").headers["content-type"] == "audio/flac"
    wrong = client.http.get(f"{url}&format=aac")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "INVALID_INPUT")


def test_another_format_needs_the_same_scope(server: Server, client: Client) -> None:
    found = newest(client, "asked: url(format: OPUS)")
    forged = found["media"]["asked"].replace("signature=", "signature=A")
    assert client.http.get(forged, headers={"X-Auth-Token": ""}).status_code == 401
    token = command("token", "--account", DEMO_ACCOUNT, "--scope", "read", data=server.data).stdout.strip()
    reader = server.client(token)
    assert reader.http.get(f"/media/{found['plainId']}?format=opus").status_code == 403
    seen = newest(reader, "asked: url(format: OPUS) peaks(pixels: 10)")["media"]
    assert (seen["url"], seen["asked"], seen["peaks"]) == (None, None, None)


def test_waveforms_come_with_a_page(client: Client) -> None:
    query = "{ recordings(first: 9) { nodes { media { durationMs channels peaks(pixels: 200) } } } }"
    nodes = client.graphql(query)["recordings"]["nodes"]
    assert len(nodes) == 5
    for media in (node["media"] for node in nodes):
        peaks = media["peaks"]
        assert (peaks["version"], peaks["bits"], peaks["channels"]) == (2, 8, media["channels"])
        assert 100 <= peaks["length"] <= 200
        assert len(peaks["data"]) == 2 * peaks["length"] * peaks["channels"]
        assert max(peaks["data"]) > 5
        drawn = peaks["length"] * peaks["samples_per_pixel"] / peaks["sample_rate"]
        assert drawn == pytest.approx(media["durationMs"] / 1_000, abs=0.3)


@pytest.mark.parametrize("pixels", [0, -1, 10_001])
def test_the_number_of_pixels_is_limited(client: Client, pixels: int) -> None:
    answer = client.http.post("/graphql", json={"query": MEDIA % f"peaks(pixels: {pixels})"}).json()
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "INVALID_INPUT"
    assert "an integer from 1 to 10000" in error["message"]
    assert answer["data"]["recordings"]["nodes"][0]["media"]["peaks"] is None


def test_a_purge_deletes_the_renditions(server: Server, client: Client) -> None:
    identity = client.ids()[-1]
    query = "query Q($id: ID!) { recording(id: $id) { media { sha256 url(format: FLAC) peaks(pixels: 5) } } }"
    media = client.graphql(query, id=identity)["recording"]["media"]
    assert client.http.get(media["url"]).status_code == 200
    kept = server.data / "renditions" / "kept"
    made = {path.name.partition("~")[0].rpartition(".")[2] for path in kept.glob(f"{media['sha256']}.*")}
    assert made >= {"flac", "peaks"}
    client.do("deleteRecording", id=identity)
    until(lambda: not list(kept.glob(f"{media['sha256']}.*")))
    assert client.http.get(media["url"]).status_code == 404


def test_a_rendition_of_a_recording_that_another_server_purged_is_never_served(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--demo", "--trash-days", "0") as server:
        client = server.client(server.shown_token())
        identity = client.ids()[0]
        query = "query Q($id: ID!) { recording(id: $id) { media { sha256 url(format: OPUS) } } }"
        media = client.graphql(query, id=identity)["recording"]["media"]
        assert client.http.get(media["url"]).status_code == 200
        kept = server.data / "renditions" / "kept"
        (rendition,) = kept.glob(f"{media['sha256']}.opus*")
        data = rendition.read_bytes()
        client.do("deleteRecording", id=identity)
        order = "orderBy: {field: MODIFIED, direction: DESC}"
        changes = f"{{ recordings(first: 99, includeDeleted: true, {order}) {{ nodes {{ state }} }} }}"
        until(lambda: {"state": "PURGED"} in client.graphql(changes)["recordings"]["nodes"])
        assert not rendition.exists()
        server.kill()
        # A server that did not do the purge itself still has the rendition.
        rendition.write_bytes(data)
        server.start()
        for url in (media["url"], f"/media/{identity}?format=opus", f"/media/{identity}"):
            assert client.http.get(url).status_code == 404
        assert rendition.exists()


def test_a_start_deletes_the_partial_files_of_a_killed_server(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in ("renditions/work/abc.source", "delivery/delivery.x.part"):
        (data / name).parent.mkdir(parents=True)
        (data / name).write_bytes(b"half")
    json.loads(command("account", "create", "Acme", data=data).stdout)
    assert (data / "renditions" / "work" / "abc.source").exists()
    with Server(data):
        assert not (data / "renditions" / "work" / "abc.source").exists()
        assert not (data / "delivery" / "delivery.x.part").exists()
