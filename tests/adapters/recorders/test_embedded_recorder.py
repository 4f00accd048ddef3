"""The embedded recorder with a real spool, and with timers that the test moves."""

import asyncio
import errno
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from adapters.recorders.embedded import EmbeddedRecorder, Limits
from adapters.recorders.embedded.embedded_recorder import CallIsLive
from adapters.recorders.embedded.live_call import LiveCall, StreamEnd
from adapters.recorders.embedded.spool_ports import TrackWriter
from adapters.spool import FolderSpool
from recordings.model.call import EMBEDDED
from recordings.model.events import Armed, Begun
from recordings.model.recording import EndCause
from recordings.ports.audio import Codec
from recordings.ports.recorder import Capability, Take, TakeEvent, TakeRefused
from recordings.use_cases.account_lists import FIRST_PAGE
from tests.adapters.recorders.parts import (
    ACCOUNT,
    FRAME,
    OTHER,
    HandTimers,
    Side,
    audio,
    causes,
    ends,
    eventually,
    listening,
    live_call,
    loudness,
    take,
    tone,
)
from tests.support.fake_clock import FakeClock


class RecorderHarness:
    """A recorder with everything that a test observes of it."""

    def __init__(self, root: Path, spool: Any = None, **limits: Any) -> None:
        self.root = root
        self.timers = HandTimers()
        self.spool = spool or FolderSpool(root)
        self.recorder = EmbeddedRecorder(
            spool=self.spool, clock=FakeClock(), limits=Limits(**limits), timers=self.timers
        )
        self.said: list[TakeEvent] = []
        self.stream_ends: list[StreamEnd] = []

    def open_call(self, call_id: str = "call-1") -> LiveCall:
        return self.recorder.open_call(live_call(call_id), self.stream_ends.append)

    def play(self, live: LiveCall, sound: bytes, at_ms: int = 0, side: Side = Side.INBOUND) -> int:
        """Send a sound in real time. Return the timestamp after it."""
        for start in range(0, len(sound), FRAME):
            assert self.recorder.receive_audio(live, audio(at_ms, sound[start : start + FRAME], side)) == 0
            at_ms += 20
            self.timers.advance(0.02)
        return at_ms

    def track(self, started: Take, name: str = "left") -> bytes:
        return (self.root / "spool" / started.recording_id / f"{name}.mulaw").read_bytes()

    async def until_said(self, count: int) -> list[tuple[str, str]]:
        async def look() -> bool:
            return len(self.said) >= count

        await eventually(look)
        return causes(self.said)


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[RecorderHarness]:
    made = RecorderHarness(tmp_path)
    async with listening(made.recorder, made.said):
        yield made


async def test_capabilities(harness: RecorderHarness) -> None:
    assert not harness.recorder.capabilities_of("pbx1")
    assert harness.recorder.capabilities_of(EMBEDDED) == {
        Capability.PAUSE,
        Capability.MASK,
        Capability.ON_ANSWER,
        Capability.ON_BRIDGE,
    }


async def test_calls_are_found_in_their_account_newest_first(harness: RecorderHarness) -> None:
    harness.open_call("one")
    harness.open_call("two")
    harness.recorder.open_call(live_call("one", OTHER), harness.stream_ends.append)
    assert [call.call_id for call in await harness.recorder.calls(ACCOUNT, FIRST_PAGE)] == ["two", "one"]
    assert await harness.recorder.count_calls(ACCOUNT) == 2
    assert await harness.recorder.find_call(ACCOUNT, "one") is not None
    assert await harness.recorder.find_call(OTHER, "two") is None


async def test_the_callback_is_called_when_calls_start_and_end(harness: RecorderHarness) -> None:
    seen: list[list[str]] = []
    harness.recorder.on_calls_changed(lambda: seen.append([call.call_id for call in harness.recorder.live_calls()]))
    first = harness.open_call("one")
    await harness.recorder.end_call(harness.open_call("two"), EndCause.HANGUP)
    for _ in range(2):
        await harness.recorder.end_call(first, EndCause.HANGUP)
    assert seen == [["one"], ["one", "two"], ["one"], []]


