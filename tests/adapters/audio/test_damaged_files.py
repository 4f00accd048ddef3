"""Damaged, truncated and joined files: all remaining audio is stored, and the missing part is reported."""

from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any, Final

import av
import pytest

from adapters.audio.render_job import render
from recordings.ports.audio import Codec, NotAudio, Rendered, SpooledAudio, Target, Track
from tests.adapters.audio.made_files import FILES, LEFT, RATE, frame_of, make, mux, noise, opus, together, tone, wav
from tests.adapters.audio.made_files import Track as Written
from tests.adapters.audio.made_files import mp3 as _mp3
from tests.adapters.audio.sounds import decode

LIMIT = 4 * 3_600_000
Make = Callable[[Path], bytes]


def stored(data: bytes, folder: Path, name: str = "source.bin") -> Rendered:
    source = folder / name
    source.write_bytes(data)
    (folder / "out").mkdir(exist_ok=True)
    audio = SpooledAudio((Track(str(source), Codec.CONTAINER),))
    return render(str(folder / "out"), "made", audio, Target(None, None, LIMIT))


def file_of(format: str, *tracks: Written, **options: str) -> Make:
    return lambda folder: mux(folder / "made", format, tracks, options).read_bytes()


def flac(hertz: float, seconds: float = 5, rate: int = 16_000) -> Written:
    return Written("flac", tone(hertz, seconds, rate), rate)


def aac(hertz: float, seconds: float = 2, rate: int = 44_100) -> Written:
    return Written("aac", tone(hertz, seconds, rate), rate)


def mp3(hertz: float = 440, seconds: float = 5, rate: int = RATE) -> bytes:
    return _mp3(tone(hertz, seconds, rate), rate)


def counted_mp3(folder: Path, hertz: float = 440, rate: int = 44_100) -> bytes:
    """An MP3 file that says how many frames it has (Xing), after a tag."""
    return mux(folder / "made", "mp3", [Written("libmp3lame", tone(hertz, 5, rate), rate)]).read_bytes()


def third(data: bytes, middle: bytes | None = None, number: int = 1) -> bytes:
    """Replace a third of the file."""
    size = len(data) // 3
    start = number * size
    return data[:start] + (noise(size) if middle is None else middle) + data[start + size :]


OGG: Final = file_of("ogg", opus(440, 5), page_duration="200000")
WEBM: Final = file_of("webm", opus(440, 5), cluster_time_limit="500")
FLAC: Final = file_of("flac", flac(440))
FRAGMENTS: Final = file_of("mp4", aac(440, 5), movflags="frag_keyframe+empty_moov", frag_duration="500000")


