"""W64, AIFF, AU and CAF with every wrong size, in unusual orders, appended to one another, or between other bytes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from struct import pack
from typing import Final

import pytest

from adapters.audio.open_source import open_source
from adapters.audio.pcm import resample
from recordings.ports.audio import NotAudio
from tests.adapters.audio.made_files import LEFT, RATE, SIZE, elementary, fmt, swapped

GUID_TAIL: Final = bytes.fromhex("f3acd3118cd100c04f8edb8a")
RATE80: Final = bytes.fromhex("400bfa00000000000000")
Written = Callable[[int], bytes]
"""A file whose header announces so many bytes of samples."""


def w64(size: int) -> bytes:
    head = bytes.fromhex("726966662e91cf11a5d628db04c10000") + bytes(8) + b"wave" + GUID_TAIL
    return head + b"fmt " + GUID_TAIL + pack("<Q", 40) + fmt()[8:] + b"data" + GUID_TAIL + pack("<Q", size + 24) + LEFT


def au(size: int) -> bytes:
    return b".snd" + pack(">IIIII", 32, size, 3, RATE, 1) + bytes(8) + swapped(LEFT)


def comm(bits: int = 16) -> bytes:
    return b"COMM" + pack(">IhIh", 18, 1, SIZE // 2, bits) + RATE80


def aiff(size: int, before: bytes = b"", after: bytes = b"", offset: int = 0, first: bytes | None = None) -> bytes:
    sound = b"SSND" + pack(">III", size + 8, offset, 0) + swapped(LEFT)
    return b"FORM" + pack(">I", 0) + b"AIFF" + before + (comm() if first is None else first) + sound + after


def caf(size: int, flags: int = 0) -> bytes:
    desc = pack(">d4sIIIII", RATE, b"lpcm", flags, 2, 1, 1, 16)
    head = b"caff" + pack(">HH", 1, 0) + b"desc" + pack(">q", len(desc)) + desc
    samples = LEFT if flags & 2 else swapped(LEFT)
    return head + b"data" + pack(">qI", size + 4, 0) + samples


KINDS: Final[Mapping[str, Written]] = {"w64": w64, "au": au, "aiff": aiff, "caf": caf}


def read(data: bytes, folder: Path) -> tuple[bytes, int | None, tuple[str, ...]]:
    """Return the samples, the announced length in ms, and the damage."""
    path = folder / "source.bin"
    path.write_bytes(data)
    source = open_source(path, 3_600_000)
    frames = resample(source.frames(), "s16", "mono", RATE)
    samples = b"".join(bytes(frame.planes[0])[: 2 * frame.samples] for frame in frames)
    return samples, source.announced_ms, tuple(source.damage)


@pytest.mark.parametrize("kind", KINDS)
def test_a_right_size_is_believed(tmp_path: Path, kind: str) -> None:
    for after in (b"", bytes(100_000), b"\r\n--b--\r\n"):
        assert read(KINDS[kind](SIZE) + after, tmp_path) == (LEFT, None, ())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("size", "expected"), [(SIZE // 2, 1_000), (2 * SIZE, 4_000)])
def test_a_wrong_size_is_reported_and_all_samples_are_read(tmp_path: Path, kind: str, size: int, expected: int) -> None:
    samples, announced_ms, damage = read(KINDS[kind](size), tmp_path)
    assert (samples, announced_ms, len(damage)) == (LEFT, expected, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_file_is_reported(tmp_path: Path, kind: str) -> None:
    samples, announced_ms, damage = read(KINDS[kind](SIZE)[: -SIZE // 2], tmp_path)
    assert (samples, announced_ms, len(damage)) == (LEFT[: SIZE // 2], 2_000, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_were_appended_are_read(tmp_path: Path, kind: str) -> None:
    assert read(3 * KINDS[kind](SIZE), tmp_path) == (3 * LEFT, None, ())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "before", [b"ID3\3\0\0\0\0\1\0" + bytes(128), b"\xef\xbb\xbf", b"\n\n"], ids=["id3", "bom", ""]
)
def test_what_is_before_the_header_is_left_out(tmp_path: Path, kind: str, before: bytes) -> None:
    assert read(before + KINDS[kind](SIZE), tmp_path) == (LEFT, None, ())


UNUSUAL: Final = {
    "aiff_sound_first": b"FORM\0\0\0\0AIFFSSND" + bytes(12) + swapped(LEFT) + comm(),
    "aiff_odd_chunk_without_padding": aiff(SIZE, before=b"NAME" + pack(">I", 3) + b"abc"),
    "aiff_note_after_unknown_size": aiff(-8, after=b"ANNO" + pack(">I", 6) + b"a note"),
    "aiff_of_sox_in_a_pipe": aiff(0x7F000000, first=comm()),
    "aiff_impossible_offset": aiff(SIZE, offset=0xFFFFFFF0),
    "aiff_12_bits": aiff(SIZE, first=comm(12)),
    "au_impossible_offset": b".snd" + pack(">IIIII", 0xFFFFFFFF, SIZE, 3, RATE, 1) + swapped(LEFT),
    "au_offset_0": b".snd" + pack(">IIIII", 0, SIZE, 3, RATE, 1) + swapped(LEFT),
    "caf_little_endian": caf(SIZE, flags=2),
    "caf_unknown_size": caf(-5),
    "caf_impossible_size": caf(-(1 << 40)),
    # libsndfile writes its header again into a pipe.
    "w64_in_a_pipe": w64(0)[:-SIZE] + w64(0) + w64(0)[:-SIZE],
    "caf_in_a_pipe": caf(0)[:-SIZE] + caf(-5),
    "w64_largest_size": w64((1 << 63) - 25),
    "aiff_mulaw": b"FORM\0\0\0\0AIFC" + b"COMM" + pack(">IhIh", 24, 1, 0, 16) + RATE80 + b"ulaw\0\0"
    b"SSND" + bytes(12) + elementary("pcm_mulaw", LEFT, RATE),
}  # fmt: skip


@pytest.mark.parametrize("name", UNUSUAL)
def test_an_unusual_header_is_read(tmp_path: Path, name: str) -> None:
    samples, _announced_ms, damage = read(UNUSUAL[name], tmp_path)
    assert (len(samples), damage) == (SIZE, ())
    if name != "aiff_mulaw":
        assert samples == LEFT


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b".snd" + pack(">IIIII", 24, 0, 99, RATE, 1) + LEFT, "encoding 99"),
        (b"FORM\0\0\0\0AIFFSSND" + bytes(12) + LEFT, "no COMM chunk"),
        (b"caff\0\1\0\0desc" + pack(">q", 8) + bytes(8), "desc chunk"),
    ],
)
def test_a_header_without_a_format_is_rejected(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(NotAudio, match=reason):
        read(data, tmp_path)
