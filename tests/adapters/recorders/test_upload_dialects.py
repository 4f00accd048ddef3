"""The parts of an upload that are read without I/O: packed data, forms, content types, instants and lengths."""

import gzip
import struct
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.recorders.dialects.audio_extension import extension_for, extension_of
from adapters.recorders.dialects.call_parties import direction_of
from adapters.recorders.dialects.content_coding import PIECE, DamagedCoding, unpacker
from adapters.recorders.dialects.multipart_form import InvalidForm, MultipartForm
from adapters.recorders.dialects.not_a_file import RemovedBytes
from adapters.recorders.dialects.start_time import read_start
from adapters.recorders.dialects.wav_length import wav_length
from recordings.model.recording import Direction

NOW = 1_795_336_400_000
INSTANT = 1_710_278_632_000
"""2024-03-12T21:23:52Z."""


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[begin:end] for begin, end in pairwise(bounds)]


PLACES = st.lists(st.integers(0, 10_000), max_size=8)
BODIES = st.binary(max_size=3_000) | st.builds(bytes, st.integers(0, 300_000))


@given(BODIES, PLACES, st.sampled_from(["gzip", "members", "deflate", "raw", "identity"]))
def test_packed_data_in_any_pieces_is_unpacked(body: bytes, places: list[int], coding: str) -> None:
    half = len(body) // 2
    packed = {
        "gzip": gzip.compress(body),
        "members": gzip.compress(body[:half]) + gzip.compress(body[half:]) + bytes(9),
        "deflate": zlib.compress(body),
        "raw": zlib.compress(body, wbits=-15),
        "identity": body,
    }[coding]
    reader = unpacker({"members": "gzip", "raw": "deflate"}.get(coding, coding))
    assert reader is not None
    pieces = [piece for data in cut(packed, places) for piece in reader.feed(data)] + list(reader.finish())
    assert b"".join(pieces) == body
    assert coding == "identity" or max(map(len, pieces), default=0) <= PIECE


@given(st.binary(max_size=600), st.sampled_from(["gzip", "deflate"]), PLACES)
def test_any_data_is_unpacked_or_refused(data: bytes, coding: str, places: list[int]) -> None:
    reader = unpacker(coding)
    assert reader is not None
    try:
        for part in cut(data, places):
            list(reader.feed(part))
        list(reader.finish())
    except DamagedCoding:
        pass


def read_form(data: bytes, places: list[int], boundary: bytes) -> tuple[MultipartForm, bytes]:
    form = MultipartForm(boundary)
    return form, b"".join(form.feed(part) for part in cut(data, places))


@given(st.binary(max_size=2_000), PLACES, st.sampled_from([b"x", b"----WebKitFormBoundary7MA4", b"--", b"a" * 70]))
def test_a_form_in_any_pieces_gives_its_file(body: bytes, places: list[int], boundary: bytes) -> None:
    body = body.replace(b"\r\n--" + boundary, b"")
    head = b'Content-Disposition: form-data; name="%s"'
    parts = [
        (head % b"from" + b"\r\n\r\n", b"+1415"),
        (head % b"file" + b'; filename="a;b.wav"\r\ncontent-type:  audio/wav\r\n\r\n', body),
        (head % b"token" + b"\r\n\r\n", b""),
    ]
    data = b"".join(b"--" + boundary + b"\r\n" + front + value + b"\r\n" for front, value in parts)
    form, found = read_form(data + b"--" + boundary + b"--\r\n", places, boundary)
    assert found == body
    assert form.fields == [("from", "+1415")]
    assert (form.late_fields, form.is_complete) == (["token"], True)
    assert form.file is not None
    assert (form.file.name, form.file.content_type) == ("a;b.wav", "audio/wav")


@given(st.binary(max_size=600) | st.text(max_size=300).map(str.encode), PLACES)
def test_any_bytes_are_a_form_or_refused(data: bytes, places: list[int]) -> None:
    try:
        form, _ = read_form(b"--b\r\n" + data, places, b"b")
    except InvalidForm:
        return
    assert not form.is_complete or data


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("63877497832", INSTANT),
        ("63877497832.25", INSTANT),
        ("1710278632", INSTANT),
        ("1710278632123", INSTANT + 123),
        ("2024-03-12T21:23:52Z", INSTANT),
        ("2024-03-12T22:23:52+01:00", INSTANT),
        ("2024-03-12T22:23:52 01:00", INSTANT),
        ("2024-03-12T21:23:52.500", INSTANT + 500),
        ("2024-03-12 21:23:52", INSTANT),
        ("20240312T212352Z", INSTANT),
        ("Tue, 12 Mar 2024 21:23:52 +0000", INSTANT),
        ("Tue, 12 Mar 2024 21:23:52  0000", INSTANT),
        ("Tue, 12 Mar 2024 22:23:52 0100", INSTANT),
        ("5", None),
        ("20240312", None),
        ("999999999999", None),
        ("2124-03-12T21:23:52Z", None),
        ("1024-03-12T21:23:52Z", None),
        ("2024-13-12T21:23:52Z", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("Tue, 99 Mar 2024", None),
        ("-5", None),
        ("٣", None),
        ("", None),
    ],
)
def test_a_start_in_any_usual_form(text: str, expected: int | None) -> None:
    assert read_start(text, NOW) == expected