@pytest.mark.parametrize("number", [0, 1, 2], ids=["start", "middle", "end"])
@pytest.mark.parametrize("is_zeros", [False, True], ids=["noise", "zeros"])
def test_the_missing_part_of_an_mp3_file_is_reported(tmp_path: Path, number: int, is_zeros: bool) -> None:
    data = mp3()
    made = stored(third(data, bytes(len(data) // 3) if is_zeros else None, number), tmp_path)
    assert 3_200 <= made.duration_ms <= 3_600
    assert made.damage is not None
    if not (is_zeros and number == 2):
        assert made.expected_ms == pytest.approx(5_184, abs=150)
    assert decode(made.path).level(0, 440) > 1_000


def test_a_truncated_mp3_file_that_counts_its_frames_is_reported_and_gets_a_right_header(tmp_path: Path) -> None:
    data = counted_mp3(tmp_path)
    made = stored(data[: len(data) // 2], tmp_path)
    assert made.duration_ms == pytest.approx(2_480, abs=60)
    assert made.expected_ms == pytest.approx(5_000, abs=60)
    assert decode(made.path).seconds == pytest.approx(made.duration_ms / 1_000, abs=0.05)


@pytest.mark.parametrize("rate", [44_100, 22_050])
def test_joined_mp3_files_are_complete_and_not_damaged(tmp_path: Path, rate: int) -> None:
    data = counted_mp3(tmp_path) + counted_mp3(tmp_path, 1_000, rate) + b"TAG" + bytes(125)
    made = stored(data, tmp_path)
    assert (made.damage, made.expected_ms) == (None, None)
    assert made.duration_ms == pytest.approx(10_050, abs=150)
    # The first header counts the frames of the first file only.
    assert Path(made.path).read_bytes() != data
    heard = decode(made.path)
    assert heard.seconds == pytest.approx(made.duration_ms / 1_000, abs=0.1)
    assert min(heard.level(0, 440), heard.level(0, 1_000)) > 1_500


def test_text_around_an_mp3_file_is_no_damage(tmp_path: Path) -> None:
    made = stored(b"--b\r\nContent-Type: audio/mpeg\r\n\r\n" + mp3() + b"\r\n--b--\r\n", tmp_path)
    assert (made.duration_ms, made.damage) == (5_184, None)


def test_zeros_after_an_mp3_file_are_not_estimated_as_audio(tmp_path: Path) -> None:
    made = stored(mp3() + bytes(100_000), tmp_path)
    assert (made.duration_ms, made.expected_ms) == (5_184, None)
    assert "100000 bytes of zeros" in (made.damage or "")


@pytest.mark.parametrize("make_file", [FLAC, OGG, WEBM], ids=["flac", "ogg", "webm"])
def test_audio_after_a_hole_is_stored_at_its_time_and_the_hole_is_reported(tmp_path: Path, make_file: Make) -> None:
    made = stored(third(make_file(tmp_path)), tmp_path)
    assert made.duration_ms == pytest.approx(5_000, abs=30)
    assert "stored as silence" in (made.damage or "")
    samples, rate = decode(made.path).channels[0], made.sample_rate
    assert max(map(abs, samples[int(2.4 * rate) : int(2.6 * rate)])) < 1_000
    assert max(map(abs, samples[int(4.5 * rate) : int(4.9 * rate)])) > 5_000


@pytest.mark.parametrize("make_file", [FLAC, OGG, WEBM, FRAGMENTS], ids=["flac", "ogg", "webm", "fragments"])
def test_a_truncated_file_is_reported(tmp_path: Path, make_file: Make) -> None:
    data = make_file(tmp_path)
    for share in (0.4, 0.6, 0.8):
        made = stored(data[: int(share * len(data))], tmp_path)
        assert 1_000 < made.duration_ms < 4_500
        assert made.damage is not None


@pytest.mark.parametrize("make_file", [FLAC, OGG, WEBM, FRAGMENTS], ids=["flac", "ogg", "webm", "fragments"])
@pytest.mark.parametrize("after", [b"", bytes(100_000), b"\r\n--b--\r\n"], ids=["whole", "zeros", "form"])
@pytest.mark.parametrize("before", [b"", b"\r\n", b"ID3\3\0\0\0\0\1\0" + bytes(128)], ids=["", "blank", "id3"])
def test_a_complete_file_is_not_damaged(tmp_path: Path, make_file: Make, before: bytes, after: bytes) -> None:
    made = stored(before + make_file(tmp_path) + after, tmp_path)
    assert made.duration_ms == pytest.approx(5_000, abs=60)
    assert (made.damage, made.expected_ms) == (None, None)


def ogg(codec: str, hertz: float, rate: int, channels: int = 1) -> Make:
    return file_of("ogg", Written(codec, tone(hertz, 2 * channels, rate), rate, channels))


@pytest.mark.parametrize(
    "second", [ogg("libopus", 1_000, 48_000), ogg("flac", 1_000, 16_000), ogg("libopus", 1_000, 48_000, 2)]
)
def test_ogg_files_of_different_kinds_that_were_joined_are_complete(tmp_path: Path, second: Make) -> None:
    made = stored(ogg("libopus", 440, 48_000)(tmp_path) + second(tmp_path), tmp_path)
    assert (made.damage, made.expected_ms) == (None, None)
    assert made.duration_ms == pytest.approx(4_000, abs=30)


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 1), (16_000, 2)])
def test_flac_files_that_were_joined_are_complete(tmp_path: Path, rate: int, channels: int) -> None:
    second = file_of("flac", Written("flac", tone(1_000, 2 * channels, rate), rate, channels))(tmp_path)
    made = stored(FLAC(tmp_path) + second, tmp_path)
    assert (made.duration_ms, made.damage, made.channels) == (7_000, None, channels)


def test_a_gap_in_many_channels_is_filled(tmp_path: Path) -> None:
    both = together(*[tone(440, 4, 48_000)] * 8)
    track = Written("libopus", both, 48_000, 8)
    track.gap = (1.0, 3.0)
    made = stored(file_of("matroska", track)(tmp_path), tmp_path)
    assert (round(made.duration_ms, -2), made.damage) == (4_000, None)


@pytest.mark.parametrize("format", ["ipod", "matroska", "mp3", "wav"])
def test_tags_need_not_be_utf_8(tmp_path: Path, format: str) -> None:
    codec = {"ipod": "aac", "matroska": "libopus", "mp3": "libmp3lame", "wav": "adpcm_ms"}[format]
    with av.open(str(tmp_path / "made"), "w", format=format) as file:
        file.metadata["title"] = "XXXXXXXX"
        stream: Any = file.add_stream(codec, rate=48_000, layout="mono")
        for packet in [*stream.encode(frame_of(tone(440, 2, 48_000), 48_000, 1)), *stream.encode(None)]:
            file.mux(packet)
    data = (tmp_path / "made").read_bytes()
    assert b"XXXXXXXX" in data
    made = stored(data.replace(b"XXXXXXXX", b"X\xe9\xff\xfe\xc3(\x80X"), tmp_path)
    assert made.duration_ms == pytest.approx(2_000, abs=150)


def test_mp4_files_that_were_joined_are_complete(tmp_path: Path) -> None:
    made = stored(b"".join(file_of("ipod", aac(hertz))(tmp_path) for hertz in (440, 1_000)), tmp_path)
    assert made.damage is None
    assert made.duration_ms == pytest.approx(4_000, abs=60)
    heard = decode(made.path)
    assert min(heard.level(0, 440), heard.level(0, 1_000)) > 3_000


@pytest.mark.parametrize(
    ("cut", "reason"), [(0.5, "without an index"), (0.9, "without an index")], ids=["half", "most"]
)
def test_an_mp4_file_without_its_index_is_named(tmp_path: Path, cut: float, reason: str) -> None:
    data = file_of("ipod", aac(440))(tmp_path)
    with pytest.raises(NotAudio, match=reason):
        stored(data[: int(cut * len(data))], tmp_path)


def test_most_of_an_mp4_file_may_be_damaged(tmp_path: Path) -> None:
    data = file_of("ipod", aac(440, 5), movflags="+faststart")(tmp_path)
    at = data.find(b"mdat") + 4
    size = len(data) - at
    made = stored(data[: at + size // 4] + bytes(size - size // 4), tmp_path)
    assert made.duration_ms > 800
    assert made.expected_ms == 5_000


@pytest.mark.parametrize("share", [0.05, 0.3], ids=["little", "more"])
def test_payload_that_cannot_be_decoded_is_not_empty(tmp_path: Path, share: float) -> None:
    """The header is complete, and the first page of audio is not."""
    data = file_of("ogg", opus(440, 5), page_duration="5000000")(tmp_path)
    with pytest.raises(NotAudio, match="Ogg"):
        stored(data[: int(share * len(data))], tmp_path)


@pytest.mark.parametrize(
    ("make_file", "mark", "number"), [(WEBM, bytes.fromhex("1f43b675"), 1), (OGG, b"OggS", 3)], ids=["webm", "ogg"]
)
def test_a_file_without_packets_is_empty(tmp_path: Path, make_file: Make, mark: bytes, number: int) -> None:
    data = make_file(tmp_path)
    head = mark.join(data.split(mark)[:number])
    assert stored(head, tmp_path).duration_ms == 0


def test_a_track_that_starts_after_more_than_an_hour_is_not_damaged(tmp_path: Path) -> None:
    made = stored(file_of("matroska", opus(440, 2, delay=3_700))(tmp_path), tmp_path)
    assert (made.duration_ms, made.damage) == (2_000, None)


@pytest.mark.parametrize("number", [17, 24])
def test_many_tracks_are_all_heard(tmp_path: Path, number: int) -> None:
    tracks = [opus(440 if each < number - 1 else 1_000, 0.5) for each in range(number)]
    made = stored(file_of("matroska", *tracks)(tmp_path), tmp_path)
    assert decode(made.path).level(1, 1_000) > 150


def gsm(_folder: Path) -> bytes:
    return (FILES / "tone440.gsm").read_bytes()


def g729(_folder: Path) -> bytes:
    return (FILES / "tone440.g729").read_bytes()


RAW: Final[Mapping[str, Make]] = {
    "tone.g729": g729,
    "tone.gsm": gsm,
    "zeros.gsm": lambda folder: gsm(folder) + bytes(50_000),
    "tone.g726-32": file_of("g726le", Written("g726le", LEFT, RATE)),
    "g729.wav": lambda _f: wav(g729(_f), b"fmt " + bytes.fromhex("1400000083000100401f0000e80300000a00000002000100")),
}


@pytest.mark.parametrize("name", RAW)
def test_headerless_frames_are_decoded_by_their_extension(tmp_path: Path, name: str) -> None:
    made = stored(RAW[name](tmp_path), tmp_path, name)
    assert made.duration_ms == pytest.approx(2_000 if "72" in name and "729" not in name else 1_000, abs=20)
    assert (made.damage, decode(made.path).level(0, 440) > 4_000) == (None, True)


@pytest.mark.parametrize("name", ["a.sln", "a.ulaw", "a.g722", "a.g729", "a.gsm"])
@pytest.mark.parametrize("content", ["mp3", "aac", "gsm", "wav", "ogg"])
def test_the_content_decides_and_not_a_name_for_headerless_samples(tmp_path: Path, name: str, content: str) -> None:
    data = {
        "mp3": mp3(seconds=1),
        "aac": file_of("adts", aac(440, 1))(tmp_path),
        "gsm": gsm(tmp_path),
        "wav": wav(tone(440, 1)),
        "ogg": file_of("ogg", opus(440, 1))(tmp_path),
    }[content]
    made = stored(data, tmp_path, name)
    assert made.duration_ms == pytest.approx(1_000, abs=200)
    assert decode(made.path).level(0, 440) > 3_000


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (b"<!DOCTYPE html><html><body>404</body></html>" * 9, "a.mp3", "HTML"),
        (b'{"error": "not_found"}', "a.wav", "JSON"),
        (b"PK\3\4" + noise(2_000), "a.ulaw", "ZIP"),
        (b"%PDF-1.4\n" + noise(2_000), "a.sln", "PDF"),
        (b"RecordingUrl=https://x.example&CallSid=CA1&RecordingSid=RE1&AccountSid=AC1" * 2, "a.ulaw", "text"),
        (b"RIFF\0\0\0\0AVI LIST" + noise(2_000), "a.wav", "AVI"),
        (bytes.fromhex("3026b2758e66cf11") + noise(2_000), "a.wma", "Windows Media"),
        (b".snd" + bytes.fromhex("00000018000000000000006300001f4000000001") + noise(500), "a.au", "encoding 99"),
        (noise(1_000), "a.g729", "not G.729"),
    ],
)
def test_content_that_is_not_audio_is_named(tmp_path: Path, data: bytes, name: str, reason: str) -> None:
    with pytest.raises(NotAudio, match=reason):
        stored(data, tmp_path, name)


def test_subtitles_that_are_longer_than_the_audio_are_no_missing_audio(tmp_path: Path) -> None:
    made = stored(make("m03_subs.webm", tmp_path).read_bytes(), tmp_path)
    assert (made.damage, made.expected_ms) == (None, None)


@pytest.mark.parametrize(
    ("make_file", "mark"), [(OGG, b"OggS"), (WEBM, bytes.fromhex("1f43b67581ff"))], ids=["ogg", "webm"]
)
def test_a_file_with_many_damaged_places_does_not_take_long(tmp_path: Path, make_file: Make, mark: bytes) -> None:
    began = monotonic()
    made = stored(make_file(tmp_path) + 200_000 * mark, tmp_path)
    assert made.duration_ms == pytest.approx(5_000, abs=60)
    assert monotonic() - began < 20


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda _folder: wav(), b"RIFF\0\0\0\0WAVEfmt \2\0\0\0xx" + bytes(range(64)) * 9),
        (lambda _folder: wav(), wav(head=b"fmt " + bytes.fromhex("1000000034120100401f0000803e000002001000"))),
        (file_of("flac", flac(440, 2)), b"fLaC\x80\0\0\x22" + noise(900)),
        (lambda folder: file_of("ogg", opus(440, 2))(folder) + OGG(folder)[:47], noise(900)),
        (file_of("ipod", aac(440)), b"\0\0\0\x10ftypM4A \0\0\0\0\0\0\0\x08moov" + b"\0\0\0\x40mdat" + noise(56)),
    ],
    ids=["wav", "codec", "flac", "ogg", "mp4"],
)
def test_a_bad_file_after_a_good_one_is_left_out_and_reported(tmp_path: Path, first: Make, second: bytes) -> None:
    made = stored(first(tmp_path) + second, tmp_path)
    assert made.duration_ms == pytest.approx(2_000, abs=60)
    assert made.damage is not None