async def test_a_call_has_one_stream(harness: RecorderHarness) -> None:
    first = harness.open_call()
    with pytest.raises(CallIsLive):
        harness.open_call()
    await harness.recorder.end_call(first, EndCause.HANGUP)
    harness.open_call()


async def test_a_repeated_end_of_a_call_does_not_end_its_next_stream(harness: RecorderHarness) -> None:
    first = harness.open_call()
    await harness.recorder.end_call(first, EndCause.HANGUP)
    harness.open_call()
    await harness.recorder.end_call(first, EndCause.HANGUP)
    assert await harness.recorder.find_call(ACCOUNT, "call-1") is not None


async def test_a_take_contains_the_audio_received_while_it_is_open(harness: RecorderHarness) -> None:
    live, wanted = harness.open_call(), take()
    before, inside, after = tone(10, 300), tone(25, 440), tone(10, 700)
    now = harness.play(live, before)
    assert isinstance(await harness.recorder.start(wanted), Begun)
    assert await harness.recorder.is_open(wanted.recording_id)
    now = harness.play(live, inside, now)
    await harness.recorder.stop(wanted.recording_id)
    assert not await harness.recorder.is_open(wanted.recording_id)
    harness.play(live, after, now)
    assert harness.track(wanted) == inside
    assert await harness.until_said(2) == [("Begun", ""), ("Ended", EndCause.STOPPED)]


async def test_every_action_is_idempotent(harness: RecorderHarness) -> None:
    live, wanted = harness.open_call(), take()
    harness.play(live, tone(5))
    first = await harness.recorder.start(wanted)
    assert await harness.recorder.start(wanted) is first
    assert await harness.recorder.pause(wanted.recording_id) == await harness.recorder.pause(wanted.recording_id)
    await harness.recorder.resume(wanted.recording_id)
    await harness.recorder.resume(wanted.recording_id)
    assert await harness.recorder.mask(wanted.recording_id) == await harness.recorder.mask(wanted.recording_id)
    await harness.recorder.unmask(wanted.recording_id)
    await harness.recorder.unmask(wanted.recording_id)
    await asyncio.gather(*(harness.recorder.stop(wanted.recording_id) for _ in range(3)))
    await harness.recorder.stop(wanted.recording_id)
    assert await harness.until_said(2) == [("Begun", ""), ("Ended", EndCause.STOPPED)]


async def test_two_concurrent_starts_open_one_take(harness: RecorderHarness) -> None:
    live, wanted = harness.open_call(), take()
    one, two = await asyncio.gather(harness.recorder.start(wanted), harness.recorder.start(wanted))
    assert one is two
    sound = tone(3)
    harness.play(live, sound)
    await harness.recorder.stop(wanted.recording_id)
    assert harness.track(wanted) == sound


async def test_both_sides_have_a_track(harness: RecorderHarness) -> None:
    live, wanted = harness.open_call(), take()
    await harness.recorder.start(wanted)
    left, right = tone(20, 300), tone(20, 900)
    for number in range(20):
        part = slice(number * FRAME, (number + 1) * FRAME)
        harness.recorder.receive_audio(live, audio(number * 20, left[part], Side.INBOUND))
        harness.recorder.receive_audio(live, audio(number * 20, right[part], Side.OUTBOUND))
    await harness.recorder.stop(wanted.recording_id)
    assert (harness.track(wanted), harness.track(wanted, "right")) == (left, right)


async def test_gaps_are_silence_and_late_audio_is_written_at_its_timestamp(harness: RecorderHarness) -> None:
    live, wanted = harness.open_call(), take()
    await harness.recorder.start(wanted)
    sound = tone(1)
    for timestamp in (0, 40, 4_000, 20):
        harness.recorder.receive_audio(live, audio(timestamp, sound))
    await harness.recorder.stop(wanted.recording_id)
    heard = harness.track(wanted)
    assert heard[: 3 * FRAME] == sound * 3
    assert set(heard[3 * FRAME : 32_000]) == {0xFF}
    assert heard[32_000:] == sound


