"""Files of real recorders, phones and browsers are stored complete, or rejected with a reason that names them."""

import wave
from pathlib import Path
from struct import pack

import pytest

from adapters.audio.render_job import render
from recordings.ports.audio import Codec, NotAudio, Rendered, SpooledAudio, Target, TooLong, Track
from tests.adapters.audio.made_files import chunk, make, wav
from tests.adapters.audio.sounds import decode

LIMIT = 4 * 3_600_000
Channels = tuple[tuple[int, ...], ...]
MONO: Channels = ((440,),)
BOTH: Channels = ((440,), (1_000,))
MIXED: Channels = ((440, 1_000), (440, 1_000))
HEARD = 1_000
"""The least amplitude of a tone that is there. The tones have 8,000, and a third of that where three are mixed."""


def rendered(path: Path, folder: Path, target: Target | None = None) -> Rendered:
    folder.mkdir(exist_ok=True)
    audio = SpooledAudio((Track(str(path), Codec.CONTAINER),))
    return render(str(folder), "made", audio, target or Target(None, None, LIMIT))


def tones(path: str) -> Channels:
    heard = decode(path)
    return tuple(
        tuple(hertz for hertz in (440, 1_000, 1_600, 2_500) if heard.level(channel, hertz) > HEARD)
        for channel in range(len(heard.channels))
    )


@pytest.mark.parametrize(
    ("name", "seconds", "channels"),
    [
        ("w02_data0.wav", 2, MONO),
        ("w03_data0_riff0.wav", 2, MONO),
        ("w04_dataFF.wav", 2, MONO),
        ("sox_pipe.wav", 2, MONO),
        ("w11_junk_odd_nopad.wav", 2, MONO),
        ("w22_4ch.wav", 2, ((440, 1_600), (1_000, 2_500))),
        ("w28_two_wavs.wav", 4, ((440, 1_000),)),
        ("w35_data_before_fmt.wav", 2, MONO),
        ("data0_before_fmt.wav", 2, MONO),
        ("w36_two_data.wav", 2, MONO),
        ("w37_data80000000.wav", 2, MONO),
        ("w49_rifx.wav", 2, MONO),
        ("w63_info_dataFF.wav", 2, MONO),
        ("x09_data0_then_list.wav", 2, MONO),
        ("x10_dataFF_then_list.wav", 2, MONO),
        ("list_too_long.wav", 2, MONO),
        ("id3v1_behind.wav", 2, MONO),
        ("k10_killed_rf64.wav", 2, MONO),
        ("bw64.wav", 2, MONO),
    ],
)
def test_a_wav_file_with_a_wrong_header_is_stored_with_a_right_one(
    tmp_path: Path, name: str, seconds: float, channels: Channels
) -> None:
    made = rendered(make(name, tmp_path), tmp_path / "out")
    assert (made.format, made.damage) == ("wav", None)
    assert abs(made.duration_ms - seconds * 1_000) <= 20
    with wave.open(made.path) as file:
        assert file.getnframes() == round(seconds * file.getframerate())
    data = Path(made.path).read_bytes()
    assert data[:4] == b"RIFF"
    assert int.from_bytes(data[4:8], "little") == len(data) - 8 == made.length - 8
    assert tones(made.path) == channels


@pytest.mark.parametrize("name", ["w02_data0.wav", "x10_dataFF_then_list.wav", "k10_killed_rf64.wav"])
def test_repairing_a_header_does_not_touch_the_samples(tmp_path: Path, name: str) -> None:
    made = rendered(make(name, tmp_path), tmp_path / "out")
    plain = rendered(make("w01_plain.wav", tmp_path), tmp_path / "plain")
    assert Path(made.path).read_bytes() == Path(plain.path).read_bytes()


def test_a_valid_wav_file_is_stored_byte_for_byte(tmp_path: Path) -> None:
    source = make("w01_plain.wav", tmp_path)
    assert Path(rendered(source, tmp_path / "out").path).read_bytes() == source.read_bytes()


@pytest.mark.parametrize(("name", "expected"), [("w06_data_half.wav", 1_000), ("w07_data_more.wav", 4_000)])
def test_a_size_that_differs_from_the_file_is_reported(tmp_path: Path, name: str, expected: int) -> None:
    made = rendered(make(name, tmp_path), tmp_path / "out")
    assert (made.duration_ms, made.expected_ms) == (2_000, expected)
    assert made.damage is not None
    assert f"{expected} ms" in made.damage
    with wave.open(made.path) as file:
        assert file.getnframes() == 16_000


@pytest.mark.parametrize(
    ("name", "seconds", "channels"),
    [
        ("k12_killed.w64", 2, MONO),
        ("k14_killed.aiff", 2, MONO),
        ("x01_au_size0.au", 2, MONO),
        ("au_sizeFF.au", 2, MONO),
        ("y40_wav49_half.wav", 2, MONO),
        ("r01.sln", 2, MONO),
        ("r02.ulaw", 2, MONO),
        ("r03.alaw", 2, MONO),
        ("r04.g722", 2, MONO),
        ("r05.sln16", 2, MONO),
        ("r06.l168000", 2, MONO),
        ("k01_first_track_empty.mka", 2, BOTH),
        ("k02_first_track_empty.webm", 2, BOTH),
        ("k04_first_track_empty.ogg", 2, BOTH),
        ("last_track_empty.mka", 2, BOTH),
        ("k05_first_60ms.mka", 2, BOTH),
        ("y2_tracks.m4a", 2, BOTH),
        ("y2_tracks.mka", 2, BOTH),
        ("three_tracks.mka", 2, ((440, 1_000, 1_600), (440, 1_000, 1_600))),
        ("mono_and_stereo.mka", 2, ((440, 1_600), (1_000, 1_600))),
        ("y32_second_is_longer.mka", 3, BOTH),
        ("late_second.mka", 3, BOTH),
        ("m02_subs.mp4", 2, BOTH),
        ("m03_subs.webm", 2, BOTH),
        ("m09_attachment.mka", 2, BOTH),
        ("p11_8k_then_44k.mp3", 7.3, MONO),
    ],
)
def test_all_tracks_and_all_of_the_time_are_stored(
    tmp_path: Path, name: str, seconds: float, channels: Channels
) -> None:
    made = rendered(make(name, tmp_path), tmp_path / "out")
    assert abs(made.duration_ms - seconds * 1_000) <= 100
    heard = decode(made.path)
    assert abs(heard.seconds - made.duration_ms / 1_000) < 0.1
    assert tones(made.path) == channels


