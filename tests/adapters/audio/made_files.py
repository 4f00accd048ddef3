"""Files as real writers leave them: crashed, streaming into a pipe, careless, or with more than one track."""

import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from random import Random
from struct import pack
from typing import Any, Final

import av
import numpy as np
from av.audio.frame import AudioFrame

FILES: Final = Path(__file__).parent / "files"
RATE: Final = 8_000
UNKNOWN: Final = 0xFFFFFFFF
_LAYOUTS: Final = {1: "mono", 2: "stereo", 8: "7.1"}


def tone(hertz: float, seconds: float = 2, rate: int = RATE) -> bytes:
    """A tone at a quarter of full scale, in signed 16-bit samples."""
    turns = np.arange(int(seconds * rate)) * hertz / rate
    return (8_000 * np.sin(math.tau * turns)).astype(np.int16).tobytes()


def together(*channels: bytes) -> bytes:
    """Interleave channels of equal length."""
    samples = array("h", bytes(sum(map(len, channels))))
    for number, channel in enumerate(channels):
        samples[number :: len(channels)] = array("h", channel)
    return samples.tobytes()


def swapped(samples: bytes) -> bytes:
    """The samples with the other order of bytes."""
    words = array("h", samples)
    words.byteswap()
    return words.tobytes()


LEFT, RIGHT = tone(440), tone(1_000)
SIZE: Final = len(LEFT)


def fmt(tag: int = 1, channels: int = 1, rate: int = RATE, bits: int = 16, block: int | None = None) -> bytes:
    align = channels * bits // 8 if block is None else block
    return b"fmt " + pack("<IHHIIHH", 16, tag, channels, rate, rate * align, align, bits)


def chunk(name: bytes, body: bytes) -> bytes:
    return name + pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def wav(
    data: bytes = LEFT,
    head: bytes | None = None,
    size: int | None = None,
    riff: int | None = None,
    before: bytes = b"",
    after: bytes = b"",
    kind: bytes = b"RIFF",
) -> bytes:
    body = b"WAVE" + (head or fmt()) + before + b"data" + pack("<I", len(data) if size is None else size) + data + after
    return kind + pack("<I", len(body) if riff is None else riff) + body


INFO: Final = chunk(b"LIST", b"INFO" + chunk(b"ISFT", b"Lavf58.20.100\0"))
DS64: Final = chunk(b"ds64", bytes(28))


def w64() -> bytes:
    tail = bytes.fromhex("f3acd3118cd100c04f8edb8a")
    head = bytes.fromhex("726966662e91cf11a5d628db04c10000") + b"\xff" * 8 + b"wave" + tail
    return head + b"fmt " + tail + pack("<Q", 40) + fmt()[8:] + b"data" + tail + b"\xff" * 7 + b"\x7f" + LEFT


def aiff() -> bytes:
    rate80 = bytes.fromhex("400bfa00000000000000")
    comm = b"COMM" + pack(">IhIh", 18, 1, 0, 16) + rate80
    return b"FORM" + pack(">I", 0) + b"AIFF" + comm + b"SSND" + pack(">III", 0, 0, 0) + swapped(LEFT)