@given(st.text(max_size=60) | st.datetimes().map(str) | st.integers().map(str))
def test_any_start_is_plausible_or_unknown(text: str) -> None:
    assert 631_152_000_000 <= (read_start(text, NOW) or NOW) < NOW + 86_400_000


@pytest.mark.parametrize("text", ["inbound", "INBOUND", " Inbound ", "incoming"])
def test_inbound_in_any_case(text: str) -> None:
    assert direction_of(text) is Direction.INBOUND


@pytest.mark.parametrize("text", ["outbound", "Outbound", "OUTGOING", "outbound-api", "outbound-dial"])
def test_outbound_in_any_case(text: str) -> None:
    assert direction_of(text) is Direction.OUTBOUND


@pytest.mark.parametrize("text", ["", "in", "both", "sideways", "inboundish"])
def test_any_other_direction_is_unknown(text: str) -> None:
    assert direction_of(text) is None


@pytest.mark.parametrize(
    ("content_type", "extension"),
    [
        ("audio/basic", "ulaw"), ("audio/PCMU", "ulaw"), ("AUDIO/x-mulaw; rate=8000", "ulaw"), ("audio/PCMA", "alaw"),
        ("audio/pcma;rate=16000", None), ("audio/G722", "g722"), ("audio/L16;rate=8000", "l168000"),
        ('audio/l16; channels=1; rate="44100"', "l1644100"), ("audio/L16;rate=8000;channels=2", None),
        ("audio/L16", None), ("audio/L16;rate=x", None), ("audio/vnd.wave;codec=1", "wav"), ("audio/x-wav", "wav"),
        ("audio/mpeg", "mp3"), ("audio/ogg; codecs=opus", "ogg"), ("audio/webm", "webm"), ("video/webm", "webm"),
        ("audio/mp4", "m4a"), ("audio/x-flac", "flac"), ("audio/AMR-WB", "awb"), ("audio/unheard", None),
        ("text/plain", None), ("audio", None), ("", None), (None, None), (";;=", None),
    ],
)  # fmt: skip
def test_the_extension_of_a_content_type(content_type: str | None, extension: str | None) -> None:
    assert extension_for(content_type) == extension


@given(st.text(max_size=80))
def test_any_content_type_and_name_has_an_extension_or_none(text: str) -> None:
    assert (extension_for(f"audio/{text}") or "x").isalnum()
    assert extension_of(text).isalnum()


def wav(*, rate: int = 8_000, bits: int = 16, tag: int = 1, size: int = 1_000, extra: bytes = b"") -> bytes:
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, 1, rate, rate * bits // 8, bits // 8, bits)
    return b"RIFF" + struct.pack("<I", 2**31) + b"WAVE" + extra + fmt + b"data" + struct.pack("<I", size)


@pytest.mark.parametrize(
    ("head", "size", "length"),
    [
        (wav(size=16_000), 44 + 16_000, 1_000),
        (wav(size=8_000), 44 + 16_000, 500),
        (wav(size=2**31), 44 + 16_000, 1_000),
        (wav(size=0), 44 + 16_000, 1_000),
        (wav(size=0xFFFF_FFFF), 44 + 16_000, 1_000),
        (wav(size=8_000, bits=8, tag=7), 44 + 8_000, 1_000),
        (wav(size=16_000, extra=b"LIST\x05\0\0\0INFOx\0"), 58 + 16_000, 1_000),
        (wav(size=16_000, rate=0), 44 + 16_000, None),
        (wav(size=16_000, tag=0x31), 44 + 16_000, None),
        (wav(size=16_000)[:40], 44 + 16_000, None),
        (b"ID3" + bytes(60), 10_000, None),
        (b"", 0, None),
    ],
)
def test_the_length_of_a_wav_file(head: bytes, size: int, length: int | None) -> None:
    assert wav_length(head, size) == length


@given(st.binary(max_size=80), st.integers(0, 2**40))
def test_any_head_has_a_length_or_none(head: bytes, size: int) -> None:
    assert (wav_length(b"RIFF1234WAVE" + head, size) or 0) >= 0


@given(st.binary(min_size=1, max_size=2_000), PLACES)
def test_removed_bytes_are_noticed_in_any_pieces(data: bytes, places: list[int]) -> None:
    def problem(body: bytes) -> str | None:
        reader = RemovedBytes()
        for part in cut(body, places):
            reader.feed(part)
        return reader.problem

    assert problem(data + b"\n") is None
    assert problem(b"RIFF" + data.translate(None, b"\0\r\n")) is not None
