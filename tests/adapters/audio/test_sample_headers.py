"""Files of samples with every wrong size, order of chunks and truncation give the samples that were written."""

from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from struct import pack
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.audio.open_source import open_source
from adapters.audio.pcm import resample
from adapters.audio.render_job import render
from adapters.audio.sample_headers import read_header
from recordings.ports.audio import Codec, NotAudio, SpooledAudio, Target, Track
from tests.adapters.audio.made_files import swapped
from tests.adapters.audio.sounds import decode

LIMIT = 3_600_000
WRONG_SIZES = (None, 0, 0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0x80000024, 3_000_000)
"""`None` is the right size. The last one is larger than every file here."""


@dataclass(frozen=True)
class Written:
    """A file and the samples that its writer wrote."""

    name: str
    data: bytes
    samples: bytes
    channels: int
    is_right: bool


def chunk(name: bytes, body: bytes, size: int | None, order: str = "<") -> bytes:
    return name + pack(f"{order}I", len(body) if size is None else size) + body + b"\0" * (len(body) % 2)


EXTRA = st.sampled_from([
    b"", chunk(b"LIST", b"INFOISFT\4\0\0\0Lavf", None), chunk(b"JUNK", bytes(28), None),
    chunk(b"bext", b"x" * 603, None), chunk(b"fact", pack("<I", 9), None),
])  # fmt: skip
SAMPLES = st.binary(min_size=64, max_size=4_000).map(lambda data: data[: len(data) // 4 * 4])


@st.composite
def waves(draw: st.DrawFn) -> Written:
    samples, channels = draw(SAMPLES), draw(st.sampled_from([1, 2]))
    kind = draw(st.sampled_from([b"RIFF", b"RIFX", b"RF64", b"BW64"]))
    order = ">" if kind == b"RIFX" else "<"
    size = draw(st.sampled_from(WRONG_SIZES))
    format_ = chunk(
        b"fmt ", pack(f"{order}HHIIHH", 1, channels, 8_000, 16_000 * channels, 2 * channels, 16), None, order
    )
    data = chunk(b"data", swapped(samples) if order == ">" else samples, size, order)
    extras = [b"" if order == ">" else draw(EXTRA) for _ in range(3)]
    is_sized = kind in {b"RF64", b"BW64"}
    ds64 = chunk(b"ds64", pack("<QQQI", 0, len(samples) if draw(st.booleans()) else 0, 0, 0), None) if is_sized else b""
    last_format = draw(st.booleans()) and not is_sized
    parts = [extras[0], data, format_] if last_format else [ds64, format_, extras[0], extras[1], data, extras[2]]
    body = b"WAVE" + b"".join(parts)
    riff = draw(st.sampled_from((*WRONG_SIZES, 36)))
    whole = kind + pack(f"{order}I", len(body) if riff is None else riff) + body
    return Written(
        "a.wav", whole, samples, channels, size is None and riff is None and kind == b"RIFF" and not last_format
    )


@st.composite
def others(draw: st.DrawFn) -> Written:
    samples, channels = draw(SAMPLES), draw(st.sampled_from([1, 2]))
    size = draw(st.sampled_from(WRONG_SIZES))
    kind = draw(st.sampled_from(["au", "aiff", "w64"]))
    if kind == "au":
        sized = len(samples) if size is None else size
        return Written(
            "a.au", b".snd" + pack(">IIIII", 24, sized, 3, 8_000, channels) + swapped(samples), samples, channels, False
        )
    if kind == "aiff":
        rate80 = bytes.fromhex("400bfa00000000000000")
        frames = draw(st.sampled_from([0, len(samples) // 2 // channels]))
        comm = chunk(b"COMM", pack(">hIh", channels, frames, 16) + rate80, None, ">")
        sound = chunk(b"SSND", bytes(8) + swapped(samples), size, ">")
        parts = [sound, comm] if draw(st.booleans()) and size is None else [comm, sound]
        return Written("a.aiff", b"FORM" + pack(">I", 0) + b"AIFF" + b"".join(parts), samples, channels, False)
    tail = bytes.fromhex("f3acd3118cd100c04f8edb8a")
    head = bytes.fromhex("726966662e91cf11a5d628db04c10000") + b"\xff" * 8 + b"wave" + tail
    form = b"fmt " + tail + pack("<Q", 40) + pack("<HHIIHH", 1, channels, 8_000, 16_000 * channels, 2 * channels, 16)
    sized = len(samples) + 24 if size is None else draw(st.sampled_from([0, 2**63, 2**64 - 1, 24]))
    return Written("a.w64", head + form + b"data" + tail + pack("<Q", sized) + samples, samples, channels, False)


def decoded(folder: str, written: Written, data: bytes) -> bytes:
    path = Path(folder, written.name)
    path.write_bytes(data)
    layout = "stereo" if written.channels == 2 else "mono"
    frames = resample(open_source(path, LIMIT).frames(), "s16", layout, 8_000)
    return b"".join(bytes(frame.planes[0])[: 2 * written.channels * frame.samples] for frame in frames)


@settings(max_examples=400, deadline=None)
@given(st.one_of(waves(), others()))
def test_the_samples_are_those_that_were_written(written: Written) -> None:
    with TemporaryDirectory() as folder:
        assert decoded(folder, written, written.data) == written.samples


@settings(max_examples=200, deadline=None)
@given(waves(), st.integers(0, 3_000))
def test_a_truncated_file_gives_the_samples_that_are_there(written: Written, lost: int) -> None:
    start = written.data.find(b"data") + 8
    end = start + len(written.samples)
    cut = max(start + 4, end - lost)
    if written.data.find(b"fmt ") > start:
        return
    with TemporaryDirectory() as folder:
        found = decoded(folder, written, written.data[:cut])
    whole = (cut - start) // (2 * written.channels) * 2 * written.channels
    assert found == written.samples[:whole]


@settings(max_examples=100, deadline=None)
@given(waves())
def test_the_stored_file_has_a_right_header_and_the_same_samples(written: Written) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, written.name)
        path.write_bytes(written.data)
        made = render(folder, "out", SpooledAudio((Track(str(path), Codec.CONTAINER),)), Target(None, None, LIMIT))
        data = Path(made.path).read_bytes()
        channels = decode(made.path).channels
    assert made.format == "wav"
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    both = bytearray(len(written.samples))
    for number, channel in enumerate(channels):
        memoryview(both).cast("h")[number :: len(channels)] = memoryview(channel)
    assert bytes(both) == written.samples
    if written.is_right and data != written.data:
        header = read_header(BytesIO(written.data))
        assert header is not None
        assert not header.is_valid


@settings(max_examples=300, deadline=None)
@given(st.one_of(waves(), others()), st.data())
def test_a_damaged_header_is_read_or_rejected(written: Written, data: st.DataObject) -> None:
    changed = bytearray(written.data)
    for _ in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(0, min(80, len(changed) - 1)))] = data.draw(st.integers(0, 255))
    with TemporaryDirectory() as folder:
        path = Path(folder, written.name)
        path.write_bytes(changed)
        with suppress(NotAudio):
            # Anything else that is raised fails this test.
            sum(frame.samples for frame in open_source(path, LIMIT).frames())