async def test_a_side_is_silent_until_its_first_frame(harness: RecorderHarness) -> None:
    live, wanted = harness.open_call(), take()
    await harness.recorder.start(wanted)
    now = harness.play(live, tone(500))
    harness.play(live, tone(1), now, Side.OUTBOUND)
    await harness.recorder.stop(wanted.recording_id)
    right = harness.track(wanted, "right")
    assert len(right) == 501 * FRAME
    assert set(right[: 500 * FRAME]) == {0xFF}


async def test_masked_audio_becomes_silence(harness: RecorderHarness) -> None:
    live, wanted = harness.open_call(), take()
    await harness.recorder.start(wanted)
    now = harness.play(live, tone(50))
    assert await harness.recorder.mask(wanted.recording_id) == 1_000
    now = harness.play(live, tone(25), now)
    await harness.recorder.unmask(wanted.recording_id)
    harness.play(live, tone(50), now)
    await harness.recorder.stop(wanted.recording_id)
    heard = harness.track(wanted)
    assert len(heard) == 125 * FRAME
    parts = heard[: 50 * FRAME], heard[50 * FRAME : 75 * FRAME], heard[75 * FRAME :]
    assert [round(loudness(part), -3) for part in parts] == [8_000, 0, 8_000]
    assert loudness(parts[1]) == 0


async def test_a_mask_in_a_silence_masks_audio_whose_timestamps_stood_still(harness: RecorderHarness) -> None:
    live, wanted, before, after = harness.open_call(), take(), tone(50), tone(50, 900)
    await harness.recorder.start(wanted)
    now = harness.play(live, before)
    harness.timers.advance(5)
    await harness.recorder.mask(wanted.recording_id)
    now = harness.play(live, tone(50), now)
    harness.timers.advance(5)
    await harness.recorder.unmask(wanted.recording_id)
    harness.play(live, after, now)
    await harness.recorder.stop(wanted.recording_id)
    heard = harness.track(wanted)
    assert heard.startswith(before)
    assert heard.endswith(after)
    assert loudness(heard.removeprefix(before).removesuffix(after)) == 0


async def test_a_take_that_begins_before_the_first_audio_has_all_of_it(harness: RecorderHarness) -> None:
    live, wanted, sound = harness.open_call(), take(), tone(50)
    harness.timers.advance(2)
    await harness.recorder.start(wanted)
    harness.timers.advance(1)
    # The timestamps count from the first audio.
    harness.play(live, sound)
    await harness.recorder.stop(wanted.recording_id)
    assert harness.track(wanted).endswith(sound)


async def test_a_mask_before_the_first_audio_masks_all_of_it(harness: RecorderHarness) -> None:
    live, wanted = harness.open_call(), take()
    await harness.recorder.start(wanted)
    harness.timers.advance(3)
    await harness.recorder.mask(wanted.recording_id)
    harness.timers.advance(1)
    now = harness.play(live, tone(50))
    await harness.recorder.unmask(wanted.recording_id)
    again = tone(50, 900)
    harness.play(live, again, now)
    await harness.recorder.stop(wanted.recording_id)
    heard = harness.track(wanted)
    assert heard.endswith(again)
    assert loudness(heard.removesuffix(again)) == 0


async def test_paused_audio_is_left_out(harness: RecorderHarness) -> None:
    live, wanted = harness.open_call(), take()
    await harness.recorder.start(wanted)
    said, secret, again = tone(50, 300), tone(25, 440), tone(50, 900)
    now = harness.play(live, said)
    assert await harness.recorder.pause(wanted.recording_id) == 1_000
    now = harness.play(live, secret, now)
    await harness.recorder.resume(wanted.recording_id)
    now = harness.play(live, again, now)
    assert await harness.recorder.mask(wanted.recording_id) == 2_000
    await harness.recorder.stop(wanted.recording_id)
    assert harness.track(wanted) == said + again


