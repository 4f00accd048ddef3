"""Streams whose messages the kernel gathers until the next common read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from adapters.recorders.embedded import EmbeddedRecorder, gathered_reads
from adapters.recorders.embedded.gathered_reads import GatheredReads, Reader
from recordings.model.events import Begun
from recordings.model.recording import EndCause
from tests.adapters.recorders.parts import FRAME, World, ends, take, tone, world
from tests.adapters.recorders.test_stream_sockets import Client, Streams, written

NEVER = 3_600.0


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[Reader]:
    """Collect the connections that the event loop does not read."""
    readers: list[Reader] = []
    add = GatheredReads.add

    def note(self: GatheredReads, file: int, reader: Reader) -> None:
        add(self, file, reader)
        readers.append(reader)

    monkeypatch.setattr(GatheredReads, "add", note)
    return readers


async def gathering(here: World, client: Client, added: list[Reader]) -> None:
    """Begin a take, and play until the event loop does not read the stream."""
    await client.begin()
    await here.recorder.start(take())
    await client.play(tone(5))
    await here.until(lambda: added)


def go_on(added: list[Reader], monkeypatch: pytest.MonkeyPatch) -> None:
    """Read in the usual period again."""
    monkeypatch.undo()
    reads = added[0].gathered_reads  # type: ignore[attr-defined]
    reads._read()


Act = Callable[[EmbeddedRecorder], Awaitable[object]]


@pytest.mark.parametrize("act", [lambda it: it.stop(take().recording_id), lambda it: it.close()], ids=["stop", "close"])
async def test_a_take_has_all_audio_that_arrived_before_its_end(
    here: World, added: list[Reader], monkeypatch: pytest.MonkeyPatch, act: Act
) -> None:
    monkeypatch.setattr(gathered_reads, "PERIOD", NEVER)
    async with Streams(here) as client:
        await gathering(here, client, added)
        await client.play(tone(5, 600))
        await act(here.recorder)
        assert here.track(take().recording_id) == tone(5) + tone(5, 600)
        go_on(added, monkeypatch)


async def test_a_take_begins_once_after_the_audio_that_arrived_before_it(
    here: World, added: list[Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathered_reads, "PERIOD", NEVER)
    async with Streams(here) as client:
        await gathering(here, client, added)
        await client.play(tone(5, 600))
        await here.recorder.start(take(2))
        opened, _ = here.recorder._takes[take(2).recording_id]
        timer = opened.timer
        await client.play(tone(5, 800))
        await here.recorder.stop(take(2).recording_id)
        assert here.track(take(2).recording_id) == tone(5, 800)
        begun = [
            each for each in here.said if each.recording_id == take(2).recording_id and isinstance(each.event, Begun)
        ]
        assert len(begun) == 1
        assert isinstance(timer, asyncio.TimerHandle)
        assert timer.cancelled()
        go_on(added, monkeypatch)


async def test_a_mask_begins_after_the_audio_that_arrived_before_it(
    here: World, added: list[Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathered_reads, "PERIOD", NEVER)
    async with Streams(here) as client:
        await gathering(here, client, added)
        await client.play(tone(5, 600))
        assert await here.recorder.mask(take().recording_id) == 200
        await client.play(tone(5, 800))
        await here.recorder.unmask(take().recording_id)
        await client.play(tone(5))
        await here.recorder.stop(take().recording_id)
        assert here.track(take().recording_id) == tone(5) + tone(5, 600) + b"\xff" * 5 * FRAME + tone(5)
        go_on(added, monkeypatch)


async def test_an_unusual_message_is_handled_between_the_usual_ones(here: World, added: list[Reader]) -> None:
    async with Streams(here) as client:
        await gathering(here, client, added)
        await client.play(tone(5, 600))
        await client.send(client.encoder.mark("hello"))
        await client.play(tone(5, 800))
        await client.send(client.encoder.stop())
        await here.until(lambda: ends(here.said))
        assert ends(here.said) == [("Ended", EndCause.HANGUP)]
        assert here.track(take().recording_id) == tone(5) + tone(5, 600) + tone(5, 800)


async def test_a_stream_that_is_faster_than_real_time_is_read_by_the_event_loop(
    here: World, added: list[Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.recorders.embedded.uvicorn_protocols.READ_SIZE", 1)
    async with Streams(here) as client:
        await client.begin()
        await here.recorder.start(take())
        await client.play(tone(20))
        assert await written(here, take().recording_id, 20 * FRAME) == tone(20)
        assert not added


async def test_each_connection_is_read_although_few_are_read_at_once(
    here: World, added: list[Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathered_reads, "AT_ONCE", 1)
    async with Streams(here) as client, Streams(here, "call-2") as other, Streams(here, "call-3") as third:
        await gathering(here, client, added)
        for number, each in ((2, other), (3, third)):
            await each.begin()
            await here.recorder.start(take(number, f"call-{number}"))
        for each in (client, other, third):
            await each.play(tone(20, 600))
        tracks = [partial(here.track, take(number).recording_id) for number in (1, 2, 3)]
        await here.until(lambda: all(track().endswith(tone(20, 600)) for track in tracks))


async def test_an_error_in_one_stream_ends_no_other(
    here: World, added: list[Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context["exception"]))
    error = ValueError("a fault of the decoder")

    def fail(_data: bytes) -> None:
        raise error

    async with Streams(here) as client, Streams(here, "call-2") as other:
        await gathering(here, client, added)
        await other.begin()
        await here.recorder.start(take(2, "call-2"))
        await other.play(tone(5))
        await here.until(lambda: len(added) == 2)
        monkeypatch.setattr(added[0], "data_received", fail)
        await client.play(tone(5, 600))
        await other.play(tone(5, 800))
        await here.until(lambda: here.track(take(2).recording_id).endswith(tone(5, 800)))
        assert reported == [error]
        await here.until(added[0].transport.is_closing)  # type: ignore[attr-defined]


async def test_a_stream_that_comes_back_at_once_continues_its_call(here: World, added: list[Reader]) -> None:
    async with Streams(here) as client, Streams(here) as again:
        await gathering(here, client, added)
        await client.play(tone(5, 600))
        client.socket.transport.abort()
        await again.begin()
        await again.play(tone(5, 800))
        await here.until(lambda: here.track(take().recording_id).endswith(tone(5, 800)))
