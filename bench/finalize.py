"""Compare the CPU time to make a stored MP3 file with the time that LAME alone needs for the same samples.

    python -m bench.finalize

The audio is a minute of a call in mu-law, one track for each side. The service reads, decodes and joins the tracks,
encodes and hashes the file, and writes it to the disk. LAME alone (lameenc, the fastest that we know) encodes the
joined samples in memory. Both run in one process, in turns.

The second table compares the files with those of LAME in FFmpeg's wheels, at the same quality and bit rate.
"""

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import lameenc
import numpy as np
import soundfile

from adapters.audio.render_job import render
from recordings.ports.audio import Codec, SpooledAudio, Target, Track

RATE = 8_000
SECONDS = 60
QUALITY = 7
KBITS = 64
HOUR = 3_600_000
Samples = np.ndarray[tuple[int, ...], np.dtype[np.int16]]
Levels = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def voice(pitch: float, phase: float) -> Samples:
    """Return a sound with the properties of a voice: pitch, syllables, pauses, and the noise of a line."""
    times = np.arange(RATE * SECONDS) / RATE
    angle = 2 * np.pi * np.cumsum(pitch * (1 + 0.1 * np.sin(4 * times))) / RATE
    syllables = (np.sin(times + phase) > 0) * np.abs(np.sin(14 * times))
    tones = sum(np.sin(n * angle) / n * (1 + np.sin(2 * n + 3 * times)) for n in range(1, 25))
    noise = np.random.default_rng(round(pitch)).normal(0, 60, len(times))
    made: Samples = np.clip(4_000 * syllables * tones + noise, -32_000, 32_000).astype(np.int16)
    return made


def mulaw(samples: Samples) -> bytes:
    """Encode samples."""
    encoder = av.CodecContext.create("pcm_mulaw", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE, "mono", "s16"
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "s16", "mono")
    frame.sample_rate = RATE
    return b"".join(bytes(packet) for packet in encoder.encode(frame))


def lame_alone(samples: bytes) -> bytes:
    """Encode interleaved samples. The file has no header that says how long the audio is."""
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_in_sample_rate(RATE)
    encoder.set_out_sample_rate(RATE)
    encoder.set_channels(2)
    encoder.set_bit_rate(KBITS)
    encoder.set_quality(QUALITY)
    return bytes(encoder.encode(samples)) + bytes(encoder.flush())


def lame_of_ffmpeg(samples: bytes) -> bytes:
    """Encode interleaved samples with PyAV."""
    file = io.BytesIO()
    frame = av.AudioFrame.from_ndarray(np.frombuffer(samples, np.int16).reshape(1, -1), "s16", "stereo")
    frame.sample_rate = RATE
    with av.open(file, "w", format="mp3") as output:
        options = {"compression_level": str(QUALITY)}
        stream = output.add_stream("libmp3lame", rate=RATE, layout="stereo", options=options)
        stream.bit_rate = KBITS * 1_000
        for part in (frame, None):
            output.mux(stream.encode(part))
    return file.getvalue()


def spectral_distance(one: Samples, other: Samples) -> float:
    """Return the mean distance of the spectra of frames of 32 ms, in dB. Parts below -80 dB do not count."""

    def levels(samples: Samples) -> Levels:
        size = RATE * 32 // 1_000
        frames = samples[: len(samples) // size * size].reshape(-1, size) * np.hanning(size)
        made: Levels = 20 * np.log10(np.maximum(np.abs(np.fft.rfft(frames)) / size, 3.2768))
        return made

    return float(np.mean(np.sqrt(np.mean((levels(one) - levels(other)) ** 2, axis=1))))


def cpu_ms(work: Callable[[], object]) -> float:
    """Return the CPU time of one run."""
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1e3


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    sides = [voice(120, 0), voice(210, np.pi)]
    with tempfile.TemporaryDirectory() as folder:
        tracks = [Path(folder) / name for name in ("left", "right")]
        for path, side in zip(tracks, sides, strict=True):
            path.write_bytes(mulaw(side))
        audio = SpooledAudio(tuple(Track(str(path), Codec.MULAW, RATE) for path in tracks))
        original: Samples = np.stack(sides, axis=1)
        samples = original.tobytes()
        works: dict[str, Callable[[], object]] = {
            "LAME alone": lambda: lame_alone(samples),
            "finalized": lambda: render(folder, "made", audio, Target(None, None, HOUR)),
            "LAME in FFmpeg's wheel": lambda: lame_of_ffmpeg(samples),
        }
        taken = [{name: cpu_ms(work) for name, work in works.items()} for _ in range(rounds)]
        made = (Path(folder) / "made.mp3").read_bytes()
    print(f"CPU of a minute of two tracks to mp3: median of {rounds} rounds; ratio: median, lowest and highest round")
    for name in works:
        ratios = sorted(each[name] / each["LAME alone"] for each in taken)
        middle = statistics.median(each[name] for each in taken)
        print(f"{name:24} {middle:7.1f} ms   {statistics.median(ratios):5.2f}  ({ratios[0]:.2f}-{ratios[-1]:.2f})")
    print("\nfile                     spectral distance   kbit/s   samples too many")
    for name, data in (("finalized", made), ("LAME in FFmpeg's wheel", lame_of_ffmpeg(samples))):
        decoded, _ = soundfile.read(io.BytesIO(data), dtype="int16")
        distance = statistics.mean(spectral_distance(original[:, side], decoded[:, side]) for side in (0, 1))
        rate = len(data) * 8 / SECONDS / 1_000
        print(f"{name:24} {distance:14.2f} dB   {rate:6.1f}   {len(decoded) - len(original)}")


if __name__ == "__main__":
    main()