async def test_pause_and_mask_exclude_each_other(harness: RecorderHarness) -> None:
    harness.open_call()
    wanted = take()
    await harness.recorder.start(wanted)
    await harness.recorder.pause(wanted.recording_id)
    for act in (harness.recorder.mask, harness.recorder.unmask):
        with pytest.raises(TakeRefused):
            await act(wanted.recording_id)
    await harness.recorder.resume(wanted.recording_id)
    await harness.recorder.mask(wanted.recording_id)
    for act in (harness.recorder.pause, harness.recorder.resume):
        with pytest.raises(TakeRefused):
            await act(wanted.recording_id)


async def test_a_take_that_is_not_open_cannot_be_paused(harness: RecorderHarness) -> None:
    harness.open_call()
    armed = take(record_on_answer=True)
    await harness.recorder.start(armed)
    for identity in (armed.recording_id, "202611-unknown"):
        for act in (harness.recorder.pause, harness.recorder.resume, harness.recorder.mask, harness.recorder.unmask):
            with pytest.raises(TakeRefused):
                await act(identity)
    await harness.recorder.stop("202611-unknown")


async def test_on_answer_waits_for_the_first_frame(harness: RecorderHarness) -> None:
    live, wanted = harness.open_call(), take(record_on_answer=True, record_on_bridge=True)
    assert isinstance(await harness.recorder.start(wanted), Armed)
    assert isinstance(await harness.recorder.start(wanted), Armed)
    sound = tone(10)
    harness.play(live, sound, 2_000)
    assert await harness.until_said(1) == [("Begun", "")]
    await harness.recorder.stop(wanted.recording_id)
    assert harness.track(wanted) == sound


async def test_on_answer_begins_at_once_if_the_call_is_answered(harness: RecorderHarness) -> None:
    harness.play(harness.open_call(), tone(1))
    assert isinstance(await harness.recorder.start(take(record_on_answer=True)), Begun)


async def test_on_bridge_waits_for_both_sides(harness: RecorderHarness) -> None:
    live, wanted = harness.open_call(), take(record_on_bridge=True)
    assert isinstance(await harness.recorder.start(wanted), Armed)
    now = harness.play(live, tone(50))
    assert harness.said == []
    harness.play(live, tone(10, 900), now, Side.OUTBOUND)
    assert await harness.until_said(1) == [("Begun", "")]
    await harness.recorder.stop(wanted.recording_id)
    assert harness.track(wanted, "right") == tone(10, 900)
    assert harness.track(wanted) == b""


async def test_an_armed_take_that_never_begins_leaves_nothing(harness: RecorderHarness) -> None:
    live, wanted = harness.open_call(), take(record_on_answer=True)
    await harness.recorder.start(wanted)
    await harness.recorder.end_call(live, EndCause.HANGUP)
    assert await harness.until_said(1) == [("Ended", EndCause.HANGUP)]
    assert await harness.spool.ids() == []


async def test_time_limit_by_the_clock_includes_pauses(harness: RecorderHarness) -> None:
    live, wanted = harness.open_call(), take(time_limit=5)
    await harness.recorder.start(wanted)
    harness.play(live, tone(100))
    await harness.recorder.pause(wanted.recording_id)
    harness.timers.advance(2.9)
    assert await harness.recorder.is_open(wanted.recording_id)
    harness.timers.advance(0.2)
    assert await harness.until_said(2) == [("Begun", ""), ("Ended", EndCause.TIME_LIMIT)]
    assert len(harness.track(wanted)) == 100 * FRAME


async def test_time_limit_by_the_audio_is_exact_to_the_sample(harness: RecorderHarness) -> None:
    live, wanted = harness.open_call(), take(time_limit=5)
    await harness.recorder.start(wanted)
    for number in range(300):
        harness.recorder.receive_audio(live, audio(number * 20 + 10))
    assert await harness.until_said(2) == [("Begun", ""), ("Ended", EndCause.TIME_LIMIT)]
    assert len(harness.track(wanted)) == 5 * 8_000


