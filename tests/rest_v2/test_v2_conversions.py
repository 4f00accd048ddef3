"""Converted audio, with ranges and conditions (`docs/v2_contract.md`, sections 2.1 and 2.3)."""

import io
import wave
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from recordings.model.account import Scope
from recordings.model.errors import Busy
from recordings.model.recording import Recording
from tests.adapters.audio.sounds import sine, write_as
from tests.e2e.sound import opus_silence
from tests.rest_v2.v2_installation import AUDIO, V2Client, client_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECONDS = 0.5
TYPES = {
    "audio/wav": ("wav", "audio/x-wav"),
    "audio/x-wav": ("wav", "audio/x-wav"),
    "audio/ogg": ("opus", "audio/ogg"),
    "audio/opus": ("opus", "audio/ogg"),
    "audio/flac": ("flac", "audio/flac"),
    "audio/x-flac": ("flac", "audio/flac"),
}
CODECS = {"wav": "pcm_s16le", "opus": "opus", "flac": "flac", "mp3": "mp3float"}


@pytest.fixture(scope="session")
def mp3(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: Path = tmp_path_factory.mktemp("sounds") / "a.mp3"
    write_as(path, "libmp3lame", sine(440, 16_000, SECONDS), 16_000)
    return path.read_bytes()


def heard(audio: bytes) -> tuple[str, float]:
    """Return the codec and the length of decoded audio."""
    with av.open(io.BytesIO(audio), mode="r") as container:
        stream = container.streams.audio[0]
        samples = sum(frame.samples for frame in container.decode(stream))
        return stream.codec_context.name, samples / stream.codec_context.sample_rate


@pytest.mark.parametrize("way", ["header", "parameter"])
@pytest.mark.parametrize("name", TYPES)
async def test_audio_in_another_type(v2: V2Client, mp3: bytes, name: str, way: str) -> None:
    made = await v2.add(audio=mp3, name="a.mp3")
    path, (format, shown) = f"{v2.recordings}/{made.id}", TYPES[name]
    if way == "header":
        response = await v2.send("GET", path, headers={"Accept": name})
    else:
        response = await v2.send("GET", path, headers={"Accept": "application/json"}, params={"accept": name})
    assert (response.status_code, response.headers["content-type"]) == (200, shown)
    codec, seconds = heard(response.content)
    assert codec in {CODECS[format], "lib" + CODECS[format]}
    assert seconds == pytest.approx(SECONDS, abs=0.15)
    assert response.headers["content-length"] == str(len(response.content))
    assert response.headers["content-disposition"] == f"attachment; filename=a.{format}"
    assert response.headers["vary"] == "accept-language, accept"
    assert response.headers["expires"] == "Fri, 01 Jan 1999 00:00:00 GMT"
    assert not {"accept-ranges", "content-range"} & set(response.headers)


async def test_a_stored_wav_in_other_formats_and_unchanged(v2: V2Client) -> None:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(sine(440, 16_000, SECONDS))
    stored = buffer.getvalue()
    made = await v2.add(audio=stored, format="wav", name="a.wav")
    path = f"{v2.recordings}/{made.id}"
    for name in ("audio/mpeg", "audio/mp3", "audio/wav", "audio/x-wav", "audio/*"):
        same = await v2.send("GET", path, headers={"Accept": name})
        assert (same.content, same.headers["content-type"]) == (stored, "audio/x-wav")
    response = await v2.get(path, accept="audio/ogg", inline="true")
    assert heard(response.content)[0] in {"opus", "libopus"}
    assert response.headers["content-disposition"] == "inline; filename=a.opus"


async def test_a_stored_opus_file_is_mp3_unless_the_request_names_opus(v2: V2Client) -> None:
    stored = opus_silence(0.6)
    made = await v2.add(audio=stored, format="opus", name="a.opus")
    assert made.media is not None
    ogg = replace(made, media=replace(made.media, content_type="audio/ogg"), revision=made.revision + 1)
    assert await v2.installation.store.save(ogg, made.revision)
    path = f"{v2.recordings}/{made.id}"
    for name in ("audio/mpeg", "audio/mp3", "audio/*"):
        response = await v2.send("GET", path, headers={"Accept": name})
        assert (response.headers["content-type"], heard(response.content)[0]) == ("audio/mpeg", "mp3float")
    assert (await v2.send("GET", path, headers={"Accept": "audio/ogg"})).content == stored
    document = (await v2.get(path)).json()["data"]
    assert (document["content_type"], document["media_type"]) == ("audio/mpeg", "mp3")


async def test_ranges_and_conditions_of_converted_audio(v2: V2Client, mp3: bytes) -> None:
    made = await v2.add(audio=mp3)
    path, asked = f"{v2.recordings}/{made.id}", {"Accept": "audio/flac"}
    whole = await v2.send("GET", path, headers=asked)
    size, tag = len(whole.content), whole.headers["etag"]
    assert tag != (await v2.get(path)).headers["etag"]
    for given, start, end in (("bytes=0-9", 0, 10), ("bytes=100-", 100, size), ("bytes=-5", size - 5, size)):
        part = await v2.send("GET", path, headers={**asked, "Range": given, "If-Range": tag})
        assert (part.status_code, part.content) == (206, whole.content[start:end])
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
        assert part.headers["accept-ranges"] == "bytes"
    after_end = await v2.send("GET", path, headers={**asked, "Range": f"bytes={size}-"})
    assert (after_end.status_code, after_end.headers["content-range"]) == (416, f"bytes */{size}")
    stored = (await v2.send("GET", path, headers={"Accept": "audio/mpeg"})).headers["etag"]
    for header, value, status in (
        ("If-None-Match", tag, 304),
        ("If-None-Match", stored, 200),
        ("If-Match", tag, 200),
        ("If-Match", stored, 412),
    ):
        response = await v2.send("GET", path, headers={**asked, header: value})
        assert response.status_code == status, header
        assert (response.content == b"") is (status != 200)
    mixed = await v2.send("GET", path, headers={**asked, "Range": "bytes=0-9", "If-Range": stored})
    assert (mixed.status_code, mixed.content) == (200, whole.content)


async def test_a_token_without_the_scope_listen_gets_no_audio(v2: V2Client, mp3: bytes) -> None:
    made = await v2.add(audio=mp3, owner_id="other")
    path = f"{v2.recordings}/{made.id}"
    for token, status in ((v2.token(Scope.READ), 403), (v2.token(owner_id="mine"), 404)):
        response = await v2.send("GET", path, headers={"X-Auth-Token": token, "Accept": "audio/ogg"})
        assert response.status_code == status


async def test_audio_that_cannot_be_converted(v2: V2Client) -> None:
    nonsense, without = await v2.add(audio=AUDIO), await v2.add(audio=None)
    gone = await v2.add(audio=AUDIO + b"x")
    assert gone.media is not None
    await v2.installation.media.delete(gone.media.url)
    for made in (nonsense, without, gone):
        response = await v2.get(f"{v2.recordings}/{made.id}", accept="audio/ogg")
        assert (response.status_code, response.json()["message"]) == (404, "bad_identifier")
        assert response.json()["data"] == {"message": "bad identifier", "details": made.id}


async def test_too_many_conversions_at_once(v2: V2Client) -> None:
    made = await v2.add()

    async def convert(_recording: Recording, _format: str) -> Any:
        raise Busy("later")

    async with client_of(v2.installation.app(convert=convert)) as client:
        response = await client.get(f"{v2.recordings}/{made.id}", params={"accept": "audio/ogg"}, headers=v2.headers)
    assert (response.status_code, response.json()["message"]) == (503, "datastore_unreachable")
    assert response.headers["retry-after"] == "10"


async def test_a_media_store_that_fails(v2: V2Client, mp3: bytes) -> None:
    made = await v2.add(audio=mp3)

    class Broken:
        recording = made

        def read(self, _url: str, _start: int, _end: int | None) -> AsyncIterator[bytes]:
            raise ConnectionResetError

    async def convert(_recording: Recording, _format: str) -> Any:
        return Broken()

    async with client_of(v2.installation.app(convert=convert)) as client:
        response = await client.get(f"{v2.recordings}/{made.id}", params={"accept": "audio/flac"}, headers=v2.headers)
    assert (response.status_code, response.json()["message"]) == (500, "datastore_fault")
