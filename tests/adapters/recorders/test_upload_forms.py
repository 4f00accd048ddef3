"""Bodies in every form that clients send: the file is stored, or the response names a form that works."""

import asyncio
import gzip
import hashlib
import resource
import shutil
import ssl
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from recordings.model.recording import Direction, Recording, State
from tests.adapters.recorders.parts import World, world

SAMPLES = b"".join(struct.pack("<h", (step * 977) % 20_000 - 10_000) for step in range(16_000))
WAV = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(SAMPLES), b"WAVE", b"fmt ", 16, 1, 1, 8_000, 16_000, 2, 16,
                  b"data", len(SAMPLES)) + SAMPLES  # fmt: skip
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
NAME = "call_recording_c1.wav?call_id=c1"
CURL = shutil.which("curl") or ""


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "rec.wav").write_bytes(WAV)
    async with world(tmp_path) as made:
        yield made


async def send(here: World, body: Any, name: str = NAME, method: str = "PUT", **headers: str) -> httpx.Response:
    names = {key.replace("_", "-"): value for key, value in headers.items()}
    async with httpx.AsyncClient(timeout=30, verify=PLAIN) as client:
        return await client.request(method, f"{here.http}/{name}", content=body, headers=names)


async def curl(here: World, *words: str, name: str = NAME) -> tuple[int, str]:
    """Run curl in the folder of `rec.wav`. Return the status and the body of the response."""
    command = [CURL, "-sS", "-w", "\n%{http_code}", *words, f"{here.http}/{name}"]
    running = await asyncio.create_subprocess_exec(*command, cwd=here.root, stdout=asyncio.subprocess.PIPE)
    output, _ = await asyncio.wait_for(running.communicate(), 30)
    body, _, status = output.decode().rpartition("\n")
    return int(status), body


async def stored(here: World) -> tuple[Recording, bytes]:
    """Return the only recording, and its bytes in the spool."""
    (found,) = await here.all()
    assert found.state is State.FINALIZING
    (path,) = (here.root / "spool" / found.id).glob("body.*")
    body = path.read_bytes()
    assert found.source_sha256 == hashlib.sha256(body).hexdigest()
    return found, body


async def nothing_is_stored(here: World) -> bool:
    return not any([await here.all(), await here.spool.ids(), await here.spool.ids_aside()])


def form(*parts: tuple[str, bytes], boundary: str = "xYz", end: str = "--\r\n") -> bytes:
    """Return a multipart form. A part is its Content-Disposition parameters (and further headers), and its value."""
    return b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + value + b"\r\n"
        for head, value in parts
    ) + f"--{boundary}{end}".encode()  # fmt: skip


FORM = "multipart/form-data; boundary=xYz"
FILE = 'name="file"; filename="rec.wav"\r\nContent-Type: audio/wav'


