"""Media streams against a real server, with an independent client and with clients that misbehave."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from streamdouble.api import call as streamdouble_call  # type: ignore[import-untyped]
from streamdouble.protocol import MediaStreamEncoder, StreamIdentity  # type: ignore[import-untyped]
from streamdouble.session import SessionConfig  # type: ignore[import-untyped]
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame

from adapters.recorders.embedded import WebSocketProtocol
from recordings.model.events import Begun
from recordings.model.recording import EndCause
from recordings.ports.recording_store import StoreUnavailableError
from tests.adapters.recorders.parts import (
    ACCOUNT,
    ADDRESS,
    FRAME,
    SECRET,
    World,
    ends,
    eventually,
    loudness,
    take,
    tone,
    world,
)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made


class Client:
    """A stream that the test controls message by message."""

    def __init__(self, here: World, socket: ClientConnection, call_id: str) -> None:
        self.here = here
        self.socket = socket
        self.encoder = MediaStreamEncoder(StreamIdentity(call_sid=call_id))

    async def send(self, *messages: dict[str, Any]) -> None:
        for message in messages:
            await self.socket.send(json.dumps(message))

    async def begin(self) -> "Client":
        await self.send(self.encoder.connected(), self.encoder.start(tracks=["inbound", "outbound"]))
        await eventually(lambda: self.here.recorder.find_call(ACCOUNT, self.encoder.identity.call_sid))
        return self

    async def play(self, sound: bytes, track: str = "inbound") -> None:
        for start in range(0, len(sound), FRAME):
            await self.send(self.encoder.media(sound[start : start + FRAME], track=track))

    async def closed(self) -> tuple[int, str]:
        """Return the code and the reason of the server's close frame."""
        with pytest.raises(ConnectionClosed) as gone:
            async with asyncio.timeout(10):
                await self.socket.recv()
        assert gone.value.rcvd is not None
        return gone.value.rcvd.code, gone.value.rcvd.reason


class Streams:
    """Opens a connection and closes it at the end of the test."""

    def __init__(self, here: World, call_id: str = "call-1") -> None:
        self.here = here
        self.call_id = call_id

    async def __aenter__(self) -> Client:
        self.connection = await connect(self.here.ws, compression=None)
        return Client(self.here, self.connection, self.call_id)

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()


async def written(here: World, recording_id: str, length: int, name: str = "left") -> bytes:
    """Wait until a track has this length, and return it."""
    await here.until(lambda: len(here.track(recording_id, name)) >= length)
    return here.track(recording_id, name)


async def test_an_independent_client_is_recorded_on_both_sides(here: World) -> None:
    caller, agent = tone(100, 440), tone(100, 880)
    frames = [[side[start : start + FRAME] for start in range(0, len(side), FRAME)] for side in (caller, agent)]
    config = SessionConfig(
        fork=True,
        tracks=["inbound", "outbound"],
        agent_frames=frames[1],
        custom_parameters={"call_id": "call-1", "from": "alice", "team": "blue"},
        response_timeout_s=0.1,
    )
    calling = asyncio.create_task(streamdouble_call(here.ws, frames=frames[0], config=config))
    wanted = take(record_on_answer=True)
    found = await eventually(lambda: here.recorder.find_call(ACCOUNT, "call-1"))
    await here.recorder.start(wanted)
    report = await calling
    assert report.violations == []
    assert (found.from_, found.custom_channel_vars["team"]) == ("alice", "blue")
    await here.until(lambda: ("Ended", EndCause.HANGUP) in ends(here.said))
    left, right = here.track(wanted.recording_id), here.track(wanted.recording_id, "right")
    # The take begins at its start request. From there it contains exactly the samples that were sent.
    assert len(left) > 80 * FRAME
    assert caller.endswith(left)
    assert agent.endswith(right)
    assert loudness(left) > 5_000


async def test_stop_ends_the_take_as_a_hang_up(here: World) -> None:
    async with Streams(here) as client:
        await client.begin()
        await here.recorder.start(take())
        await client.play(tone(5))
        await client.send(client.encoder.stop())
        assert (await client.closed())[0] == 1000
    await here.until(lambda: ends(here.said))
    assert ends(here.said) == [("Ended", EndCause.HANGUP)]
    assert here.track(take().recording_id) == tone(5)


