"""Streams of all dialects against a real server: interruptions, wrong secrets, and clients that misbehave."""

import asyncio
import base64
import json
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from adapters.recorders.dialects.audiohook import PROBE
from adapters.recorders.dialects.audiohook_signature import client_secret
from adapters.recorders.embedded import audiosocket_calls, audiosocket_server
from recordings.model.events import Interrupted
from recordings.model.recording import EndCause, SpanKind
from tests.adapters.recorders.parts import ACCOUNT, ADDRESS, SECRET, World, ends, eventually, take, world
from tests.adapters.recorders.senders import (
    CALL,
    JAMBONZ,
    AudioHook,
    audiosocket_uuid,
    base64_credentials,
    frames,
    opened,
    ulaw,
)
from tests.adapters.recorders.test_audiohook import signed
from tests.adapters.recorders.test_dialect_calls import noise_ratio, stored_file, where

TAKE = take(call_id=CALL, record_on_answer=True)
START = json.dumps({**JAMBONZ, "callSid": CALL, "sampleRate": 8000, "mixType": "stereo"})
SECOND = 8_000
LOUD = np.full((SECOND, 2), 9_000, "<i2").tobytes()


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made


async def begin(here: World) -> None:
    await eventually(lambda: here.recorder.find_call(ACCOUNT, CALL))
    await here.recorder.start(TAKE)


def gaps(here: World) -> list[Interrupted]:
    return [each.event for each in here.said if isinstance(each.event, Interrupted)]


async def until_written(here: World, bytes_: int, name: str = "left.s16") -> bytes:
    path = here.root / "spool" / TAKE.recording_id / name
    await here.until(lambda: path.exists() and path.stat().st_size >= bytes_)
    return path.read_bytes()


