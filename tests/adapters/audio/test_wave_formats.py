"""Every form of the `fmt ` chunk, and everything that may be around a WAV file."""

import wave
from array import array
from collections.abc import Callable, Mapping
from pathlib import Path
from struct import pack
from typing import Final

import pytest

from adapters.audio.render_job import render
from recordings.ports.audio import Codec, NotAudio, Rendered, SpooledAudio, Target, Track
from tests.adapters.audio.made_files import INFO, LEFT, RATE, RIGHT, SIZE, UNKNOWN, chunk, fmt, mux, wav
from tests.adapters.audio.made_files import Track as Written
from tests.adapters.audio.sounds import decode

LIMIT = 4 * 3_600_000
WORDS: Final = array("h", LEFT)


def stored(data: bytes, folder: Path, name: str = "source.wav") -> Rendered:
    source = folder / name
    source.write_bytes(data)
    (folder / "out").mkdir(exist_ok=True)
    audio = SpooledAudio((Track(str(source), Codec.CONTAINER),))
    return render(str(folder / "out"), "made", audio, Target(None, None, LIMIT))


def wide(width: int) -> bytes:
    """The tone in samples of 24 or 32 bits."""
    return b"".join((word << 16).to_bytes(4, "little", signed=True)[4 - width :] for word in WORDS)


def form(bits: int, block: int, tag: int = 1, rate: int = RATE, more: bytes = b"", size: int | None = None) -> bytes:
    body = pack("<HHIIHH", tag, 1, rate, rate * block, block, bits) + more
    return chunk(b"fmt ", body[:size])


def extended(valid: int, subformat: bytes) -> bytes:
    return pack("<HHI", 22, valid, 4) + subformat


GUID: Final = bytes.fromhex("0100000000001000800000aa00389b71")
IN_FOUR: Final = wide(4)
FORMATS: Final[Mapping[str, tuple[bytes, bytes]]] = {
    "no_bits": (form(0, 2), LEFT),
    "no_bits_24": (form(0, 3), wide(3)),
    "short": (form(16, 2, size=14), LEFT),
    "odd_size": (form(16, 2, more=b"\0"), LEFT),
    "size_0": (form(16, 2)[:4] + bytes(4) + form(16, 2)[8:], LEFT),
    "12_bits": (form(12, 2), LEFT),
    "20_bits": (form(20, 3), wide(3)),
    "20_in_32": (form(20, 4), IN_FOUR),
    "24_in_32": (form(24, 4), IN_FOUR),
    "extensible_24_in_32": (form(32, 4, 0xFFFE, more=extended(24, GUID)), IN_FOUR),
    "extensible_20_in_24": (form(24, 3, 0xFFFE, more=extended(20, GUID)), wide(3)),
    "extensible_without_a_guid": (form(16, 2, 0xFFFE, more=extended(16, bytes(16))), LEFT),
    "extensible_without_its_fields": (form(16, 2, 0xFFFE), LEFT),
    "two_formats": (form(16, 2) + form(16, 2), LEFT),
    "wrong_block": (form(16, 4), LEFT),
}


@pytest.mark.parametrize("name", FORMATS)
def test_an_unusual_format_is_stored_so_that_every_player_reads_it(tmp_path: Path, name: str) -> None:
    head, samples = FORMATS[name]
    made = stored(wav(samples, head), tmp_path)
    assert (made.format, made.duration_ms, made.damage) == ("wav", 2_000, None)
    with wave.open(made.path) as file:
        assert (file.getnframes(), 8 * file.getsampwidth() % 8) == (16_000, 0)
    data = Path(made.path).read_bytes()
    assert data.count(b"fmt ") == 1
    assert data.endswith(samples)
    assert decode(made.path).level(0, 440) > 7_000


@pytest.mark.parametrize(
    ("head", "samples"),
    [(form(32, 4), IN_FOUR), (form(16, 2, 0xFFFE, more=extended(16, GUID)), LEFT), (form(8, 1), bytes(16_000))],
    ids=["32_bits", "extensible", "8_bits"],
)
def test_a_valid_file_stays_the_same_byte_for_byte(tmp_path: Path, head: bytes, samples: bytes) -> None:
    data = wav(samples, head, after=INFO)
    assert Path(stored(data, tmp_path).path).read_bytes() == data


BEGINNINGS: Final = {
    "id3": b"ID3\3\0\0\0\0\1\0" + bytes(128),
    "byte_order_mark": b"\xef\xbb\xbf",
    "blank_lines": b"\r\n\r\n",
    "zeros": bytes(512),
    "form": b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n',
    "http": b"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\n\r\n",
}
ENDINGS: Final = {
    "zeros": bytes(100_000),
    "newline": b"\n",
    "form": b"\r\n--b--\r\n",
    "one_byte": b"\x80",
    "tag": b"TAG" + bytes(125),
}