@pytest.mark.skipif(not CURL, reason="curl is not installed")
@pytest.mark.parametrize(
    "words",
    [
        ("-T", "rec.wav"),
        ("-T", "-"),
        ("--data-binary", "@rec.wav"),
        ("-X", "PUT", "--data-binary", "@rec.wav"),
        ("-F", "file=@rec.wav"),
        ("-X", "PUT", "-F", "file=@rec.wav;type=audio/x-wav"),
        ("-F", "owner_id=o1", "-F", 'audio=@rec.wav;filename=ü "1".wav'),
        ("-H", "Expect: 100-continue", "-F", "file=@rec.wav"),
        ("-H", "Transfer-Encoding: chunked", "-F", "file=@rec.wav"),
        ("-H", "Content-Encoding: gzip", "--data-binary", "@rec.wav.gz"),
        ("-H", "Content-Encoding: gzip", "-F", "file=@rec.wav"),
    ],
    ids=" ".join,
)
async def test_a_file_in_any_form_of_curl_is_received(here: World, words: tuple[str, ...]) -> None:
    (here.root / "rec.wav.gz").write_bytes(gzip.compress(WAV))
    data = here.root / "rec.wav" if words == ("-T", "-") else Path("/dev/null")
    with data.open("rb") as standard_input:
        command = [CURL, "-sS", "-w", "%{http_code}", "-o", "/dev/null", *words, f"{here.http}/{NAME}"]
        running = await asyncio.create_subprocess_exec(
            *command, cwd=here.root, stdin=standard_input, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await asyncio.wait_for(running.communicate(), 30)
    assert output == b"201"
    found, body = await stored(here)
    assert body == WAV
    assert found.owner_id == ("o1" if "owner_id=o1" in words else None)


@pytest.mark.skipif(not CURL, reason="curl is not installed")
@pytest.mark.parametrize("name", ["rec.wav", "rec.mp3", "rec.ulaw", "rec.sln"])
async def test_a_file_that_curl_d_has_damaged_is_refused_with_the_command_that_works(here: World, name: str) -> None:
    (here.root / name).write_bytes(WAV if name == "rec.wav" else SAMPLES)
    status, body = await curl(here, "-d", f"@{name}", name=name.replace("rec", "call_recording_c1"))
    assert status == 415
    assert "curl -T FILE" in body
    assert "--data-binary" in body
    assert await nothing_is_stored(here)
    assert (await curl(here, "--data-binary", f"@{name}"))[0] == 201


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        (
            "application/x-www-form-urlencoded",
            b"RecordingUrl=https%3A%2F%2Fx%2FRE1&CallSid=CA1",
            "RecordingUrl, CallSid",
        ),
        ("application/x-www-form-urlencoded; charset=utf-8", b"a=" + b"b" * 5_000, "form of parameters (a)"),
        ("application/json", b' {"data": {"event_type": "call.recording.saved"}}', "JSON"),
        ("application/cloudevents+json", b"[]", "JSON"),
        ("text/html; charset=utf-8", b"<!doctype html><title>502</title>", "text/html"),
        ("application/xml", b"\n<?xml version='1.0'?><Recording/>", "application/xml"),
        ("multipart/mixed; boundary=xYz", form((FILE, WAV)), "multipart/mixed"),
        ("multipart/form-data", form((FILE, WAV)), "multipart/form-data"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_a_body_that_is_no_file_is_refused_with_a_reason(
    here: World, method: str, content_type: str, body: bytes, text: str
) -> None:
    answer = await send(here, body, method=method, content_type=content_type)
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "NOT_A_FILE")
    assert text in answer.json()["error"]["message"]
    assert "curl -T FILE" in answer.json()["error"]["message"]
    assert await nothing_is_stored(here)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", WAV),
        ("text/html", WAV),
        ("text/plain", b"this is text"),
        ("application/x-www-form-urlencoded", WAV),
        ("application/x-www-form-urlencoded", b"\xff" * 16_000),
        ("application/x-www-form-urlencoded", b"U" * 16_000),
        ("multipart", WAV),
        ("", WAV),
        ("audio/x-wav;;;", WAV),
    ],
)
async def test_a_wrong_content_type_does_not_refuse_a_file(here: World, content_type: str, body: bytes) -> None:
    assert (await send(here, body, content_type=content_type)).status_code == 201
    assert (await stored(here))[1] == body


async def test_an_empty_form_body_is_an_empty_upload(here: World) -> None:
    answer = await send(here, b"", content_type="application/x-www-form-urlencoded")
    assert (answer.status_code, answer.json()["state"]) == (201, "DISCARDED")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (form(('name="call_id"', b"c1")), "no file"),
        (form(), "no file"),
        (form(('name="file"; filename=""\r\nContent-Type: application/octet-stream', b"")), "no file"),
        (form(('name="file"', WAV)), "no file name"),
        (form((FILE, WAV), (FILE, WAV)), "more than one file"),
        (form((FILE, WAV), ('name="from"', b"+1415")), "from must come before the file"),
        (form((f"{FILE}\r\nContent-Transfer-Encoding: base64", b"AAAA")), "base64"),
        (form(*[(f'name="f{number}"', b"x") for number in range(70)], (FILE, WAV)), "more than 64 fields"),
        (form((FILE + "\r\nX: " + "y" * 9_000, WAV)), "invalid"),
        (b"RIFF is not a form", "invalid"),
    ],
)
async def test_a_form_that_is_not_one_file_is_refused(here: World, body: bytes, text: str) -> None:
    answer = await send(here, body, content_type=FORM)
    assert (answer.status_code, text in answer.json()["error"]["message"]) == (400, True), answer.text
    assert await nothing_is_stored(here)


async def test_the_fields_of_a_form_are_parameters(here: World) -> None:
    fields = [('name="call_id"', b"c7"), ('name="from"', b"+14155550123"), ('name="label"', "Über".encode())]
    late = ('name="token"', b"x")
    answer = await send(here, form(*fields, (FILE, WAV), late), name="", method="POST", content_type=FORM)
    assert answer.status_code == 201
    found, body = await stored(here)
    assert body == WAV
    assert (found.call_id, found.from_.partition("@")[0], found.label) == ("c7", "+14155550123", "Über")
    assert found.name == "call_recording_c7.wav"
    assert (await send(here, form((FILE, WAV)), name="", content_type=FORM)).json()["error"]["code"] == "NOT_AN_UPLOAD"