async def test_the_limit_of_an_armed_take_counts_from_its_beginning(harness: RecorderHarness) -> None:
    live, wanted = harness.open_call(), take(time_limit=5, record_on_answer=True)
    await harness.recorder.start(wanted)
    harness.timers.advance(30)
    harness.play(live, tone(1), 30_000)
    harness.timers.advance(4)
    assert await harness.recorder.is_open(wanted.recording_id)


async def test_audio_with_a_timestamp_far_ahead_follows_the_last_audio(
    harness: RecorderHarness,
) -> None:
    live = harness.open_call()
    harness.recorder.receive_audio(live, audio(0))
    assert harness.recorder.receive_audio(live, audio(30_100)) == 0
    assert live.position(harness.timers.time()) == 2 * FRAME


async def test_a_timestamp_jump_that_matches_the_clock_is_accepted(harness: RecorderHarness) -> None:
    live = harness.open_call()
    harness.recorder.receive_audio(live, audio(0))
    harness.timers.advance(50)
    assert harness.recorder.receive_audio(live, audio(50_000)) == 0


async def test_faster_than_real_time_is_slowed_down(harness: RecorderHarness) -> None:
    live = harness.open_call()
    waits = [harness.recorder.receive_audio(live, audio(number * 20)) for number in range(1_502)]
    assert set(waits[:-1]) == {0}
    assert waits[-1] == pytest.approx(20.02)
    harness.timers.advance(waits[-1])
    assert harness.recorder.receive_audio(live, audio(30_040)) == 0


async def test_a_silent_stream_is_closed(harness: RecorderHarness) -> None:
    live = harness.open_call()
    harness.timers.advance(50)
    harness.play(live, tone(1), 50_000)
    harness.timers.advance(59.9)
    assert harness.stream_ends == []
    harness.timers.advance(0.2)
    assert [(end.cause, end.code) for end in harness.stream_ends] == [(EndCause.IDLE, 1008)]


async def test_a_stream_is_closed_at_the_maximum_call_length(tmp_path: Path) -> None:
    harness = RecorderHarness(tmp_path, max_call_seconds=100)
    live = harness.open_call()
    harness.play(live, tone(5_001))
    assert [(end.cause, end.code) for end in harness.stream_ends] == [(EndCause.HANGUP, 1008)]


@pytest.mark.parametrize("cause", [EndCause.HANGUP, EndCause.DISCONNECTED, EndCause.PROTOCOL_ERROR])
async def test_the_end_of_a_stream_ends_its_takes(harness: RecorderHarness, cause: EndCause) -> None:
    live, wanted = harness.open_call(), take()
    await harness.recorder.start(wanted)
    harness.play(live, tone(10))
    await harness.recorder.end_call(live, cause)
    assert await harness.recorder.find_call(ACCOUNT, "call-1") is None
    assert await harness.until_said(2) == [("Begun", ""), ("Ended", cause)]
    assert harness.track(wanted) == tone(10)
    with pytest.raises(TakeRefused):
        await harness.recorder.start(take(2))


async def test_shutdown_ends_everything_and_the_events(tmp_path: Path) -> None:
    harness = RecorderHarness(tmp_path)
    async with listening(harness.recorder, harness.said):
        lives = [harness.open_call(f"call-{number}") for number in range(3)]
        for number, live in enumerate(lives):
            await harness.recorder.start(take(number, f"call-{number}"))
            harness.play(live, tone(2))
    assert ends(harness.said) == [("Ended", EndCause.SHUTDOWN)] * 3
    assert [end.code for end in harness.stream_ends] == [1012] * 3
    assert await harness.recorder.calls(ACCOUNT, FIRST_PAGE) == []


class FullSpool(FolderSpool):
    """A spool whose disk is full after a number of writes."""

    def __init__(self, root: Path, writes: int) -> None:
        super().__init__(root)
        self.writes = writes
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def open_tracks(
        self, recording_id: str, codec: Codec, sample_rate: int, names: Sequence[str] = ("left", "right")
    ) -> Any:
        self.entered.set()
        await self.go_on.wait()
        if not self.writes:
            raise OSError(errno.ENOSPC, "no space left")
        return FullWriter(await super().open_tracks(recording_id, codec, sample_rate, names), self)


