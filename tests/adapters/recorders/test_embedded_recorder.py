"""The embedded recorder on a real spool, with time that the test moves."""

import asyncio
import errno
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from adapters.recorders.dialects.media_streams import ProtocolError, Side
from adapters.recorders.embedded import EmbeddedRecorder, Limits
from adapters.recorders.embedded.embedded_recorder import CallIsLive
from adapters.recorders.embedded.live_call import LiveCall, Verdict
from adapters.recorders.embedded.spool_ports import TrackWriter
from adapters.spool import FolderSpool
from recordings.model.events import Armed, Begun
from recordings.model.recording import EndCause
from recordings.ports.audio import Codec
from recordings.ports.recorder import Capability, Take, TakeEvent, TakeRefused
from tests.adapters.recorders.parts import (
    ACCOUNT,
    FRAME,
    OTHER,
    HandTimers,
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
from tests.support.fake_clock import StillClock


class WorkerProcess:
    """A recorder, a call, and everything that can be seen of them."""

    def __init__(self, root: Path, spool: Any = None, **limits: Any) -> None:
        self.root = root
        self.timers = HandTimers()
        self.spool = spool or FolderSpool(root)
        self.recorder = EmbeddedRecorder(
            spool=self.spool, clock=StillClock(), limits=Limits(**limits), timers=self.timers
        )
        self.said: list[TakeEvent] = []
        self.verdicts: list[Verdict] = []

    def answer(self, call_id: str = "call-1") -> LiveCall:
        return self.recorder.answer(live_call(call_id), self.verdicts.append)

    def play(self, live: LiveCall, sound: bytes, at_ms: int = 0, side: Side = Side.INBOUND) -> int:
        """Send a sound in real time; the timestamp after it."""
        for start in range(0, len(sound), FRAME):
            assert self.recorder.hear(live, audio(at_ms, sound[start : start + FRAME], side)) == 0
            at_ms += 20
            self.timers.pass_by(0.02)
        return at_ms

    def track(self, started: Take, name: str = "left") -> bytes:
        return (self.root / "spool" / started.recording_id / f"{name}.mulaw").read_bytes()

    async def until_said(self, count: int) -> list[tuple[str, str]]:
        async def look() -> bool:
            return len(self.said) >= count

        await eventually(look)
        return causes(self.said)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[WorkerProcess]:
    made = WorkerProcess(tmp_path)
    async with listening(made.recorder, made.said):
        yield made


async def test_it_says_what_it_can_do(bench: WorkerProcess) -> None:
    assert bench.recorder.name == "embedded"
    assert bench.recorder.capabilities == {
        Capability.PAUSE,
        Capability.MASK,
        Capability.ON_ANSWER,
        Capability.ON_BRIDGE,
    }


async def test_calls_are_found_in_their_account_newest_first(bench: WorkerProcess) -> None:
    bench.answer("one")
    bench.answer("two")
    bench.recorder.answer(live_call("one", OTHER), bench.verdicts.append)
    assert [call.call_id for call in await bench.recorder.calls(ACCOUNT)] == ["two", "one"]
    assert len(await bench.recorder.calls(ACCOUNT, limit=1)) == 1
    assert await bench.recorder.find_call(ACCOUNT, "one") is not None
    assert await bench.recorder.find_call(OTHER, "two") is None


async def test_whoever_watches_hears_that_calls_come_and_go(bench: WorkerProcess) -> None:
    seen: list[list[str]] = []
    bench.recorder.watch(lambda: seen.append([call.call_id for call in bench.recorder.live_calls()]))
    first = bench.answer("one")
    await bench.recorder.hang_up(bench.answer("two"), EndCause.HANGUP)
    for _ in range(2):
        await bench.recorder.hang_up(first, EndCause.HANGUP)
    assert seen == [["one"], ["one", "two"], ["one"], []]


async def test_a_call_has_one_stream(bench: WorkerProcess) -> None:
    first = bench.answer()
    with pytest.raises(CallIsLive):
        bench.answer()
    await bench.recorder.hang_up(first, EndCause.HANGUP)
    bench.answer()


async def test_an_end_that_is_said_twice_does_not_end_the_next_stream(bench: WorkerProcess) -> None:
    first = bench.answer()
    await bench.recorder.hang_up(first, EndCause.HANGUP)
    bench.answer()
    await bench.recorder.hang_up(first, EndCause.HANGUP)
    assert await bench.recorder.find_call(ACCOUNT, "call-1") is not None


async def test_a_take_has_what_was_said_while_it_was_open(bench: WorkerProcess) -> None:
    live, wanted = bench.answer(), take()
    before, inside, after = tone(10, 300), tone(25, 440), tone(10, 700)
    now = bench.play(live, before)
    assert isinstance(await bench.recorder.start(wanted), Begun)
    assert await bench.recorder.is_open(wanted.recording_id)
    now = bench.play(live, inside, now)
    await bench.recorder.stop(wanted.recording_id)
    assert not await bench.recorder.is_open(wanted.recording_id)
    bench.play(live, after, now)
    assert bench.track(wanted) == inside
    assert await bench.until_said(2) == [("Begun", ""), ("Ended", EndCause.STOPPED)]


async def test_every_action_is_idempotent(bench: WorkerProcess) -> None:
    live, wanted = bench.answer(), take()
    bench.play(live, tone(5))
    first = await bench.recorder.start(wanted)
    assert await bench.recorder.start(wanted) is first
    assert await bench.recorder.pause(wanted.recording_id) == await bench.recorder.pause(wanted.recording_id)
    await bench.recorder.resume(wanted.recording_id)
    await bench.recorder.resume(wanted.recording_id)
    assert await bench.recorder.mask(wanted.recording_id) == await bench.recorder.mask(wanted.recording_id)
    await bench.recorder.unmask(wanted.recording_id)
    await bench.recorder.unmask(wanted.recording_id)
    await asyncio.gather(*(bench.recorder.stop(wanted.recording_id) for _ in range(3)))
    await bench.recorder.stop(wanted.recording_id)
    assert await bench.until_said(2) == [("Begun", ""), ("Ended", EndCause.STOPPED)]


async def test_two_starts_at_once_are_one_take(bench: WorkerProcess) -> None:
    live, wanted = bench.answer(), take()
    one, two = await asyncio.gather(bench.recorder.start(wanted), bench.recorder.start(wanted))
    assert one is two
    sound = tone(3)
    bench.play(live, sound)
    await bench.recorder.stop(wanted.recording_id)
    assert bench.track(wanted) == sound


async def test_both_sides_have_a_track(bench: WorkerProcess) -> None:
    live, wanted = bench.answer(), take()
    await bench.recorder.start(wanted)
    left, right = tone(20, 300), tone(20, 900)
    for number in range(20):
        part = slice(number * FRAME, (number + 1) * FRAME)
        bench.recorder.hear(live, audio(number * 20, left[part], Side.INBOUND))
        bench.recorder.hear(live, audio(number * 20, right[part], Side.OUTBOUND))
    await bench.recorder.stop(wanted.recording_id)
    assert (bench.track(wanted), bench.track(wanted, "right")) == (left, right)


async def test_gaps_are_silence_and_late_audio_finds_its_place(bench: WorkerProcess) -> None:
    live, wanted = bench.answer(), take()
    await bench.recorder.start(wanted)
    sound = tone(1)
    for timestamp in (0, 40, 4_000, 20):
        bench.recorder.hear(live, audio(timestamp, sound))
    await bench.recorder.stop(wanted.recording_id)
    heard = bench.track(wanted)
    assert heard[: 3 * FRAME] == sound * 3
    assert set(heard[3 * FRAME : 32_000]) == {0xFF}
    assert heard[32_000:] == sound


async def test_a_side_that_speaks_late_is_silent_until_then(bench: WorkerProcess) -> None:
    live, wanted = bench.answer(), take()
    await bench.recorder.start(wanted)
    now = bench.play(live, tone(500))
    bench.play(live, tone(1), now, Side.OUTBOUND)
    await bench.recorder.stop(wanted.recording_id)
    right = bench.track(wanted, "right")
    assert len(right) == 501 * FRAME
    assert set(right[: 500 * FRAME]) == {0xFF}


async def test_masked_is_silence_in_place(bench: WorkerProcess) -> None:
    live, wanted = bench.answer(), take()
    await bench.recorder.start(wanted)
    now = bench.play(live, tone(50))
    assert await bench.recorder.mask(wanted.recording_id) == 1_000
    now = bench.play(live, tone(25), now)
    await bench.recorder.unmask(wanted.recording_id)
    bench.play(live, tone(50), now)
    await bench.recorder.stop(wanted.recording_id)
    heard = bench.track(wanted)
    assert len(heard) == 125 * FRAME
    parts = heard[: 50 * FRAME], heard[50 * FRAME : 75 * FRAME], heard[75 * FRAME :]
    assert [round(loudness(part), -3) for part in parts] == [8_000, 0, 8_000]
    assert loudness(parts[1]) == 0


async def test_paused_is_cut_out(bench: WorkerProcess) -> None:
    live, wanted = bench.answer(), take()
    await bench.recorder.start(wanted)
    said, secret, again = tone(50, 300), tone(25, 440), tone(50, 900)
    now = bench.play(live, said)
    assert await bench.recorder.pause(wanted.recording_id) == 1_000
    now = bench.play(live, secret, now)
    await bench.recorder.resume(wanted.recording_id)
    now = bench.play(live, again, now)
    assert await bench.recorder.mask(wanted.recording_id) == 2_000
    await bench.recorder.stop(wanted.recording_id)
    assert bench.track(wanted) == said + again


async def test_a_pause_excludes_a_mask_and_the_other_way_round(bench: WorkerProcess) -> None:
    bench.answer()
    wanted = take()
    await bench.recorder.start(wanted)
    await bench.recorder.pause(wanted.recording_id)
    for act in (bench.recorder.mask, bench.recorder.unmask):
        with pytest.raises(TakeRefused):
            await act(wanted.recording_id)
    await bench.recorder.resume(wanted.recording_id)
    await bench.recorder.mask(wanted.recording_id)
    for act in (bench.recorder.pause, bench.recorder.resume):
        with pytest.raises(TakeRefused):
            await act(wanted.recording_id)


async def test_what_is_not_open_cannot_be_paused(bench: WorkerProcess) -> None:
    bench.answer()
    armed = take(record_on_answer=True)
    await bench.recorder.start(armed)
    for identity in (armed.recording_id, "202611-unknown"):
        for act in (bench.recorder.pause, bench.recorder.resume, bench.recorder.mask, bench.recorder.unmask):
            with pytest.raises(TakeRefused):
                await act(identity)
    await bench.recorder.stop("202611-unknown")


async def test_on_answer_waits_for_the_first_frame(bench: WorkerProcess) -> None:
    live, wanted = bench.answer(), take(record_on_answer=True, record_on_bridge=True)
    assert isinstance(await bench.recorder.start(wanted), Armed)
    assert isinstance(await bench.recorder.start(wanted), Armed)
    sound = tone(10)
    bench.play(live, sound, 2_000)
    assert await bench.until_said(1) == [("Begun", "")]
    await bench.recorder.stop(wanted.recording_id)
    assert bench.track(wanted) == sound


async def test_on_answer_of_an_answered_call_begins_at_once(bench: WorkerProcess) -> None:
    bench.play(bench.answer(), tone(1))
    assert isinstance(await bench.recorder.start(take(record_on_answer=True)), Begun)


async def test_on_bridge_waits_for_both_sides(bench: WorkerProcess) -> None:
    live, wanted = bench.answer(), take(record_on_bridge=True)
    assert isinstance(await bench.recorder.start(wanted), Armed)
    now = bench.play(live, tone(50))
    assert bench.said == []
    bench.play(live, tone(10, 900), now, Side.OUTBOUND)
    assert await bench.until_said(1) == [("Begun", "")]
    await bench.recorder.stop(wanted.recording_id)
    assert bench.track(wanted, "right") == tone(10, 900)
    assert bench.track(wanted) == b""


async def test_an_armed_take_that_never_begins_leaves_nothing(bench: WorkerProcess) -> None:
    live, wanted = bench.answer(), take(record_on_answer=True)
    await bench.recorder.start(wanted)
    await bench.recorder.hang_up(live, EndCause.HANGUP)
    assert await bench.until_said(1) == [("Ended", EndCause.HANGUP)]
    assert await bench.spool.ids() == []


async def test_time_limit_by_the_clock_pauses_included(bench: WorkerProcess) -> None:
    live, wanted = bench.answer(), take(time_limit=5)
    await bench.recorder.start(wanted)
    bench.play(live, tone(100))
    await bench.recorder.pause(wanted.recording_id)
    bench.timers.pass_by(2.9)
    assert await bench.recorder.is_open(wanted.recording_id)
    bench.timers.pass_by(0.2)
    assert await bench.until_said(2) == [("Begun", ""), ("Ended", EndCause.TIME_LIMIT)]
    assert len(bench.track(wanted)) == 100 * FRAME


async def test_time_limit_by_the_audio_to_the_sample(bench: WorkerProcess) -> None:
    live, wanted = bench.answer(), take(time_limit=5)
    await bench.recorder.start(wanted)
    for number in range(300):
        bench.recorder.hear(live, audio(number * 20 + 10))
    assert await bench.until_said(2) == [("Begun", ""), ("Ended", EndCause.TIME_LIMIT)]
    assert len(bench.track(wanted)) == 5 * 8_000


async def test_the_limit_of_an_armed_take_counts_from_its_beginning(bench: WorkerProcess) -> None:
    live, wanted = bench.answer(), take(time_limit=5, record_on_answer=True)
    await bench.recorder.start(wanted)
    bench.timers.pass_by(30)
    bench.play(live, tone(1), 30_000)
    bench.timers.pass_by(4)
    assert await bench.recorder.is_open(wanted.recording_id)


async def test_a_leap_ahead_of_clock_and_audio_is_an_error(bench: WorkerProcess) -> None:
    live = bench.answer()
    bench.recorder.hear(live, audio(0))
    with pytest.raises(ProtocolError, match="ahead"):
        bench.recorder.hear(live, audio(30_100))


async def test_a_leap_that_the_clock_explains_is_none(bench: WorkerProcess) -> None:
    live = bench.answer()
    bench.recorder.hear(live, audio(0))
    bench.timers.pass_by(50)
    assert bench.recorder.hear(live, audio(50_000)) == 0


async def test_faster_than_real_time_is_slowed_down(bench: WorkerProcess) -> None:
    live = bench.answer()
    waits = [bench.recorder.hear(live, audio(number * 20)) for number in range(1_502)]
    assert set(waits[:-1]) == {0}
    assert waits[-1] == pytest.approx(20.02)
    bench.timers.pass_by(waits[-1])
    assert bench.recorder.hear(live, audio(30_040)) == 0


async def test_a_silent_stream_is_closed(bench: WorkerProcess) -> None:
    live = bench.answer()
    bench.timers.pass_by(50)
    bench.play(live, tone(1), 50_000)
    bench.timers.pass_by(59.9)
    assert bench.verdicts == []
    bench.timers.pass_by(0.2)
    assert [(verdict.cause, verdict.code) for verdict in bench.verdicts] == [(EndCause.IDLE, 1008)]


async def test_a_stream_does_not_go_on_for_ever(tmp_path: Path) -> None:
    bench = WorkerProcess(tmp_path, max_call_seconds=100)
    live = bench.answer()
    bench.play(live, tone(5_001))
    assert [(verdict.cause, verdict.code) for verdict in bench.verdicts] == [(EndCause.HANGUP, 1008)]


@pytest.mark.parametrize("cause", [EndCause.HANGUP, EndCause.DISCONNECTED, EndCause.PROTOCOL_ERROR])
async def test_the_end_of_a_stream_ends_its_takes(bench: WorkerProcess, cause: EndCause) -> None:
    live, wanted = bench.answer(), take()
    await bench.recorder.start(wanted)
    bench.play(live, tone(10))
    await bench.recorder.hang_up(live, cause)
    assert await bench.recorder.find_call(ACCOUNT, "call-1") is None
    assert await bench.until_said(2) == [("Begun", ""), ("Ended", cause)]
    assert bench.track(wanted) == tone(10)
    with pytest.raises(TakeRefused):
        await bench.recorder.start(take(2))


async def test_shutdown_ends_everything_and_the_events(tmp_path: Path) -> None:
    bench = WorkerProcess(tmp_path)
    async with listening(bench.recorder, bench.said):
        lives = [bench.answer(f"call-{number}") for number in range(3)]
        for number, live in enumerate(lives):
            await bench.recorder.start(take(number, f"call-{number}"))
            bench.play(live, tone(2))
    assert ends(bench.said) == [("Ended", EndCause.SHUTDOWN)] * 3
    assert [verdict.code for verdict in bench.verdicts] == [1012] * 3
    assert await bench.recorder.calls(ACCOUNT) == []


class FullSpool(FolderSpool):
    """A disk that takes so many writes and no more."""

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
    bench = WorkerProcess(tmp_path, FullSpool(tmp_path, 10))
    async with listening(bench.recorder, bench.said):
        live, wanted = bench.answer(), take()
        await bench.recorder.start(wanted)
        bench.play(live, tone(20))
        assert await bench.until_said(2) == [("Begun", ""), ("Ended", EndCause.SPOOL_FULL)]
        assert bench.track(wanted) == tone(20)[: 10 * FRAME]
        assert await bench.recorder.find_call(ACCOUNT, "call-1") is not None


async def test_no_disk_at_all_refuses_the_take(tmp_path: Path) -> None:
    bench = WorkerProcess(tmp_path, FullSpool(tmp_path, 0))
    bench.answer()
    with pytest.raises(TakeRefused, match="disk"):
        await bench.recorder.start(take())


async def test_a_call_that_ends_while_a_take_is_opened_leaves_nothing(tmp_path: Path) -> None:
    spool = FullSpool(tmp_path, 10)
    bench = WorkerProcess(tmp_path, spool)
    spool.go_on.clear()
    live = bench.answer()
    starting = asyncio.create_task(bench.recorder.start(take()))
    await spool.entered.wait()
    await bench.recorder.hang_up(live, EndCause.HANGUP)
    spool.go_on.set()
    with pytest.raises(TakeRefused, match="ended"):
        await starting
    assert await spool.ids() == []


async def test_events_that_nobody_takes_hold_back_new_takes(tmp_path: Path) -> None:
    bench = WorkerProcess(tmp_path)
    bench.recorder._happenings._most = 1
    bench.answer()
    await bench.recorder.start(take(1))
    await bench.recorder.stop(take(1).recording_id)
    starting = asyncio.create_task(bench.recorder.start(take(2)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not starting.done()
    async with listening(bench.recorder, bench.said):
        assert isinstance(await starting, Begun)


async def test_and_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.recorders.embedded.embedded_recorder.PATIENCE", 0.05)
    bench = WorkerProcess(tmp_path)
    bench.recorder._happenings._room.clear()
    bench.answer()
    with pytest.raises(TakeRefused, match="notes"):
        await bench.recorder.start(take())