async def test_the_same_file_in_another_form_is_the_same_file(here: World) -> None:
    answers = [
        await send(here, WAV),
        await send(here, form((FILE, WAV)), method="POST", content_type=FORM),
        await send(here, gzip.compress(WAV), content_encoding="gzip"),
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_a_form_that_is_cut_off_is_incomplete(here: World) -> None:
    whole = form((FILE, WAV))
    for cut in (whole[:20_000], form((FILE, WAV), end="")):
        answer = await send(here, cut, content_type=FORM)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INCOMPLETE")
    (found,) = await here.all()
    assert found.state is State.FAILED
    assert (await send(here, whole, content_type=FORM)).json()["id"] == found.id


PACKED = {
    "gzip": gzip.compress(WAV),
    "x-gzip": gzip.compress(WAV, 0),
    "GZIP": b"".join(gzip.compress(WAV[begin : begin + 5_000]) for begin in range(0, len(WAV), 5_000)),
    "gzip , identity": gzip.compress(WAV) + bytes(100),
    "deflate": zlib.compress(WAV),
    "Deflate": zlib.compress(WAV, wbits=-15),
    "identity": WAV,
    "": WAV,
}


@pytest.mark.parametrize("coding", PACKED)
async def test_a_packed_file_is_unpacked(here: World, coding: str) -> None:
    assert (await send(here, PACKED[coding], content_encoding=coding)).status_code == 201
    assert (await stored(here))[1] == WAV


async def test_a_file_that_is_not_packed_in_spite_of_its_header_is_stored(here: World) -> None:
    assert (await send(here, WAV, content_encoding="gzip")).status_code == 201
    assert (await stored(here))[1] == WAV


async def test_a_packed_form_is_unpacked(here: World) -> None:
    body = gzip.compress(form((FILE, WAV)))
    assert (await send(here, body, content_type=FORM, content_encoding="gzip")).status_code == 201
    assert (await stored(here))[1] == WAV


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "gzip, br", "aes128gcm"])
async def test_an_unsupported_coding_is_refused_with_the_supported_ones(here: World, coding: str) -> None:
    answer = await send(here, WAV, content_encoding=coding)
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "UNSUPPORTED_CODING")
    assert answer.headers["accept-encoding"] == "gzip, deflate"
    assert "curl -T FILE" in answer.json()["error"]["message"]
    assert await nothing_is_stored(here)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_packed_data_that_is_cut_or_damaged_is_incomplete(here: World, coding: str) -> None:
    packed = PACKED[coding]
    for body in (packed[:-100], packed[:2_000] + bytes(200) + packed[2_200:]):
        answer = await send(here, body, content_encoding=coding)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INCOMPLETE")
    assert [found.state for found in await here.all()] == [State.FAILED]
    assert (await send(here, packed, content_encoding=coding)).status_code == 201
    assert (await stored(here))[1] == WAV


@pytest.mark.parametrize("kind", ["gzip", "deflate", "form", "gzip form"])
async def test_max_body_limits_the_unpacked_file(tmp_path: Path, kind: str) -> None:
    def packed(size: int) -> tuple[bytes, dict[str, str]]:
        body, headers = bytes(size), {}
        if "form" in kind:
            body, headers["content_type"] = form((FILE, body)), FORM
        if "gzip" in kind:
            body, headers["content_encoding"] = gzip.compress(body), "gzip"
        if kind == "deflate":
            body, headers["content_encoding"] = zlib.compress(body), "deflate"
        return body, headers

    async with world(tmp_path, max_body=1_000_000) as here:
        body, headers = packed(1_000_001)
        assert (await send(here, body, **headers)).status_code == 413
        assert await nothing_is_stored(here)
        body, headers = packed(1_000_000)
        assert (await send(here, body, **headers)).status_code == 201


async def test_a_packed_file_of_a_gigabyte_is_refused_in_little_memory(tmp_path: Path) -> None:
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(bytes(1_000_000)) for _ in range(1_000)) + packer.flush()
    async with world(tmp_path, max_body=100_000_000) as here:
        await send(here, WAV)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert (await send(here, bomb, "call_recording_bomb.wav", content_encoding="gzip")).status_code == 413
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16_000
        assert len(await here.all()) == 1