class FullWriter:
    def __init__(self, writer: TrackWriter, spool: FullSpool) -> None:
        self.writer, self.spool = writer, spool

    def write_at(self, track_index: int, offset_bytes: int, data: bytes | bytearray | memoryview) -> None:
        self.spool.writes -= 1
        if self.spool.writes < 0:
            raise OSError(errno.ENOSPC, "no space left")
        self.writer.write_at(track_index, offset_bytes, data)

    async def close(self, *, sync: bool = True) -> None:
        await self.writer.close(sync=sync)


async def test_a_full_disk_ends_the_take_and_not_the_call(tmp_path: Path) -> None:
    harness = RecorderHarness(tmp_path, FullSpool(tmp_path, 10))
    async with listening(harness.recorder, harness.said):
        live, wanted = harness.open_call(), take()
        await harness.recorder.start(wanted)
        harness.play(live, tone(20))
        assert await harness.until_said(2) == [("Begun", ""), ("Ended", EndCause.SPOOL_FULL)]
        assert harness.track(wanted) == tone(20)[: 10 * FRAME]
        assert await harness.recorder.find_call(ACCOUNT, "call-1") is not None


async def test_a_disk_that_is_full_at_the_end_of_a_read_ends_the_take_and_not_the_call(tmp_path: Path) -> None:
    harness = RecorderHarness(tmp_path, FullSpool(tmp_path, 1))
    async with listening(harness.recorder, harness.said):
        live, wanted = harness.open_call(), take()
        await harness.recorder.start(wanted)
        for first in (0, 3):
            for number in range(first, first + 3):
                harness.recorder.receive_audio(live, audio(number * 20), harness.timers.now)
            harness.recorder.flush(live)
        assert await harness.until_said(2) == [("Begun", ""), ("Ended", EndCause.SPOOL_FULL)]
        assert harness.track(wanted) == b"\x10" * 3 * FRAME
        assert await harness.recorder.find_call(ACCOUNT, "call-1") is not None


async def test_a_take_is_refused_if_its_files_cannot_be_opened(tmp_path: Path) -> None:
    harness = RecorderHarness(tmp_path, FullSpool(tmp_path, 0))
    harness.open_call()
    with pytest.raises(TakeRefused, match="disk"):
        await harness.recorder.start(take())


async def test_a_call_that_ends_while_a_take_opens_leaves_nothing(tmp_path: Path) -> None:
    spool = FullSpool(tmp_path, 10)
    harness = RecorderHarness(tmp_path, spool)
    spool.go_on.clear()
    live = harness.open_call()
    starting = asyncio.create_task(harness.recorder.start(take()))
    await spool.entered.wait()
    await harness.recorder.end_call(live, EndCause.HANGUP)
    spool.go_on.set()
    with pytest.raises(TakeRefused, match="ended"):
        await starting
    assert await spool.ids() == []


async def test_a_full_event_queue_delays_new_takes(tmp_path: Path) -> None:
    harness = RecorderHarness(tmp_path)
    # The arrival of the call waits in the queue, too.
    harness.recorder._events._max_waiting = 2
    harness.open_call()
    await harness.recorder.start(take(1))
    await harness.recorder.stop(take(1).recording_id)
    starting = asyncio.create_task(harness.recorder.start(take(2)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not starting.done()
    async with listening(harness.recorder, harness.said):
        assert isinstance(await starting, Begun)


async def test_a_full_event_queue_refuses_new_takes_after_a_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.recorders.embedded.embedded_recorder.EVENT_QUEUE_TIMEOUT", 0.05)
    harness = RecorderHarness(tmp_path)
    harness.recorder._events._has_space.clear()
    harness.open_call()
    with pytest.raises(TakeRefused, match="too many events"):
        await harness.recorder.start(take())