@pytest.mark.parametrize(
    ("name", "silent", "loud"),
    [
        ("gap.mka", (1.2, 2.8), (3.2, 3.8)),
        ("late_start.mka", (0.2, 2.8), (3.2, 4.8)),
    ],
)
def test_time_without_packets_is_silence(
    tmp_path: Path, name: str, silent: tuple[float, float], loud: tuple[float, float]
) -> None:
    made = rendered(make(name, tmp_path), tmp_path / "out", Target("wav", 8_000, LIMIT))
    samples = decode(made.path).channels[0]
    levels = [max(abs(each) for each in samples[int(a * 8_000) : int(b * 8_000)]) for a, b in (silent, loud)]
    assert levels[0] < 500
    assert levels[1] > 5_000


def test_a_late_track_is_aligned_by_its_start(tmp_path: Path) -> None:
    made = rendered(make("late_second.mka", tmp_path), tmp_path / "out", Target("wav", 8_000, LIMIT))
    right = decode(made.path).channels[1]
    assert max(map(abs, right[: int(1.9 * 8_000)])) < 500
    assert max(map(abs, right[int(2.1 * 8_000) :])) > 5_000


def test_files_of_mp3_that_were_joined_are_stored_in_the_best_of_their_shapes(tmp_path: Path) -> None:
    made = rendered(make("p09_mono_then_stereo.mp3", tmp_path), tmp_path / "out")
    assert 7_000 <= made.duration_ms <= 7_350
    heard = decode(made.path)
    assert len(heard.channels) == 2
    tail = heard.channels[1][-int(1.5 * heard.rate) :]
    assert max(map(abs, tail)) > 3_000


def test_a_damaged_middle_is_reported_with_the_length_that_is_missing(tmp_path: Path) -> None:
    made = rendered(make("p18_damaged_middle.mp3", tmp_path), tmp_path / "out")
    assert made.damage is not None
    assert made.expected_ms is not None
    assert made.expected_ms > made.duration_ms + 1_000
    assert f"{made.duration_ms} ms" in made.damage
    assert tones(made.path) == MONO


def test_a_track_that_is_not_decoded_is_reported(tmp_path: Path) -> None:
    made = rendered(make("ac3_and_opus.mka", tmp_path), tmp_path / "out")
    assert tones(made.path) == MONO
    assert "ac3" in (made.damage or "")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("y01_ac3.mka", "ac3"),
        ("y02_wma.wav", "wmav2"),
        ("y41_g729.wav", "g729"),
        ("z01_tag1234.wav", "0x1234"),
        ("z03_g729_0133.wav", "0x0133"),
        ("no_fmt.wav", "no fmt chunk"),
        ("r07.bin", r"\.ulaw.*audio/PCMU"),
    ],
)
def test_a_file_that_is_not_decoded_is_rejected_with_its_codec(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(NotAudio, match=reason):
        rendered(make(name, tmp_path), tmp_path / "out")


@pytest.mark.parametrize("name", ["w02_data0.wav", "w01_plain.wav", "late_start.mka"])
def test_a_file_above_the_limit_is_too_long(tmp_path: Path, name: str) -> None:
    source = make(name, tmp_path)
    with pytest.raises(TooLong, match=r"0\.5 seconds"):
        rendered(source, tmp_path / "out", Target("mp3" if name.endswith("mka") else None, None, 500))


@pytest.mark.parametrize("accept", [True, False])
def test_video_is_dropped_or_the_file_is_rejected(tmp_path: Path, accept: bool) -> None:
    import av

    source = tmp_path / "seen.mkv"
    with av.open(str(source), "w", format="matroska") as file:
        picture = file.add_stream("mpeg4", rate=10)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
        sound = file.add_stream("libopus", rate=48_000, layout="mono")
        from tests.adapters.audio.made_files import frame_of, tone

        for packet in [*sound.encode(frame_of(tone(440, 2, 48_000), 48_000, 1)), *sound.encode(None)]:
            file.mux(packet)
        for packet in [*picture.encode(av.VideoFrame(64, 64, "yuv420p")), *picture.encode(None)]:
            file.mux(packet)
    target = Target(None, None, LIMIT, accept_video=accept)
    if accept:
        assert tones(rendered(source, tmp_path / "out", target).path) == MONO
    else:
        with pytest.raises(NotAudio, match="video"):
            rendered(source, tmp_path / "out", target)


def test_names_in_a_file_need_not_be_utf_8(tmp_path: Path) -> None:
    info = b"INFOINAM" + pack("<I", 6) + b"Caf\xe9 1"
    source = tmp_path / "latin1.wav"
    source.write_bytes(wav(after=chunk(b"LIST", info)))
    assert tones(rendered(source, tmp_path / "out", Target("mp3", None, LIMIT)).path) == MONO