async def test_a_large_form_is_never_completely_in_memory(here: World) -> None:
    size, piece = 100_000_000, bytes(1_000_000)
    begin, end = form((FILE, b"||")).split(b"||")

    async def pieces() -> AsyncIterator[bytes]:
        yield begin
        for _ in range(size // len(piece)):
            yield piece
        yield end

    await send(here, form((FILE, WAV)), content_type=FORM)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = await send(here, pieces(), "call_recording_big.wav", content_type=FORM)
    assert answer.status_code == 201
    # The sender runs in this process, so its chunks count, too.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16_000


async def test_a_form_whose_file_does_not_come_times_out(tmp_path: Path) -> None:
    begin = form(('name="call_id"', b"c1"), (FILE, b"||")).split(b"||")[0]

    async def stalled() -> AsyncIterator[bytes]:
        yield begin[:-20]
        await asyncio.sleep(5)
        yield b""

    async with world(tmp_path, body_idle=0.2) as here:
        answer = await send(here, stalled(), content_type=FORM)
        assert answer.status_code == 408
        assert await here.all() == []


LONG = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 2**31, b"WAVE", b"fmt ", 16, 1, 1, 10, 20, 2, 16, b"data", 2**31)


async def test_audio_that_is_too_long_by_its_header_or_its_sender_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path, max_received=100) as here:
        for body, name, status in (
            # 20 bytes a second.
            (LONG + bytes(2_200), NAME, 413),
            (LONG + bytes(1_900), NAME, 201),
            (b"x", f"{NAME}&duration_ms=100001", 413),
            (b"x", f"{NAME}&duration_ms=100000", 201),
            (b"y", f"{NAME}&duration_ms=long", 201),
        ):
            answer = await send(here, body, name)
            assert answer.status_code == status
            if status == 413:
                assert answer.json()["error"]["code"] == "TOO_LONG"
                assert "--max-received-hours" in answer.json()["error"]["message"]
        assert {found.state for found in await here.all()} == {State.FINALIZING}


async def test_the_parameters_of_an_upload(here: World) -> None:
    query = (
        "call_id=c1&from=+14155550123&to=sip:+4930123@pbx&direction=OUTBOUND&label=Sales&owner_id=o1"
        "&start=2024-03-12T21:23:52%2B01:00&caller_id_number=+14155550123&team=blue"
    )
    answer = await send(here, WAV, f"call_recording_c1.wav?{query}")
    assert "warnings" not in answer.json()
    found, _ = await stored(here)
    assert (found.from_.partition("@")[0], found.to) == ("+14155550123", "sip:+4930123@pbx")
    assert (found.caller_id_number, found.direction, found.label) == ("+14155550123", Direction.OUTBOUND, "Sales")
    assert (found.owner_id, found.start, found.custom_channel_vars["team"]) == ("o1", 1_710_275_032_000, "blue")
    assert found.origin.endswith(" : Sales")


async def test_a_value_that_cannot_be_used_is_named_in_the_response(here: World) -> None:
    values = f"start=yesterday&direction=sideways&duration_ms=3s&recording_id=7&label={'a' * 129}"
    answer = await send(here, WAV, f"{NAME}&{values}")
    assert answer.status_code == 201
    assert [text.partition(" ")[0] for text in answer.json()["warnings"]] == [
        "start='yesterday'",
        "direction='sideways'",
        "duration_ms='3s'",
        "recording_id='7'",
        "label",
    ]


@pytest.mark.parametrize(
    ("content_type", "name", "extension"),
    [
        ("audio/basic", "call_recording_c1", "ulaw"),
        ("audio/PCMU", "x.bin", "ulaw"),
        ("audio/PCMA;rate=8000", "call_recording_c1.dat", "alaw"),
        ("audio/G722", "", "g722"),
        ("audio/L16;rate=8000", "", "l168000"),
        ("audio/L16; rate=16000; channels=1", "", "l1616000"),
        ("audio/mpeg", "x.tmp", "mp3"),
        ("audio/wav", "rec.ulaw", "ulaw"),
        ("application/octet-stream", "x.sln16", "sln16"),
    ],
)
async def test_the_content_type_names_the_format_if_the_name_does_not(
    here: World, content_type: str, name: str, extension: str
) -> None:
    assert (await send(here, SAMPLES, f"{name}?call_id=c1", content_type=content_type)).status_code == 201
    found, _ = await stored(here)
    (path,) = (here.root / "spool" / found.id).glob("body.*")
    assert path.suffix == f".{extension}"
    assert found.name == f"call_recording_c1.{'l16' if extension.startswith('l16') else extension}"


async def test_the_part_of_a_form_names_the_format(here: World) -> None:
    part = ('name="file"; filename="blob"\r\nContent-Type: audio/PCMA', SAMPLES)
    assert (await send(here, form(part), "?call_id=c1", content_type=FORM)).status_code == 201
    found, _ = await stored(here)
    assert found.name == "call_recording_c1.alaw"