async def test_a_broken_connection_keeps_the_received_audio(tmp_path: Path) -> None:
    async with world(tmp_path, reconnect=0.2) as here, Streams(here) as client:
        await client.begin()
        await here.recorder.start(take())
        await client.play(tone(5))
        await written(here, take().recording_id, 5 * FRAME)
        client.socket.transport.abort()
        await here.until(lambda: ends(here.said))
        assert ends(here.said) == [("Ended", EndCause.DISCONNECTED)]
        assert here.track(take().recording_id) == tone(5)
        assert await here.recorder.find_call(ACCOUNT, "call-1") is None


@pytest.mark.parametrize("way", ["abort", "close", "half open"])
async def test_a_call_that_reconnects_continues_its_recording(
    here: World, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr("adapters.recorders.embedded.embedded_recorder.STALE", 0.3)
    loop = asyncio.get_running_loop()
    async with Streams(here) as first, Streams(here) as second:
        await first.begin()
        await here.recorder.start(take())
        await first.play(tone(5))
        await first.play(tone(5, 880), "outbound")
        await written(here, take().recording_id, 5 * FRAME, "right")
        lost_at = loop.time()
        if way == "abort":
            first.socket.transport.abort()
        elif way == "close":
            await first.socket.close()
        await asyncio.sleep(0.5)
        assert await here.recorder.find_call(ACCOUNT, "call-1") is not None
        await second.send(second.encoder.connected(), second.encoder.start(tracks=["inbound", "outbound"]))
        await second.play(tone(5, 300))
        await second.play(tone(5, 600), "outbound")
        await written(here, take().recording_id, 30 * FRAME, "right")
        elapsed = loop.time() - lost_at
        await second.send(second.encoder.stop())
        assert (await second.closed())[0] == 1000
    await here.until(lambda: ends(here.said))
    left, right = here.track(take().recording_id), here.track(take().recording_id, "right")
    assert ends(here.said) == [("Ended", EndCause.HANGUP)]
    assert (left[: 5 * FRAME], right[: 5 * FRAME]) == (tone(5), tone(5, 880))
    assert (left[-5 * FRAME :], right[-5 * FRAME :]) == (tone(5, 300), tone(5, 600))
    assert len(left) == len(right)
    # The time without a connection is silence.
    assert set(left[5 * FRAME : -5 * FRAME]) == set(right[5 * FRAME : -5 * FRAME]) == {0xFF}
    assert 0.5 <= (len(left) - 5 * FRAME) / 8_000 <= elapsed + 0.5


async def test_a_call_that_reconnects_too_late_is_another_call(tmp_path: Path) -> None:
    async with world(tmp_path, reconnect=0.1) as here, Streams(here) as first, Streams(here) as second:
        await first.begin()
        await here.recorder.start(take())
        await first.play(tone(5))
        await first.socket.close()
        await here.until(lambda: ends(here.said))
        await second.begin()
        await second.play(tone(5, 300))
        await here.recorder.start(take(2))
        await second.play(tone(5, 600))
        assert await written(here, take(2).recording_id, 5 * FRAME) == tone(5, 600)
        assert here.track(take().recording_id) == tone(5)
        assert ends(here.said) == [("Ended", EndCause.DISCONNECTED)]


async def test_a_call_without_a_stream_can_be_recorded_and_stopped(here: World) -> None:
    async with Streams(here) as first, Streams(here) as second:
        await first.begin()
        await here.recorder.start(take())
        await first.play(tone(5))
        await written(here, take().recording_id, 5 * FRAME)
        await first.socket.close()
        await here.until(lambda: next(iter(here.recorder._live.values())).reconnect_timer)
        await here.recorder.start(take(2))
        await here.recorder.stop(take().recording_id)
        await second.send(second.encoder.connected(), second.encoder.start())
        await second.play(tone(5, 600))
        assert (await written(here, take(2).recording_id, 5 * FRAME)).endswith(tone(5, 600))
        assert here.track(take().recording_id) == tone(5)
        assert ends(here.said) == [("Ended", EndCause.STOPPED)]


async def test_a_shutdown_ends_a_call_that_waits_for_a_stream(tmp_path: Path) -> None:
    async with world(tmp_path) as here, Streams(here) as client:
        await client.begin()
        await here.recorder.start(take())
        await client.play(tone(5))
        await client.socket.close()
        await here.until(lambda: next(iter(here.recorder._live.values())).reconnect_timer)
        await here.recorder.close()
        await here.until(lambda: ends(here.said))
        assert ends(here.said) == [("Ended", EndCause.SHUTDOWN)]
        assert here.track(take().recording_id) == tone(5)


async def test_audio_is_written_without_a_task(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    queued: list[bytes] = []
    queue = WebSocketProtocol.handle_text

    def count(self: WebSocketProtocol, frame: Frame) -> None:
        queued.append(bytes(frame.data))
        queue(self, frame)

    monkeypatch.setattr(WebSocketProtocol, "handle_text", count)
    connection = await connect(here.ws, compression=None)
    client = await Client(here, connection, "call-1").begin()
    await here.recorder.start(take())
    await client.play(tone(50))
    await client.send(client.encoder.mark("hello"))
    await client.play(tone(50, 600))
    assert await written(here, take().recording_id, 100 * FRAME) == tone(50) + tone(50, 600)
    # The app gets the first messages, and the audio that arrived together with them.
    assert len([message for message in queued if b'"media"' in message]) < 60
    assert not [message for message in queued if b'"mark"' in message]
    await connection.close()


SPOILED = [
    '{"event":"media","media":{"track":"inbound","chunk":"1","timestamp":"100","payload":""}}',
    '{"event":"media","media":{"track":"inbound","timestamp":"100","payload":"!"}}',
    '{"event":"media","media":{"track":"both","timestamp":"100","payload":"AAAA"}}',
    '{"event":"media","media":null}',
    '{"event":"mark"}',
    '{"event":"mark","mark":null}',
    '{"event":"dtmf","dtmf":null}',
    '{"event":"connected"}',
    '{"event":"clear","streamSid":null}',
]


@pytest.mark.parametrize("message", SPOILED)
async def test_a_spoiled_message_does_not_end_a_take(here: World, message: str) -> None:
    async with Streams(here) as client:
        await client.begin()
        await here.recorder.start(take())
        await client.play(tone(5))
        await client.socket.send(message)
        await client.socket.send(message.encode())
        await client.play(tone(5, 600))
        assert await written(here, take().recording_id, 10 * FRAME) == tone(5) + tone(5, 600)
        assert ends(here.said) == []


async def test_a_stream_whose_timestamps_start_again_overwrites_nothing(here: World) -> None:
    async with Streams(here) as client:
        await client.begin()
        await here.recorder.start(take())
        await client.play(tone(50))
        await written(here, take().recording_id, 50 * FRAME)
        # A new encoder counts from 0 again. Its `start` message is not sent.
        client.encoder = MediaStreamEncoder(client.encoder.identity)
        client.encoder.connected()
        client.encoder.start()
        await client.play(tone(20, 600))
        left = await written(here, take().recording_id, 70 * FRAME)
        assert (left[: 50 * FRAME], left[-20 * FRAME :]) == (tone(50), tone(20, 600))
        client.encoder = MediaStreamEncoder(client.encoder.identity)
        await client.send(client.encoder.connected(), client.encoder.start())
        await client.play(tone(5, 300))
        left = await written(here, take().recording_id, len(left) + 5 * FRAME)
        assert (left[: 50 * FRAME], left[-5 * FRAME :]) == (tone(50), tone(5, 300))


@pytest.mark.parametrize(
    "garbage",
    ["{", "garbage", '{"start":{"callSid":"call-1"}}', b"\x00\x01"],
    ids=str,
)
async def test_garbage_ends_the_stream_and_keeps_the_received_audio(here: World, garbage: str | bytes) -> None:
    async with Streams(here) as client:
        await client.begin()
        await here.recorder.start(take())
        await client.play(tone(5))
        await client.socket.send(garbage)
        code, reason = await client.closed()
        assert code == 1007
        assert reason
    await here.until(lambda: ends(here.said))
    assert ends(here.said) == [("Ended", EndCause.PROTOCOL_ERROR)]
    assert here.track(take().recording_id) == tone(5)


async def test_a_message_too_big_for_the_server_ends_the_stream(here: World) -> None:
    async with Streams(here) as client:
        await client.begin()
        await here.recorder.start(take())
        await client.socket.send("x" * 70_000)
        assert (await client.closed())[0] == 1009
    await here.until(lambda: ends(here.said))
    assert ends(here.said)[0][0] == "Ended"


async def test_audio_with_a_timestamp_far_ahead_follows_the_last_audio(here: World) -> None:
    async with Streams(here) as client:
        await client.begin()
        await here.recorder.start(take())
        await client.play(tone(5))
        for _ in range(2_000):
            client.encoder.skip_frame()
        await client.play(tone(5, 600))
        left = await written(here, take().recording_id, 10 * FRAME)
        assert (left[: 5 * FRAME], left[-5 * FRAME :]) == (tone(5), tone(5, 600))
        assert len(left) < 60 * FRAME


async def test_a_second_stream_of_a_call_is_refused_and_the_first_stays_open(here: World) -> None:
    async with Streams(here) as first:
        await first.begin()
        await here.recorder.start(take())
        await first.play(tone(5))
        async with Streams(here) as second:
            await second.send(second.encoder.connected(), second.encoder.start())
            code, reason = await second.closed()
            assert (code, "call-1" in reason) == (1008, True)
        await first.play(tone(5))
        assert await written(here, take().recording_id, 10 * FRAME) == tone(5) * 2
    assert ends(here.said) in ([], [("Ended", EndCause.DISCONNECTED)])


async def test_the_number_of_streams_is_limited(tmp_path: Path) -> None:
    async with world(tmp_path, max_streams=1) as here:
        async with Streams(here, "a") as first:
            await first.begin()
            async with Streams(here, "b") as second:
                assert (await second.closed())[0] == 1013
        await here.until(lambda: not here.recorder._live)
        async with Streams(here, "b") as third:
            await third.begin()


async def test_an_account_cannot_take_all_streams(tmp_path: Path) -> None:
    async with world(tmp_path, max_streams=4, account_share=50) as here, Streams(here, "a") as first:
        await first.begin()
        async with Streams(here, "b") as second, Streams(here, "c") as third:
            await second.begin()
            code, reason = await third.closed()
            assert (code, "the account has 2 open streams" in reason) == (1013, True)


async def test_a_stream_must_send_soon_and_start_soon(tmp_path: Path) -> None:
    async with world(tmp_path, first_message=0.2, stream_start=0.6) as here:
        began = asyncio.get_running_loop().time()
        async with Streams(here) as silent:
            assert await silent.closed() == (1008, "no stream was started for 0.2 seconds")
        async with Streams(here) as client:
            await client.send(client.encoder.connected())
            code, _reason = await client.closed()
            assert code == 1008
        assert asyncio.get_running_loop().time() - began >= 0.8
        async with Streams(here) as client:
            await client.begin()
            await asyncio.sleep(0.8)
            await client.play(tone(1))
            assert [call.call_id for call in here.recorder.live_calls()] == ["call-1"]


@pytest.mark.parametrize("begun", [False, True])
async def test_a_silent_stream_is_closed(tmp_path: Path, begun: bool) -> None:
    async with world(tmp_path, stream_idle=0.3) as here, Streams(here) as client:
        if begun:
            await client.begin()
            await here.recorder.start(take())
        assert (await client.closed())[0] == 1008
        if begun:
            await here.until(lambda: ends(here.said))
            assert ends(here.said) == [("Ended", EndCause.IDLE)]


async def test_a_stream_is_closed_at_the_maximum_call_length(tmp_path: Path) -> None:
    async with world(tmp_path, max_call_seconds=0.5) as here, Streams(here) as client:
        await client.begin()
        await here.recorder.start(take())

        async def play() -> None:
            while True:
                await client.play(tone(1))
                await asyncio.sleep(0.02)

        playing = asyncio.create_task(play())
        assert (await client.closed())[0] == 1008
        with pytest.raises(ConnectionClosed):
            await playing
        await here.until(lambda: ends(here.said))
        assert ends(here.said) == [("Ended", EndCause.HANGUP)]


async def test_a_stream_ends_when_its_address_is_revoked(tmp_path: Path) -> None:
    async with world(tmp_path, revocation_check=0.05) as here, Streams(here) as client:
        await client.begin()
        await here.recorder.start(take())
        await client.play(tone(5))
        await written(here, take().recording_id, 5 * FRAME)
        here.accounts.revoked = True
        code, reason = await client.closed()
        assert (code, "revoked" in reason) == (1008, True)
        await here.until(lambda: ends(here.said))
        assert ends(here.said) == [("Ended", EndCause.HANGUP)]
        assert here.track(take().recording_id) == tone(5)


async def test_a_stream_continues_while_its_permission_cannot_be_checked(tmp_path: Path) -> None:
    with capture_logs() as lines:
        await _lose_permission_checks(tmp_path)
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["stream permission check failed"]


async def _lose_permission_checks(tmp_path: Path) -> None:
    async with world(tmp_path, revocation_check=0.02) as here, Streams(here) as client:
        await client.begin()
        await here.recorder.start(take())
        here.accounts.failing = [StoreUnavailableError("a fault", "for a test"), LookupError("another fault")]
        await here.until(lambda: not here.accounts.failing)
        await client.play(tone(5))
        assert await written(here, take().recording_id, 5 * FRAME) == tone(5)
        assert ends(here.said) == []


async def test_a_flood_is_read_no_faster_than_real_time(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with world(tmp_path, max_lead=1, resume_lead=0.5) as here, Streams(here) as client:
        # The server's clock for the call starts later than this one.
        started, lengths = loop.time(), []
        await client.begin()
        await here.recorder.start(take())
        flooding = asyncio.create_task(flood(client, 250))
        while loop.time() - started < 1.5:
            await asyncio.sleep(0.02)
            lengths.append((len(here.track(take().recording_id)) / 8_000, loop.time() - started))
        # 5 seconds of audio are sent at once. The server never reads further ahead of its clock than `max_lead`, and it
        # keeps reading.
        await flooding
        assert all(recorded <= elapsed + 1.1 for recorded, elapsed in lengths)
        assert 1.3 < lengths[-1][0] < 5
        client.socket.transport.abort()


async def flood(client: Client, frames: int) -> None:
    for _ in range(frames):
        await client.play(tone(1))
        await asyncio.sleep(0)


async def test_a_wrong_secret_is_rejected(here: World) -> None:
    for url in (here.ws.replace(SECRET, "0" * 64), here.ws.replace(ADDRESS, "0" * 32)):
        with pytest.raises(InvalidStatus) as refused:
            await connect(url)
        assert refused.value.response.status_code == 404


async def test_a_server_shutdown_ends_its_takes(tmp_path: Path) -> None:
    async with world(tmp_path) as here, Streams(here) as client:
        await client.begin()
        await here.recorder.start(take())
        await client.play(tone(5))
        await written(here, take().recording_id, 5 * FRAME)
        here.server.should_exit = True
        assert (await client.closed())[0] == 1012
        await here.until(lambda: ends(here.said))
        assert ends(here.said) == [("Ended", EndCause.SHUTDOWN)]


async def test_a_take_starts_and_stops_during_a_stream(here: World) -> None:
    async with Streams(here) as client:
        await client.begin()
        await client.play(tone(50, 300))
        await here.until(lambda: next(iter(here.recorder._live.values())).position(0) == 50 * FRAME)
        assert isinstance(await here.recorder.start(take()), Begun)
        await client.play(tone(20, 440))
        await client.play(tone(70, 880), "outbound")
        await written(here, take().recording_id, 20 * FRAME, "right")
        await here.recorder.stop(take().recording_id)
        await client.play(tone(10, 700))
        assert here.track(take().recording_id) == tone(20, 440)
        assert here.track(take().recording_id, "right") == tone(70, 880)[50 * FRAME :]
    await here.until(lambda: ends(here.said))
    assert ends(here.said) == [("Ended", EndCause.STOPPED)]
