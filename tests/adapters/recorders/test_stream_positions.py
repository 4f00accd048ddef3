"""Timestamps that start again, jump, or arrive in another order: no audio overwrites other audio."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.recorders.dialects.stream_events import Audio
from adapters.recorders.embedded.stream_positions import StreamPositions
from tests.adapters.recorders.parts import Side

FRAME = 160
MAX_LEAD = 30.0


class Stream:
    """A call whose frames of 20 ms arrive in real time, unless the test says otherwise."""

    def __init__(self) -> None:
        self.now = 100.0
        self.positions = StreamPositions(self.now, MAX_LEAD)
        self.sent = 0

    def send(self, at_ms: int, side: Side = Side.INBOUND, *, takes: float = 0.02, same: bool = False) -> int | None:
        """Send a frame and return its position in frames; `same` repeats the bytes of the last frame."""
        self.now += takes
        self.sent += not same
        payload = self.sent.to_bytes(2) * (FRAME // 2)
        position = self.positions.position_of(Audio(side, at_ms, payload), self.now)
        return None if position is None else position // FRAME

    def play(self, frames: int, begin_ms: int = 0, side: Side = Side.INBOUND) -> list[int | None]:
        return [self.send(begin_ms + 20 * number, side) for number in range(frames)]


def test_frames_in_order_are_at_their_timestamps() -> None:
    assert Stream().play(5) == [0, 1, 2, 3, 4]


def test_late_frames_fill_their_gap() -> None:
    stream = Stream()
    assert [stream.send(at) for at in (0, 60, 20, 80, 40, 100)] == [0, 3, 1, 4, 2, 5]


def test_a_repeated_frame_is_dropped() -> None:
    stream = Stream()
    assert [stream.send(0), stream.send(0, same=True), stream.send(20), stream.send(20, same=True)] == [
        0,
        None,
        1,
        None,
    ]


def test_timestamps_that_are_not_exact_leave_no_gap_and_overwrite_nothing() -> None:
    stream = Stream()
    found = [
        stream.positions.position_of(Audio(Side.INBOUND, at, bytes([at % 251]) * FRAME), 100 + at / 1_000)
        for at in JITTERED
    ]
    assert all(other is not None and one is not None and other - one >= FRAME for one, other in pairwise(found))
    assert (found[-1] or 0) - JITTERED[-1] * 8 in range(3 * 8)


JITTERED = [number * 20 + (0, -3, 2, -1, 0)[number % 5] for number in range(1, 101)]


@pytest.mark.parametrize("silent", [0.0, 0.1, 2.0, 9.0])
def test_timestamps_that_start_again_continue_by_the_clock(silent: float) -> None:
    stream = Stream()
    stream.play(100)
    stream.now += silent
    assert stream.play(3) == [100 + silent * 50 + number for number in range(3)]


def test_both_sides_stay_aligned_when_the_timestamps_start_again() -> None:
    stream = Stream()
    for number in range(100):
        stream.send(number * 20, takes=0.02)
        stream.send(number * 20, Side.OUTBOUND, takes=0)
    stream.now += 3.0
    left = [stream.send(number * 20) for number in range(3)]
    right = [stream.send(number * 20, Side.OUTBOUND, takes=0.002) for number in range(3)]
    assert left == right == [250, 251, 252]


def test_a_side_that_was_silent_follows_the_other_side_to_new_timestamps() -> None:
    stream = Stream()
    stream.send(0, Side.OUTBOUND, takes=0)
    stream.play(1_000)
    stream.play(500)
    # Without the inbound side, this timestamp would be at frame 500.
    assert stream.send(500 * 20, Side.OUTBOUND, takes=0) == 1_500


def test_a_side_keeps_its_timestamps_when_only_the_other_starts_again() -> None:
    stream = Stream()
    for number in range(100):
        stream.send(number * 20, takes=0.02)
        stream.send(number * 20, Side.OUTBOUND, takes=0)
    assert stream.send(0) == 100
    assert stream.send(100 * 20, Side.OUTBOUND, takes=0) == 100


def test_another_stream_of_the_call_begins_after_all_audio_of_the_first() -> None:
    stream = Stream()
    stream.play(100)
    stream.now += 4
    stream.positions.restart()
    # Its first timestamp is plausible in the first stream, too.
    assert stream.send(150 * 20) == 300
    assert stream.send(151 * 20, Side.OUTBOUND) == 301


@pytest.mark.parametrize("first", [0, 25_000, 10**7, 1_732_645_000_123])
def test_the_first_timestamp_may_count_from_anywhere(first: int) -> None:
    stream = Stream()
    begin = stream.send(first)
    assert begin is not None
    assert begin <= 25_000 // 20
    assert [stream.send(first + 20 * number) for number in (1, 2)] == [begin + 1, begin + 2]


def test_a_jump_ahead_of_the_clock_continues_after_the_last_audio() -> None:
    stream = Stream()
    stream.play(100)
    assert stream.play(3, 90_000) == [100, 101, 102]


def test_a_call_that_sends_nothing_for_a_minute_keeps_its_timestamps() -> None:
    stream = Stream()
    stream.play(100)
    stream.now += 60
    assert stream.send(62_000) == 3_100


@pytest.mark.parametrize("silent", [0.6, 5.0, 40.0])
def test_timestamps_that_stood_still_follow_a_mask_in_the_silence(silent: float) -> None:
    stream = Stream()
    stream.play(100)
    stream.now += silent
    mask = stream.positions.current(stream.now)
    assert mask == (2 + silent) * 50 * FRAME
    stream.now += 1
    begin = stream.send(100 * 20)
    assert begin is not None
    assert begin * FRAME >= mask
    assert [stream.send(101 * 20), stream.send(101 * 20, Side.OUTBOUND, takes=0)] == [begin + 1, begin + 1]


def test_timestamps_of_one_side_that_stood_still_follow_a_mask() -> None:
    stream = Stream()
    stream.send(0, Side.OUTBOUND, takes=0)
    stream.play(500)
    mask = stream.positions.current(stream.now)
    assert mask == 500 * FRAME
    assert stream.send(500 * 20) == 500
    begin = stream.send(20, Side.OUTBOUND, takes=0)
    assert begin in {500, 501}
    assert stream.send(40, Side.OUTBOUND, takes=0) == begin + 1


def test_timestamps_that_stood_still_without_a_mask_are_kept() -> None:
    stream = Stream()
    stream.play(100)
    stream.now += 5
    assert stream.send(100 * 20) == 100


def test_a_mask_in_a_silence_changes_no_timestamps_of_real_time() -> None:
    stream = Stream()
    for number in range(100):
        stream.send(number * 20, takes=0.02)
        stream.send(number * 20, Side.OUTBOUND, takes=0)
    stream.now += 5
    stream.positions.current(stream.now)
    stream.now += 1
    # The last frames before the mask arrive up to half a second later.
    assert stream.send(335 * 20) == 335
    assert [stream.send(number * 20, Side.OUTBOUND) for number in (400, 401)] == [400, 401]
    assert stream.send(336 * 20) == 336


def test_a_late_frame_fills_its_gap_after_a_mask_in_a_silence() -> None:
    stream = Stream()
    assert [stream.send(at) for at in (0, 20, 80)] == [0, 1, 4]
    stream.now += 5
    stream.positions.current(stream.now)
    assert stream.send(40) == 2


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["frame", "restart", "late", "repeat", "jump", "stream", "silence", "mask", "empty"]),
        st.sampled_from(list(Side)),
        st.integers(1, 400),
        st.floats(0, 12),
    ),
    max_size=120,
)


@given(EVENTS)
def test_no_audio_overwrites_other_audio(events: list[tuple[str, Side, int, float]]) -> None:
    now, positions = 100.0, StreamPositions(100.0, MAX_LEAD)
    clocks = [0, 0]
    used: tuple[set[int], set[int]] = (set(), set())
    last = Audio(Side.INBOUND, 0, b"\x01")
    for number, (kind, side, length, seconds) in enumerate(events):
        now += seconds if kind in {"silence", "stream", "mask"} else 0.02
        if kind == "mask":
            positions.current(now)
        if kind == "stream":
            positions.restart()
        if kind in {"stream", "restart"}:
            clocks = [0, 0]
        if kind == "jump":
            clocks[side] += int(seconds * 10_000)
        timestamp = max(0, clocks[side] - 60) if kind == "late" else clocks[side]
        payload = b"" if kind == "empty" else number.to_bytes(2) * length
        audio = last if kind == "repeat" else Audio(side, timestamp, payload)
        clocks[side] = max(clocks[side], timestamp + len(payload) // 8)
        position = positions.position_of(audio, now)
        last = audio
        if position is not None:
            assert position >= 0
            taken = set(range(position, position + len(audio.payload)))
            assert not taken & used[audio.track]
            used[audio.track].update(taken)
    # All audio is within the time that went by, and the lead that a stream may have.
    ends = [max(side, default=0) for side in used]
    assert max(ends) <= (now - 100 + 2 * MAX_LEAD + 24) * 8_000


def test_the_lead_may_be_unlimited() -> None:
    positions = StreamPositions(0, float("inf"))
    assert positions.position_of(Audio(Side.INBOUND, 10**7, b"\x01"), 0) == 8 * 10**7
