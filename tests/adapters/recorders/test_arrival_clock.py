"""Audio without timestamps: late audio follows, and only a real pause of the sender becomes silence."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.recorders.dialects.stream_events import Audio
from adapters.recorders.dialects.stream_format import StreamFormat
from adapters.recorders.embedded.arrival_clock import MAX_HELD, STALL, ArrivalClock
from recordings.ports.audio import Codec

FORMAT = StreamFormat(Codec.S16, 16_000, 2)
FRAME = 640


class Sender:
    """Sends frames of 20 ms with both tracks, and notes where each of them is placed (ms)."""

    def __init__(self) -> None:
        self.clock = ArrivalClock(FORMAT)
        self.now = 50.0
        self.sent = 0
        self.placed: list[tuple[int, float]] = []

    def send(self, frames: int = 1, every: float = 0.02) -> None:
        for _ in range(frames):
            self.now += every
            self.sent += 1
            payload = self.sent.to_bytes(2) * (FRAME // 2)
            self.note(self.clock.place([Audio(0, None, payload), Audio(1, None, payload)], self.now))

    def note(self, audios: Sequence[Audio]) -> None:
        for audio in audios:
            assert audio.at_ms is not None
            if audio.track == 0:
                self.placed.append((int.from_bytes(audio.payload[:2]), audio.at_ms))

    def positions(self) -> list[float]:
        """Return the position of each frame in frames, in their order."""
        self.note(self.clock.flush())
        assert [number for number, _ in self.placed] == list(range(1, self.sent + 1))
        return [at_ms / 20 for _, at_ms in self.placed]


def test_frames_in_time_and_faster_ones_follow_each_other() -> None:
    sender = Sender()
    sender.send(100)
    sender.send(100, every=0)
    sender.send(100)
    assert sender.positions() == list(range(300))


@pytest.mark.parametrize("every", [0.0195, 0.0205, 0.022])
def test_a_clock_that_runs_at_another_speed_makes_no_gap(every: float) -> None:
    sender = Sender()
    sender.send(3_000, every)
    assert sender.positions() == list(range(3_000))


@pytest.mark.parametrize("stall", [0.1, 0.5, 1.5])
def test_audio_that_comes_in_a_burst_after_a_stall_simply_follows(stall: float) -> None:
    sender = Sender()
    sender.send(100)
    sender.now += stall
    sender.send(round(stall * 50), every=0)
    sender.send(100)
    assert sender.positions() == list(range(sender.sent))


@pytest.mark.parametrize("pause", [0.2, 1, 5, 300])
def test_a_pause_of_the_sender_becomes_silence_of_its_length(pause: float) -> None:
    sender = Sender()
    sender.send(100)
    sender.now += pause
    sender.send(100)
    positions = sender.positions()
    assert positions[:100] == list(range(100))
    assert positions[100] == pytest.approx(100 + pause * 50, abs=0.1)
    assert positions[101:] == [positions[100] + number for number in range(1, 100)]


def test_each_pause_of_many_is_where_it_was() -> None:
    sender = Sender()
    for _ in range(5):
        sender.send()
        sender.now += 1
    assert sender.positions() == pytest.approx([51 * number for number in range(5)], abs=0.1)


STEPS = st.lists(st.tuples(st.floats(0, 3), st.integers(1, 60), st.sampled_from([0, 0.005, 0.02, 0.03])), max_size=30)


@given(STEPS)
def test_no_frame_is_lost_moved_or_ahead_of_the_clock(steps: list[tuple[float, int, float]]) -> None:
    sender = Sender()
    began = sender.now
    for pause, frames, every in steps:
        sender.now += pause
        sender.send(frames, every)
        assert sum(map(len, sender.clock._held)) * 0.02 <= 2 * MAX_HELD + STALL
    positions = sender.positions()
    assert all(after - before > 0.999 for before, after in pairwise(positions))
    # Silence is never longer than the time in which the audio arrived.
    silence = (positions[-1] + 1 - sender.sent) * 0.02 if positions else 0
    assert silence <= sender.now - began + STALL