def rifx() -> bytes:
    head = b"fmt " + pack(">IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    return b"RIFX" + pack(">I", SIZE + 36) + b"WAVE" + head + b"data" + pack(">I", SIZE) + swapped(LEFT)


def noise(length: int, seed: int = 1) -> bytes:
    return Random(seed).randbytes(length)


SAMPLES: Final[Mapping[str, Callable[[], bytes]]] = {
    "w01_plain.wav": wav,
    "w02_data0.wav": lambda: wav(size=0, riff=36),
    "w03_data0_riff0.wav": lambda: wav(size=0, riff=0),
    "w04_dataFF.wav": lambda: wav(size=UNKNOWN, riff=UNKNOWN),
    "sox_pipe.wav": lambda: wav(size=0x7FFFF000 - 36, riff=0x7FFFF000),
    "w06_data_half.wav": lambda: wav(size=SIZE // 2, riff=SIZE // 2 + 36),
    "w07_data_more.wav": lambda: wav(size=2 * SIZE, riff=2 * SIZE + 36),
    "w11_junk_odd_nopad.wav": lambda: wav(before=b"JUNK" + pack("<I", 7) + b"1234567"),
    "w22_4ch.wav": lambda: wav(together(LEFT, RIGHT, tone(1_600), tone(2_500)), fmt(channels=4)),
    "w28_two_wavs.wav": lambda: wav() + wav(RIGHT),
    "w35_data_before_fmt.wav": lambda: b"RIFF" + pack("<I", SIZE + 36) + b"WAVE" + chunk(b"data", LEFT) + fmt(),
    "data0_before_fmt.wav": lambda: b"RIFF" + pack("<I", 0) + b"WAVEdata" + pack("<I", 0) + LEFT + fmt(),
    "w36_two_data.wav": lambda: wav(LEFT[: SIZE // 2], after=chunk(b"data", LEFT[SIZE // 2 :])),
    "w37_data80000000.wav": lambda: wav(size=0x80000000, riff=0x80000024),
    "w49_rifx.wav": rifx,
    "w63_info_dataFF.wav": lambda: wav(size=UNKNOWN, riff=UNKNOWN, before=INFO),
    "x09_data0_then_list.wav": lambda: wav(size=0, riff=36, after=INFO),
    "x10_dataFF_then_list.wav": lambda: wav(size=UNKNOWN, riff=UNKNOWN, after=INFO),
    "list_too_long.wav": lambda: wav(before=b"LIST" + pack("<I", 900_000) + b"INFO"),
    "id3v1_behind.wav": lambda: wav(size=UNKNOWN, riff=UNKNOWN, after=b"TAG" + bytes(125)),
    "k10_killed_rf64.wav": lambda: wav(size=UNKNOWN, riff=UNKNOWN, head=DS64 + fmt() + INFO, kind=b"RF64"),
    "bw64.wav": lambda: wav(
        size=UNKNOWN,
        riff=UNKNOWN,
        head=chunk(b"ds64", pack("<QQQI", SIZE + 72, SIZE, SIZE // 2, 0)) + fmt(),
        kind=b"BW64",
    ),
    "k12_killed.w64": w64,
    "k14_killed.aiff": aiff,
    "x01_au_size0.au": lambda: b".snd" + pack(">IIIII", 24, 0, 3, RATE, 1) + swapped(LEFT),
    "au_sizeFF.au": lambda: b".snd" + pack(">IIIII", 24, UNKNOWN, 3, RATE, 1) + swapped(LEFT),
    "y41_g729.wav": lambda: wav(noise(2_000), fmt(0x83, bits=0, block=10)),
    "z01_tag1234.wav": lambda: wav(head=fmt(0x1234)),
    "z03_g729_0133.wav": lambda: wav(LEFT[:5_000], fmt(0x133, bits=0, block=10)),
    "no_fmt.wav": lambda: b"RIFF" + pack("<I", SIZE + 12) + b"WAVE" + chunk(b"data", LEFT),
    "r01.sln": lambda: LEFT,
    "r02.ulaw": lambda: elementary("pcm_mulaw", LEFT, RATE),
    "r03.alaw": lambda: elementary("pcm_alaw", LEFT, RATE),
    "r04.g722": lambda: elementary("g722", tone(440, rate=16_000), 16_000),
    "r05.sln16": lambda: tone(440, rate=16_000),
    "r06.l168000": lambda: swapped(LEFT),
    "r07.bin": lambda: elementary("pcm_mulaw", LEFT, RATE),
}
"""Files that need no container of FFmpeg's."""


def elementary(codec: str, samples: bytes, rate: int) -> bytes:
    """The packets of an encoder, one after the other."""
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.sample_rate, encoder.layout = rate, "mono"
    encoder.format = encoder.codec.audio_formats[0]
    encoder.time_base = Fraction(1, rate)
    packets = []
    resampler = av.AudioResampler(format=encoder.format, layout="mono", rate=rate)
    for piece in resampler.resample(frame_of(samples, rate, 1)):
        packets += encoder.encode(piece)
    return b"".join(bytes(packet) for packet in [*packets, *encoder.encode(None)])


def frame_of(samples: bytes, rate: int, channels: int) -> AudioFrame:
    frame = AudioFrame(format="s16", layout=_LAYOUTS[channels], samples=len(samples) // 2 // channels)
    frame.planes[0].update(samples)
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    return frame


class Track:
    """One track of a file: a codec, samples, and optionally the packets to write (`most`) or to leave out (`gap`)."""

    def __init__(
        self, codec: str, samples: bytes, rate: int, channels: int = 1, most: int | None = None, delay: float = 0
    ) -> None:
        self.codec, self.samples, self.rate, self.channels = codec, samples, rate, channels
        self.most, self.delay = most, delay
        self.gap: tuple[float, float] = (0, 0)


def mux(path: Path, format: str, tracks: Sequence[Track], options: dict[str, str] | None = None) -> Path:
    """Write a file with several tracks."""
    with av.open(str(path), "w", format=format, options=options or {}) as file:
        packets: list[tuple[float, int, Any]] = []
        streams: list[Any] = [
            file.add_stream(track.codec, rate=track.rate, layout=_LAYOUTS[track.channels]) for track in tracks
        ]
        for stream in streams:
            stream.bit_rate = stream.bit_rate or 32_000
        for number, (stream, track) in enumerate(zip(streams, tracks, strict=True)):
            frame = frame_of(track.samples, track.rate, track.channels)
            made = [*stream.encode(frame), *stream.encode(None)]
            for packet in made[: track.most] if track.most is not None else made:
                at = float(packet.pts * packet.time_base)
                if track.gap[0] <= at < track.gap[1]:
                    continue
                if track.delay:
                    packet.pts += round(track.delay / packet.time_base)
                    packet.dts = packet.pts
                packets.append((at + track.delay, number, packet))
        for _at, _number, packet in sorted(packets, key=lambda each: each[:2]):
            file.mux(packet)
    return path


def opus(hertz: float, seconds: float = 2, **settings: Any) -> Track:
    return Track("libopus", tone(hertz, seconds, 48_000), 48_000, **settings)


def stereo_opus(**settings: Any) -> Track:
    both = together(tone(440, 2, 48_000), tone(1_000, 2, 48_000))
    return Track("libopus", both, 48_000, 2, **settings)


def mp3(samples: bytes, rate: int = RATE, channels: int = 1, folder: Path = Path()) -> bytes:
    path = mux(folder / "made.mp3", "mp3", [Track("libmp3lame", samples, rate, channels)], {"write_xing": "0"})
    data = path.read_bytes()
    path.unlink()
    return data


def _gap(folder: Path, name: str) -> Path:
    track = opus(440, 4)
    track.gap = (1.0, 3.0)
    return mux(folder / name, "matroska", [track])


def _late(folder: Path, name: str) -> Path:
    return mux(folder / name, "matroska", [opus(440, 2, delay=3.0)])


def _joined(folder: Path, name: str, *parts: bytes) -> Path:
    path = folder / name
    path.write_bytes(b"".join(parts))
    return path


def _damaged(folder: Path, name: str) -> Path:
    data = mp3(tone(440, 5), folder=folder)
    third = len(data) // 3
    return _joined(folder, name, data[:third], noise(third, 2), data[2 * third :])


CONTAINERS: Final[Mapping[str, Callable[[Path, str], Path]]] = {
    "k01_first_track_empty.mka": lambda f, n: mux(f / n, "matroska", [stereo_opus(most=0), stereo_opus()]),
    "k02_first_track_empty.webm": lambda f, n: mux(f / n, "webm", [stereo_opus(most=0), stereo_opus()]),
    "k04_first_track_empty.ogg": lambda f, n: mux(f / n, "ogg", [stereo_opus(most=0), stereo_opus()]),
    "last_track_empty.mka": lambda f, n: mux(f / n, "matroska", [stereo_opus(), stereo_opus(most=0)]),
    "k05_first_60ms.mka": lambda f, n: mux(f / n, "matroska", [stereo_opus(most=3), stereo_opus()]),
    "y2_tracks.m4a": lambda f, n: mux(f / n, "ipod", [Track("aac", LEFT, RATE), Track("aac", RIGHT, RATE)]),
    "y2_tracks.mka": lambda f, n: mux(f / n, "matroska", [opus(440), opus(1_000)]),
    "three_tracks.mka": lambda f, n: mux(f / n, "matroska", [opus(440), opus(1_000), opus(1_600)]),
    "mono_and_stereo.mka": lambda f, n: mux(f / n, "matroska", [opus(1_600), stereo_opus()]),
    "y32_second_is_longer.mka": lambda f, n: mux(f / n, "matroska", [opus(440, 1), opus(1_000, 3)]),
    "late_second.mka": lambda f, n: mux(f / n, "matroska", [opus(440, 3), opus(1_000, 1, delay=2.0)]),
    "late_start.mka": _late,
    "gap.mka": _gap,
    "y01_ac3.mka": lambda f, n: mux(
        f / n, "matroska", [Track("ac3", together(tone(440, 2, 48_000), tone(1_000, 2, 48_000)), 48_000, 2)]
    ),
    "ac3_and_opus.mka": lambda f, n: mux(f / n, "matroska", [Track("ac3", tone(1_000, 2, 48_000), 48_000), opus(440)]),
    "y02_wma.wav": lambda f, n: mux(f / n, "wav", [Track("wmav2", together(LEFT, RIGHT), RATE, 2)]),
    "p09_mono_then_stereo.mp3": lambda f, n: _joined(
        f, n, mp3(tone(440, 5), folder=f), mp3(together(LEFT, RIGHT), channels=2, folder=f)
    ),
    "p11_8k_then_44k.mp3": lambda f, n: _joined(
        f, n, mp3(tone(440, 5), folder=f), mp3(tone(440, 2, 44_100), 44_100, folder=f)
    ),
    "p18_damaged_middle.mp3": _damaged,
}
"""Files of FFmpeg's containers."""


def make(name: str, folder: Path) -> Path:
    """Make a file by its name."""
    if name in CONTAINERS:
        return CONTAINERS[name](folder, name)
    path = folder / name
    path.write_bytes(SAMPLES[name]() if name in SAMPLES else (FILES / name).read_bytes())
    return path
