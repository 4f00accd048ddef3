"""The audio workers, on real audio and on files that are not audio."""

import os
import struct
import zlib
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.audio import AudioWorkers
from recordings.ports.audio import Codec, NotAudio, Rendered, SpooledAudio, Target, Track
from tests.adapters.audio.sounds import (
    LEFT,
    RIGHT,
    decode,
    interleave,
    lie_about_length,
    mulaw,
    sine,
    write_as,
    write_wav,
)
from tests.e2e.sound import opus_silence

HOUR = 3_600_000
UNCHANGED = Target(None, None, HOUR)


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of rendered files. Every test leaves it empty."""
    return tmp_path_factory.mktemp("audio_workers") / "work"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(work: Path) -> AsyncIterator[AudioWorkers]:
    # One process for all tests: its start takes longer than most of these jobs.
    made = AudioWorkers(work, workers=1, seconds=60)
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module")
async def audio_workers(shared: AudioWorkers) -> AsyncIterator[AudioWorkers]:
    yield shared
    await shared.discard("id")


def of(*paths: Path, codec: Codec = Codec.CONTAINER, rate: int = 8_000) -> SpooledAudio:
    return SpooledAudio(tuple(Track(str(path), codec, rate) for path in paths))


def check_file(rendered: Rendered) -> None:
    data = content(rendered.path)
    assert rendered.length == len(data)
    assert rendered.sha256 == sha256(data).hexdigest()


def content(path: str) -> bytes:
    return Path(path).read_bytes()


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


async def test_two_tracks_become_left_and_right(audio_workers: AudioWorkers, tmp_path: Path) -> None:
    left = write(tmp_path / "l", mulaw(sine(LEFT, 8_000, 2)))
    right = write(tmp_path / "r", mulaw(sine(RIGHT, 8_000, 1.5)))
    for format, content_type in ((None, "audio/mpeg"), ("wav", "audio/x-wav")):
        made = await audio_workers.render("id", of(left, right, codec=Codec.MULAW), Target(format, None, HOUR))
        assert (made.duration_ms, made.sample_rate, made.channels) == (2_000, 8_000, 2)
        assert (made.format, made.content_type) == (format or "mp3", content_type)
        check_file(made)
        decoded = decode(made.path)
        assert (decoded.rate, len(decoded.channels)) == (8_000, 2)
        assert decoded.seconds == pytest.approx(2, abs=0.1)
        assert decoded.level(0, LEFT) > 20 * decoded.level(0, RIGHT)
        assert decoded.level(1, RIGHT) > 20 * decoded.level(1, LEFT)
        # The shorter track ends with silence.
        assert max(map(abs, decoded.channels[1][14_000:15_900])) < 600


async def test_mulaw_is_decoded_to_its_samples(audio_workers: AudioWorkers, tmp_path: Path) -> None:
    samples = sine(LEFT, 8_000, 0.5)
    made = await audio_workers.render(
        "id", of(write(tmp_path / "t", mulaw(samples)), codec=Codec.MULAW), Target("wav", None, HOUR)
    )
    decoded = decode(made.path)
    expected = struct.unpack(f"<{len(samples) // 2}h", samples)
    assert len(decoded.channels[0]) == len(expected)
    # G.711 is at most half a step off at this level.
    assert max(abs(a - b) for a, b in zip(decoded.channels[0], expected, strict=True)) <= 256


async def test_headerless_samples_are_kept_exactly(audio_workers: AudioWorkers, tmp_path: Path) -> None:
    samples = sine(LEFT, 16_000, 1)
    track = of(write(tmp_path / "t", samples + b"\1"), codec=Codec.S16, rate=16_000)
    made = await audio_workers.render("id", track, Target("wav", None, HOUR))
    assert (made.duration_ms, made.sample_rate, made.channels) == (1_000, 16_000, 1)
    assert decode(made.path).channels[0].tobytes() == samples


async def test_a_stream_is_cut_at_the_limit(audio_workers: AudioWorkers, tmp_path: Path) -> None:
    track = of(write(tmp_path / "t", bytes(80_000)), codec=Codec.MULAW)
    assert (await audio_workers.render("id", track, Target("wav", None, 3_000))).duration_ms == 3_000


@pytest.mark.parametrize(("codec", "size"), [(Codec.MULAW, 8_000), (Codec.S16, 16_000)])
async def test_one_track_is_mono_and_can_be_resampled(
    audio_workers: AudioWorkers, tmp_path: Path, codec: Codec, size: int
) -> None:
    made = await audio_workers.render(
        "id", of(write(tmp_path / "t", bytes(size)), codec=codec), Target("wav", 24_000, HOUR)
    )
    assert (made.sample_rate, made.channels) == (24_000, 1)
    assert made.duration_ms == pytest.approx(1_000, abs=5)


@pytest.mark.parametrize("name", ["a.wav", "a.mp3"])
async def test_a_file_in_the_wanted_form_is_kept_byte_for_byte(
    audio_workers: AudioWorkers, tmp_path: Path, name: str
) -> None:
    samples = sine(LEFT, 8_000, 2)
    codec = "libmp3lame" if name.endswith("mp3") else "pcm_s16le"
    source = write_as(tmp_path / name, codec, samples, 8_000)
    # A name without a meaningful extension.
    renamed = source.rename(tmp_path / "body.bin")
    for target in (UNCHANGED, Target(name[-3:], 8_000, HOUR)):
        made = await audio_workers.render("id", of(renamed), target)
        assert content(made.path) == renamed.read_bytes()
        assert (made.format, made.sample_rate, made.channels) == (name[-3:], 8_000, 1)
        assert made.duration_ms == pytest.approx(2_000, abs=150)
        check_file(made)


async def test_a_file_in_another_form_is_converted(audio_workers: AudioWorkers, tmp_path: Path) -> None:
    stereo = interleave(sine(LEFT, 44_100, 2), sine(RIGHT, 44_100, 2))
    source = write_as(tmp_path / "a.flac", "flac", stereo, 44_100, 2)
    made = await audio_workers.render("id", of(source), Target("mp3", 8_000, HOUR))
    assert (made.format, made.sample_rate, made.channels) == ("mp3", 8_000, 2)
    assert made.duration_ms == pytest.approx(2_000, abs=2)
    decoded = decode(made.path)
    assert decoded.seconds == pytest.approx(2, abs=0.1)
    assert decoded.level(0, LEFT) > 20 * decoded.level(0, RIGHT)
    assert decoded.level(1, RIGHT) > 20 * decoded.level(1, LEFT)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.flac", "flac"), ("a.ogg", "libopus"), ("a.m4a", "aac"), ("a.au", "pcm_mulaw")]
)
async def test_the_default_format_is_mp3(audio_workers: AudioWorkers, tmp_path: Path, name: str, codec: str) -> None:
    source = write_as(tmp_path / name, codec, sine(LEFT, 48_000, 1), 48_000)
    made = await audio_workers.render("id", of(source), UNCHANGED)
    assert (made.format, made.content_type, made.sample_rate) == ("mp3", "audio/mpeg", 48_000)
    assert made.duration_ms == pytest.approx(1_000, abs=30)
    assert decode(made.path).level(0, LEFT) > 8_000


async def test_opus_that_would_grow_too_much_as_mp3_is_stored_unchanged(
    audio_workers: AudioWorkers, tmp_path: Path
) -> None:
    source = write(tmp_path / "a.opus", opus_silence(240))
    made = await audio_workers.render("id", of(source), UNCHANGED)
    assert (made.format, made.content_type) == ("opus", "audio/ogg")
    assert made.duration_ms == pytest.approx(240_000, abs=30)
    assert content(made.path) == content(str(source))
    assert (await audio_workers.render("id", of(source), Target("mp3", None, HOUR))).length > 1 << 20


@pytest.mark.parametrize("format", ["ogg", "webm"])
async def test_a_small_file_with_long_gaps_becomes_a_small_file(
    audio_workers: AudioWorkers, tmp_path: Path, format: str
) -> None:
    source = write(tmp_path / "a", opus_silence(0.3, 240, format))
    made = await audio_workers.render("id", of(source), UNCHANGED)
    assert made.duration_ms == pytest.approx(240_300, abs=100)
    assert made.format == "opus"
    assert made.length < 1 << 20


async def test_telephony_mp3_has_at_least_32_kbit_per_second(audio_workers: AudioWorkers, tmp_path: Path) -> None:
    track = of(write(tmp_path / "t", mulaw(sine(LEFT, 8_000, 10))), codec=Codec.MULAW)
    made = await audio_workers.render("id", track, UNCHANGED)
    assert made.length * 8 / 10 >= 32_000


async def test_a_wav_that_claims_hours_is_measured_by_its_real_audio(
    audio_workers: AudioWorkers, tmp_path: Path
) -> None:
    source = write_wav(tmp_path / "a.wav", sine(LEFT, 8_000, 2), 8_000)
    lie_about_length(source, 16_000 * 3_600 * 5)
    assert (await audio_workers.render("id", of(source), UNCHANGED)).duration_ms == 2_000


async def test_a_truncated_mp3_is_measured_by_its_real_audio(audio_workers: AudioWorkers, tmp_path: Path) -> None:
    whole = write_as(tmp_path / "a.mp3", "libmp3lame", sine(LEFT, 8_000, 10), 8_000).read_bytes()
    source = write(tmp_path / "half.mp3", whole[: len(whole) // 2])
    assert (await audio_workers.render("id", of(source), UNCHANGED)).duration_ms == pytest.approx(5_000, abs=300)


async def test_a_file_longer_than_allowed_is_rejected_with_the_limit(
    audio_workers: AudioWorkers, work: Path, tmp_path: Path
) -> None:
    source = write_as(tmp_path / "a.flac", "flac", bytes(2 * 8_000 * 120), 8_000)
    for target in (Target(None, None, 60_000), Target("wav", None, 60_000)):
        with pytest.raises(NotAudio, match="longer than 60 seconds"):
            await audio_workers.render("id", of(source), target)
    assert names(work) == []


async def test_a_file_a_little_longer_than_allowed_is_accepted(audio_workers: AudioWorkers, tmp_path: Path) -> None:
    source = write_wav(tmp_path / "a.wav", bytes(2 * 8_000 * 5), 8_000)
    assert (await audio_workers.render("id", of(source), Target(None, None, 4_500))).duration_ms == 5_000


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(200))) + chunk(b"IEND", b"")
    )


NOT_AUDIO = {
    "image.png": png(),
    "image.jpg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00" + bytes(500) + b"\xff\xd9",
    "text.mp3": b"There is nothing to hear here.\n" * 200,
    "page.wav": b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>",
    "error.mp3": b'{"error": "not found"}',
    "noise.mp3": bytes(sha256(bytes([i % 256, i // 256])).digest()[0] for i in range(20_000)),
    "head.wav": b"RIFF\x24\x00\x00\x00WAVE",
    "list.m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n%s\n#EXT-X-ENDLIST\n",
    "list.ffconcat": b"ffconcat version 1.0\nfile '%s'\n",
    "list.sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    "list.mp3": b"ID3\x03\x00\x00\x00\x00\x00\x00#EXTM3U\n#EXTINF:9,\n%s\n",
}


@pytest.mark.parametrize("name", NOT_AUDIO)
async def test_a_file_that_is_not_audio_is_rejected(audio_workers: AudioWorkers, tmp_path: Path, name: str) -> None:
    other = write_wav(tmp_path / "other.wav", sine(LEFT, 8_000, 1), 8_000)
    source = write(tmp_path / name, NOT_AUDIO[name].replace(b"%s", str(other).encode()))
    for target in (UNCHANGED, Target("wav", 8_000, HOUR)):
        with pytest.raises(NotAudio):
            await audio_workers.render("id", of(source), target)


async def test_a_video_is_rejected(audio_workers: AudioWorkers, tmp_path: Path) -> None:
    import av

    source = tmp_path / "a.mp4"
    with av.open(str(source), "w") as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for part in (av.VideoFrame(64, 64, "yuv420p"), None):
            output.mux(stream.encode(part))
    with pytest.raises(NotAudio, match="video"):
        await audio_workers.render("id", of(source), UNCHANGED)


@pytest.mark.parametrize("format", [None, "wav"])
async def test_empty_audio_is_no_error(audio_workers: AudioWorkers, tmp_path: Path, format: str | None) -> None:
    empty, header = write(tmp_path / "e", b""), write_wav(tmp_path / "a.wav", b"", 8_000)
    for audio in (of(empty), of(empty, codec=Codec.MULAW), of(empty, empty, codec=Codec.S16), of(header)):
        made = await audio_workers.render("id", audio, Target(format, None, HOUR))
        assert made.duration_ms == 0
        check_file(made)


async def test_a_second_render_replaces_the_file_and_discard_deletes_it(
    audio_workers: AudioWorkers, work: Path, tmp_path: Path
) -> None:
    for seconds in (1, 2):
        track = of(write(tmp_path / "t", sine(LEFT, 8_000, seconds)), codec=Codec.S16)
        made = await audio_workers.render("id", track, Target("wav", None, HOUR))
        assert made.duration_ms == seconds * 1_000
        check_file(made)
    assert names(work) == ["id.wav"]
    await audio_workers.discard("id")
    await audio_workers.discard("id")
    assert names(work) == []


async def test_a_file_that_stays_unchanged_is_not_copied(
    audio_workers: AudioWorkers, work: Path, tmp_path: Path
) -> None:
    source = write_wav(tmp_path / "a.wav", sine(LEFT, 8_000, 1), 8_000)
    made = await audio_workers.render("id", of(source), UNCHANGED)
    check_file(made)
    assert (made.path, names(work)) == (str(source), [])


async def test_a_missing_file_is_an_error_and_not_not_audio(audio_workers: AudioWorkers, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await audio_workers.render("id", of(tmp_path / "gone"), UNCHANGED)


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden"])
async def test_an_id_is_never_a_path(audio_workers: AudioWorkers, name: str) -> None:
    with pytest.raises(ValueError, match="path"):
        await audio_workers.render(name, of(), UNCHANGED)
    with pytest.raises(ValueError, match="path"):
        await audio_workers.discard(name)


async def test_a_recording_has_one_or_two_tracks(audio_workers: AudioWorkers, tmp_path: Path) -> None:
    with pytest.raises(NotAudio, match="0 tracks"):
        await audio_workers.render("id", of(), UNCHANGED)
    track = write(tmp_path / "t", os.urandom(80))
    with pytest.raises(NotAudio, match="3 tracks"):
        await audio_workers.render("id", of(track, track, track, codec=Codec.S16), UNCHANGED)
