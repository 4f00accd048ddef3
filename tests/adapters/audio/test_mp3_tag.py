"""The MP3 files that this service makes have the length of their audio in every reader, to the sample."""

import io
from pathlib import Path
from random import Random

import av
import numpy as np
import pytest
import soundfile
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.audio.encoding import encode
from adapters.audio.mp3_tag import crc16, crc16_of
from adapters.audio.output_format import MP3
from adapters.audio.pcm import frame_of

RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


def sound(samples: int, channels: int) -> bytes:
    """Return noise that changes slowly, so that its place in a file is certain."""
    steps = np.random.default_rng(samples).normal(0, 300, (samples, channels))
    return np.clip(np.cumsum(steps, axis=0), -20_000, 20_000).astype("<i2").tobytes()


def mp3(samples: bytes, rate: int, channels: int) -> bytes:
    file = io.BytesIO()
    frames = [frame_of(samples, "stereo" if channels > 1 else "mono", rate)] if samples else []
    assert encode(frames, file, MP3, rate, channels) == len(samples) // (2 * channels)
    return file.getvalue()


def first_frame(data: bytes) -> tuple[bytes, int]:
    """Return the bytes of the first frame up to the CRC of the tag, and where the second frame begins."""
    start = data.index(b"\xff")
    end = data.index(b"Info", start) + 154
    return data[start:end], data.index(data[start : start + 2], end)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", RATES)
def test_every_reader_finds_the_same_samples(rate: int, channels: int, tmp_path: Path) -> None:
    for length in (0, 1, 47, 575, 576, 577, 1_152, 1_153, rate, 2 * rate + 77):
        samples = sound(length, channels)
        data = mp3(samples, rate, channels)
        (path := tmp_path / "made.mp3").write_bytes(data)
        read, read_rate = soundfile.read(path, dtype="int16", always_2d=True)
        assert (len(read), read_rate) == (length, rate)
        with av.open(str(path)) as opened:
            assert (opened.duration or 0) == pytest.approx(length / rate * av.time_base, abs=1)
            assert sum(frame.samples for frame in opened.decode(audio=0)) == length


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", RATES)
def test_the_audio_is_at_its_place(rate: int, channels: int) -> None:
    length = 2 * rate + 77
    samples = sound(length, channels)
    read, _ = soundfile.read(io.BytesIO(mp3(samples, rate, channels)), dtype="int16", always_2d=True)
    given = np.frombuffer(samples, "<i2").reshape(-1, channels)
    for side in range(channels):
        spectra = (np.fft.rfft(each[:, side].astype(float), 2 * length) for each in (read, given))
        product = next(spectra) * np.conj(next(spectra))
        assert int(np.argmax(np.fft.irfft(product))) == 0


@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_short_files_are_recognized_by_their_content(rate: int) -> None:
    for seed in range(100):
        data = mp3(Random(seed).randbytes(80), rate, 2)
        with av.open(io.BytesIO(data)) as opened:
            assert opened.format.name == "mp3"


@pytest.mark.parametrize("rate", RATES)
def test_ffmpeg_writes_the_same_numbers_for_the_same_frames(rate: int, tmp_path: Path) -> None:
    data = mp3(sound(2 * rate, 2), rate, 2)
    with av.open(io.BytesIO(data), "r") as source, av.open(str(tmp_path / "copy.mp3"), "w") as output:
        stream = output.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    copy = (tmp_path / "copy.mp3").read_bytes()
    (ours, begin), (theirs, copy_begin) = first_frame(data), first_frame(copy)
    assert copy[copy_begin:] == data[begin:]
    at = ours.index(b"Info")
    assert ours[at + 8 : at + 12] == theirs[at + 8 : at + 12], "the number of frames"
    assert int.from_bytes(ours[at + 12 : at + 16], "big") == len(data) - data.index(ours)
    assert ours[-2:] == theirs[-2:], "the CRC of all frames"
    assert crc16(ours) == int.from_bytes(data[data.index(ours) + len(ours) :][:2], "big")
    places = ours[at + 16 : at + 116]
    assert list(places) == sorted(places)
    assert places[50] == 128


@given(st.binary(max_size=80_000), st.integers(0, 300))
@example(b"\x01" * 32_767, 0)
@example(b"\x01" * 32_768, 0)
@example(b"\x80" + bytes(65_533), 0)
def test_the_crc_of_a_file_is_that_of_its_bytes(data: bytes, start: int) -> None:
    start = min(start, len(data))
    assert crc16_of(io.BytesIO(data), start, len(data)) == crc16(data[start:])


def test_the_same_audio_gives_the_same_bytes() -> None:
    samples = Random(1).randbytes(64_000)
    assert mp3(samples, 8_000, 2) == mp3(samples, 8_000, 2)