@pytest.mark.parametrize("name", BEGINNINGS)
@pytest.mark.parametrize("size", [SIZE, 0], ids=["right_size", "size_0"])
def test_what_is_before_the_header_is_left_out(tmp_path: Path, name: str, size: int) -> None:
    made = stored(BEGINNINGS[name] + wav(size=size), tmp_path)
    assert (made.duration_ms, made.damage) == (2_000, None)
    assert Path(made.path).read_bytes() == wav()


@pytest.mark.parametrize("name", ENDINGS)
def test_what_is_after_the_samples_is_no_audio(tmp_path: Path, name: str) -> None:
    made = stored(wav() + ENDINGS[name], tmp_path)
    assert (made.duration_ms, made.damage) == (2_000, None)
    assert Path(made.path).read_bytes() == wav()


def long_header(size: int) -> bytes:
    return chunk(b"ds64", pack("<QQQI", size + 72, size, size // 2, 0)) + fmt()


@pytest.mark.parametrize(("size", "expected"), [(SIZE // 2, 1_000), (3 * SIZE, 6_000)])
def test_a_wrong_size_in_rf64_is_reported(tmp_path: Path, size: int, expected: int) -> None:
    made = stored(wav(size=UNKNOWN, riff=UNKNOWN, head=long_header(size), kind=b"RF64"), tmp_path)
    assert (made.duration_ms, made.expected_ms) == (2_000, expected)


@pytest.mark.parametrize("size", [0, UNKNOWN])
def test_files_of_unknown_size_that_were_appended_are_joined_without_their_headers(tmp_path: Path, size: int) -> None:
    made = stored(wav(size=size, riff=size) + wav(RIGHT, size=size, riff=size), tmp_path)
    assert (made.duration_ms, made.damage) == (4_000, None)
    assert Path(made.path).read_bytes() == wav(LEFT + RIGHT)


def test_samples_that_look_like_a_chunk_are_samples(tmp_path: Path) -> None:
    text = b"abcd" * 4_000
    made = stored(wav(text, form(8, 1), size=8_000, riff=8_036), tmp_path)
    assert (made.duration_ms, made.expected_ms) == (2_000, 1_000)


@pytest.mark.parametrize("size", [2, 0])
def test_one_sample_is_not_empty(tmp_path: Path, size: int) -> None:
    assert stored(wav(b"\1\2", size=size), tmp_path).duration_ms == 1


@pytest.mark.parametrize(
    "data", [wav(b""), wav(b"", after=INFO), wav(b"", size=UNKNOWN), b"RIFF\x1c\0\0\0WAVE" + fmt()]
)
def test_a_file_that_is_only_a_header_is_empty(tmp_path: Path, data: bytes) -> None:
    assert stored(data, tmp_path).duration_ms == 0


@pytest.mark.parametrize("codec", ["libmp3lame", "g722", "adpcm_ima_wav", "adpcm_ms"])
@pytest.mark.parametrize("change", ["size_0", "size_unknown", "half", "zeros", "twice"])
def test_a_wrong_size_does_not_change_the_codec(tmp_path: Path, codec: str, change: str) -> None:
    """MP3 and G.722 have a block size of 1, like samples of 8 bits."""
    whole = mux(tmp_path / "whole.wav", "wav", [Written(codec, LEFT, RATE)]).read_bytes()
    at = whole.find(b"data") + 4
    size = int.from_bytes(whole[at : at + 4], "little")
    sized: Callable[[int], bytes] = lambda value: whole[:at] + pack("<I", value) + whole[at + 4 :]  # noqa: E731
    changed = {
        "size_0": sized(0),
        "size_unknown": sized(UNKNOWN),
        "half": sized(size // 2),
        "zeros": whole + bytes(100_000),
        "twice": whole + whole,
    }[change]
    made, right = stored(changed, tmp_path), stored(whole, tmp_path / "out", "right.wav")
    assert abs(made.duration_ms - right.duration_ms * (2 if change == "twice" else 1)) <= 100
    assert (made.damage is not None) == (change == "half")
    assert made.expected_ms is None or made.expected_ms < right.duration_ms
    # Two tones one after the other have different phases, so they cancel in part.
    assert decode(made.path).level(0, 440) > (1_500 if change == "twice" else 6_000)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (wav().replace(b"data", b"DATA"), "no data chunk"),
        (wav(head=form(16, 2, 0)), "0x0000"),
        (wav(head=form(32, 4, 0xFFFE)), "0xfffe"),
    ],
)
def test_a_format_that_is_not_known_is_named(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(NotAudio, match=reason):
        stored(data, tmp_path)