async def test_a_reconnected_stream_without_timestamps_continues_the_recording(here: World) -> None:
    first = await opened(where(here), START)
    await begin(here)
    await first.send(LOUD)
    await until_written(here, 2 * SECOND)
    first.transport.abort()
    await asyncio.sleep(0.5)
    second = await opened(where(here), START)
    for at in range(0, len(LOUD), 640):
        await second.send(LOUD[at : at + 640])
    await second.close()
    await here.until(lambda: ends(here.said))
    left = np.frombuffer(await until_written(here, 4 * SECOND + SECOND // 2), "<i2")
    assert ends(here.said) == [("Ended", EndCause.HANGUP)]
    (gap,) = gaps(here)
    silent = np.flatnonzero(left == 0)
    assert (gap.kind, gap.at_ms) == (SpanKind.DISCONNECTED, 1_000)
    assert gap.duration_ms == pytest.approx(len(silent) / 8, abs=1)
    assert (silent[0], silent[-1]) == (SECOND, len(left) - SECOND - 1)


async def test_a_stream_that_returns_in_another_format_is_another_call(here: World) -> None:
    first = await opened(where(here), START)
    await begin(here)
    await first.send(LOUD)
    await until_written(here, 2 * SECOND)
    first.transport.abort()
    await here.until(lambda: next(iter(here.recorder._live.values())).reconnect_timer)
    second = await opened(where(here), START.replace("8000", "16000"))
    await here.until(lambda: ends(here.said))
    assert ends(here.said) == [("Ended", EndCause.DISCONNECTED)]
    await eventually(lambda: here.recorder.find_call(ACCOUNT, CALL))
    await here.recorder.start(take(2, CALL))
    await second.close()


async def test_the_log_names_the_parameters_of_a_stream_that_are_not_used(here: World) -> None:
    """A sender of a stream gets no response that could say so."""
    values = {"direction": "sideways", "record": "perhaps", "network": "offnet", "consent": "yes"}
    with capture_logs() as lines:
        stream = await opened(where(here), json.dumps({**json.loads(START), **values}))
        await begin(here)
        await stream.close()
    (found,) = [line for line in lines if line["event"] == "stream parameters not used"]
    assert (found["log_level"], found["call_id"]) == ("warning", CALL)
    assert found["values"] == [
        "direction='sideways': give inbound, outbound",
        "record='perhaps': give true, yes, 1, false, no, 0",
        "consent='yes': give given, refused",
    ]


async def test_a_sender_that_stops_for_a_while_leaves_a_gap(here: World) -> None:
    stream = await opened(where(here), START)
    await begin(here)
    await stream.send(LOUD[:3_200])
    await until_written(here, 1_600)
    await asyncio.sleep(0.5)
    for _ in range(3):
        await stream.send(LOUD[:640])
        await asyncio.sleep(0.02)
    await stream.close()
    await here.until(lambda: ends(here.said))
    left = np.frombuffer(await until_written(here, 1_600), "<i2")
    (gap,) = gaps(here)
    assert (gap.kind, gap.at_ms) == (SpanKind.GAP, 100)
    assert 400 < gap.duration_ms < 5_000
    assert np.count_nonzero(left == 0) == pytest.approx(8 * gap.duration_ms, abs=8)
    assert np.count_nonzero(left) == 800 + 3 * 160


async def test_a_killed_sender_leaves_its_audio(tmp_path: Path) -> None:
    async with world(tmp_path, reconnect=0.1) as here:
        uuid = await audiosocket_uuid(where(here))
        _, writer = await asyncio.open_connection(*here.audiosocket)
        part = np.full(800, 5, "<i2").tobytes()
        writer.write(b"\x01\x00\x10" + uuid + b"\x10\x00\x00")
        await writer.drain()
        await begin(here)
        # The last frame is not complete, and the connection is reset instead of closed.
        writer.write(b"\x10" + struct.pack(">H", len(part)) + part + b"\x10\x01\x40half")
        await writer.drain()
        await until_written(here, len(part))
        raw: Any = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        await here.until(lambda: ends(here.said))
        assert ends(here.said) == [("Ended", EndCause.DISCONNECTED)]
        assert await until_written(here, len(part)) == part


async def test_audio_before_an_invalid_frame_is_recorded(here: World) -> None:
    uuid, part = await audiosocket_uuid(where(here)), np.full(800, 5, "<i2").tobytes()
    reader, writer = await asyncio.open_connection(*here.audiosocket)
    writer.write(b"\x01\x00\x10" + uuid + b"\x10\x00\x00")
    await begin(here)
    # The frames arrive together. The last one has half a sample.
    writer.write(b"\x10" + struct.pack(">H", len(part)) + part + b"\x10\x00\x01x")
    await reader.read()
    await here.until(lambda: ends(here.said))
    assert ends(here.said) == [("Ended", EndCause.PROTOCOL_ERROR)]
    assert await until_written(here, len(part)) == part
    writer.close()


# Genesys AudioHook


async def test_pauses_and_discarded_audio_of_audiohook_are_spans(here: World) -> None:
    session = AudioHook(await opened(where(here)))
    await session.open()
    await begin(here)
    sound = [np.full(SECOND, 9_000, np.int16)] * 2
    await session.play(sound)
    await session.say("paused", position="PT1S")
    await session.say("resumed", {"start": "PT1S", "discarded": "PT2S"}, "PT3S")
    await session.play(sound)
    await session.say("discarded", {"start": "PT4S", "discarded": "PT0.5S"}, "PT4.5S")
    await session.play(sound)
    await session.close()
    await here.until(lambda: ends(here.said))
    assert [(gap.kind, gap.at_ms, gap.duration_ms) for gap in gaps(here)] == [
        (SpanKind.SENDER_PAUSED, 1_000, 2_000),
        (SpanKind.SENDER_DISCARDED, 4_000, 500),
    ]
    left = np.frombuffer(await until_written(here, 0, "left.mulaw"), np.uint8)
    assert len(left) == 5 * SECOND + SECOND // 2
    assert list(np.unique(left[SECOND : 3 * SECOND])) == [0xFF]


@pytest.mark.parametrize("order", ["close first", "open first"])
async def test_a_continued_session_of_audiohook_continues_the_recording(here: World, order: str) -> None:
    first, second = AudioHook(await opened(where(here))), AudioHook(await opened(where(here)))
    await first.open()
    await begin(here)
    sound = [np.full(SECOND, 9_000, np.int16)] * 2
    await first.play(sound)
    await until_written(here, SECOND, "left.mulaw")
    continued: dict[str, Any] = {"continuedSessions": [{"id": first.id, "serverseq": 1, "clientseq": 1}]}
    if order == "close first":
        await first.close("reconnect")
        await second.open(**continued)
    else:
        await second.open(**continued)
        with pytest.raises(ConnectionClosed) as closed:
            await first.socket.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "another stream continues this call")
    await second.play(sound)
    await second.close()
    await here.until(lambda: ends(here.said))
    assert ends(here.said) == [("Ended", EndCause.HANGUP)]
    assert len(await until_written(here, 2 * SECOND, "left.mulaw")) >= 2 * SECOND


async def test_a_connection_probe_of_audiohook_starts_no_call(here: World) -> None:
    session = AudioHook(await opened(where(here)))
    assert (await session.open(PROBE))["type"] == "opened"
    await session.socket.send(b"")
    await session.say("ping")
    assert (await session.hear())["type"] == "pong"
    assert list(here.recorder.live_calls()) == []
    await session.close()
    assert await here.all() == []


async def test_a_paused_sender_is_not_idle(tmp_path: Path) -> None:
    async with world(tmp_path, stream_idle=0.2) as here:
        session = AudioHook(await opened(where(here)))
        await session.open()
        await begin(here)
        await session.say("paused")
        await asyncio.sleep(0.6)
        await session.say("ping")
        assert (await session.hear())["type"] == "pong"
        await session.close()


async def test_the_signature_is_checked_before_the_upgrade(here: World) -> None:
    # The signature itself, its age and its parts are tested in `test_audiohook.py`.
    assert client_secret(SECRET)
    headers = {name: value for name, value in signed().items() if name != "host"}
    with pytest.raises(InvalidStatus) as refused:
        await connect(here.ws, additional_headers=headers, proxy=None)
    assert refused.value.response.status_code == 401
    assert SECRET.encode() not in (refused.value.response.body or b"")
    unsigned = {"audiohook-session-id": "x", "x-api-key": ADDRESS}
    async with connect(here.ws, additional_headers=unsigned, proxy=None):
        pass


# AudioSocket


async def refused(here: World, first: bytes) -> bool:
    """Return true if the server closes a connection without a word, and has no call."""
    reader, writer = await asyncio.open_connection(*here.audiosocket)
    try:
        writer.write(first)
        async with asyncio.timeout(10):
            said = await reader.read()
    except ConnectionError:
        said = b""
    finally:
        writer.close()
    return said == b"" and not here.recorder.live_calls()


async def test_a_uuid_works_once_and_only_in_time(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    uuid = await audiosocket_uuid(where(here))
    assert await refused(here, b"\x01\x00\x10" + bytes(16))
    assert await refused(here, b"GET / HTTP/1.1\r\n\r\n")
    _, writer = await asyncio.open_connection(*here.audiosocket)
    writer.write(b"\x01\x00\x10" + uuid + b"\x10\x00\x00")
    await eventually(lambda: here.recorder.find_call(ACCOUNT, CALL))
    writer.close()
    await here.until(lambda: not here.recorder.live_calls())
    assert await refused(here, b"\x01\x00\x10" + uuid + b"\x10\x00\x00")
    monkeypatch.setattr(audiosocket_calls, "LIFETIME", 0)
    assert await refused(here, b"\x01\x00\x10" + await audiosocket_uuid(where(here)))


async def test_a_connection_that_says_nothing_is_closed(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audiosocket_server, "FIRST_FRAME", 0.1)
    assert await refused(here, b"\x01\x00")


async def test_a_revoked_address_has_no_audiosocket_calls(here: World) -> None:
    uuid = await audiosocket_uuid(where(here))
    here.accounts.revoked = True
    assert await refused(here, b"\x01\x00\x10" + uuid + b"\x10\x00\x00")


async def test_the_request_for_a_uuid(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:

        async def post(url: str, **given: Any) -> httpx.Response:
            return await client.post(url, **given)

        form = await post(f"{here.http}/audiosocket", data={"call_id": CALL, "from": " 15550001"})
        assert (form.status_code, set(form.json())) == (200, {"uuid"})
        assert (await post(f"{here.http}/audiosocket")).status_code == 400
        assert (await post(f"{here.http}/audiosocket?call_id=" + "x" * 129)).status_code == 400
        assert (await post(f"{here.http}/audiosocket", content=b"x" * 20_000)).status_code == 400
        assert (await post(f"{here.http[:-4]}/audiosocket?call_id=x")).status_code == 404
        monkeypatch.setattr(audiosocket_calls, "MAX_PENDING", 1)
        assert (await post(f"{here.http}/audiosocket?call_id=x")).status_code == 503
    _, writer = await asyncio.open_connection(*here.audiosocket)
    writer.write(b"\x01\x00\x10" + bytes.fromhex(form.json()["uuid"].replace("-", "")) + b"\x12\x00\x00")
    call = await eventually(lambda: here.recorder.find_call(ACCOUNT, CALL))
    assert call.from_ == "+15550001"
    writer.close()


# The address


async def test_basic_authentication_takes_the_place_of_the_path(here: World) -> None:
    url = f"ws://127.0.0.1:{here.port}/ingest/ws"
    for path in ("", "/record/aws_s3"):
        async with connect(
            f"{url}{path}", additional_headers=base64_credentials(ADDRESS, SECRET), proxy=None
        ) as stream:
            await stream.send(START)
            await eventually(lambda: here.recorder.find_call(ACCOUNT, CALL))
        await here.until(lambda: not here.recorder.live_calls())
    for headers in (base64_credentials(ADDRESS, "wrong"), {"Authorization": "Basic !"}, {}):
        with pytest.raises(InvalidStatus) as refusal:
            await connect(url, additional_headers=headers, proxy=None)
        assert refusal.value.response.status_code == 401


@pytest.mark.parametrize(
    ("query", "first"), [("", b"\x00" * 320), ("", "hello"), ("", '{"kind":"AudioMetadata"}'), ("?dialect=fax", "")]
)
async def test_an_unknown_dialect_is_closed_with_a_reason(here: World, query: str, first: str | bytes) -> None:
    stream = await opened(where(here), query=query)
    with suppress(ConnectionClosed):
        # The server may have closed the stream already.
        await stream.send(first)
    with pytest.raises(ConnectionClosed) as closed:
        await stream.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1003
    assert closed.value.rcvd.reason
    assert list(here.recorder.live_calls()) == []


@pytest.mark.parametrize(("direction", "left"), [("inbound", "inbound"), ("outbound-api", "outbound"), ("", "inbound")])
async def test_the_caller_is_left_also_on_an_outbound_leg(here: World, direction: str, left: str) -> None:
    parameters = {"call_id": CALL, "direction": direction}
    start = {"event": "start", "start": {"streamSid": "S", "callSid": "x", "customParameters": parameters}}
    stream = await opened(where(here), json.dumps(start))
    await begin(here)
    for track, payload in (("inbound", "AQEBAQ=="), ("outbound", "AgICAg==")):
        media = {"track": track, "timestamp": "0", "payload": payload}
        await stream.send(json.dumps({"event": "media", "media": media}))
    await stream.send('{"event":"stop"}')
    await here.until(lambda: ends(here.said))
    found = await until_written(here, 4, "left.mulaw")
    assert found == (b"\1\1\1\1" if left == "inbound" else b"\2\2\2\2")


# Codecs


def encode(codec: str, rate: int, sound: np.ndarray[Any, Any]) -> list[bytes]:
    """Return the packets of 20 ms that FFmpeg makes."""
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", "s16"
    packets: list[bytes] = []
    for part in frames(sound, rate):
        frame = av.AudioFrame.from_ndarray(part.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = rate
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets


def played(packets: Sequence[bytes]) -> list[str]:
    return [
        json.dumps(
            {
                "event": "media",
                "stream_id": "S",
                "media": {
                    "track": track,
                    "timestamp": str(20 * number),
                    "payload": base64.b64encode(packet).decode(),
                },
            }
        )
        for number, packet in enumerate(packets)
        for track in ("inbound", "outbound")
    ]


@pytest.mark.parametrize(
    ("name", "codec", "rate", "least"),
    [("PCMA", "pcm_alaw", 8_000, 30), ("G722", "g722", 16_000, 30), ("OPUS", "libopus", 48_000, 10)],
)
async def test_the_codecs_of_telnyx_are_stored_at_their_rate(
    here: World, tmp_path: Path, name: str, codec: str, rate: int, least: float
) -> None:
    media_format = {"encoding": name, "sample_rate": 8_000}
    start = {"call_control_id": CALL, "media_format": media_format}
    stream = await opened(where(here), json.dumps({"event": "start", "stream_id": "S", "start": start}))
    await begin(here)
    instants = np.arange(2 * rate) / rate
    sound = np.round(8_000 * np.sin(2 * np.pi * 440 * instants)).astype(np.int16)
    packets = encode(codec, rate, sound)
    for message in played(packets):
        await stream.send(message)
    await stream.send('{"event":"stop"}')
    await here.until(lambda: ends(here.said))
    found_rate, found = await stored_file(here, tmp_path)
    assert found_rate == rate
    assert found.shape[1] == pytest.approx(2 * rate, abs=rate // 25)
    assert np.array_equal(found[0], found[1])
    # The codecs have a delay: look for the shift with the least noise, in the middle of the call.
    middle = sound[rate // 2 : rate]
    shifts = range(-rate // 50, rate // 50)
    assert max(noise_ratio(middle, found[0][rate // 2 + shift : rate + shift]) for shift in shifts) > least
    assert ulaw(sound)
