"""The tracks of a take in each format: pauses, masks, gaps and the time limit, against a model of single ticks."""

import io
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.audio.opus_packets import _HEADER, read_opus
from adapters.recorders.dialects.stream_format import StreamFormat, opus_ticks
from adapters.recorders.embedded.take import OpenTake
from adapters.recorders.embedded.timeline import Treatment
from recordings.ports.audio import Codec
from tests.adapters.recorders.parts import take
from tests.adapters.recorders.test_dialect_sockets import encode

FORMATS: Mapping[str, StreamFormat] = {
    "mulaw": StreamFormat(Codec.MULAW),
    "alaw": StreamFormat(Codec.ALAW),
    "s16": StreamFormat(Codec.S16, 16_000),
    "g722": StreamFormat(Codec.G722, 16_000),
}


class Memory:
    """A writer that keeps the tracks in memory."""

    def __init__(self) -> None:
        self.tracks = [bytearray(), bytearray()]

    def write_at(self, track_index: int, offset_bytes: int, data: bytes | bytearray | memoryview) -> None:
        track = self.tracks[track_index]
        assert offset_bytes <= len(track)
        track[offset_bytes : offset_bytes + len(data)] = data

    async def close(self, *, sync: bool = True) -> None:
        pass


STEPS = st.lists(
    st.tuples(st.sampled_from([*Treatment, None]), st.integers(0, 40), st.integers(0, 60), st.booleans()),
    min_size=1,
    max_size=12,
)


@given(st.sampled_from(list(FORMATS)), STEPS)
def test_every_tick_is_where_the_model_has_it(name: str, steps: list[tuple[Treatment | None, int, int, bool]]) -> None:
    format, memory = FORMATS[name], Memory()
    opened = OpenTake(take(), memory, format)
    opened.begin(0)
    assert opened.timeline is not None
    width, silence = format.width, format.silent_byte * format.width
    expected: list[bytes] = []
    position, treatment, number = 0, Treatment.RECORDED, 0
    for change, gap, ticks, may_wait in steps:
        if not may_wait or change is not None:
            opened.flush()
        if change is not None:
            treatment = change
            opened.timeline.change(position, change)
        position += gap
        sound = b"".join((number := number + 1).to_bytes(2)[-width:] for _ in range(ticks))
        opened.write(0, position, sound)
        position += ticks
        if treatment is not Treatment.PAUSED:
            expected += [silence] * gap
            expected += (
                [sound[at : at + width] for at in range(0, len(sound), width)]
                if treatment is (Treatment.RECORDED)
                else [silence] * ticks
            )
    opened.flush()
    found = bytes(memory.tracks[0])
    # Silence at the end is written only if audio follows.
    assert found == b"".join(expected)[: len(found)]
    assert not b"".join(expected)[len(found) :].strip(format.silent_byte)


@pytest.mark.parametrize("name", FORMATS)
def test_the_time_limit_counts_seconds_and_not_bytes(name: str) -> None:
    format, memory = FORMATS[name], Memory()
    opened = OpenTake(take(time_limit=5), memory, format)
    opened.begin(0)
    second = bytes(format.ticks_per_second * format.width)
    full = [opened.write(0, number * format.ticks_per_second, second) for number in range(6)]
    assert full == [False] * 4 + [True] * 2
    assert len(memory.tracks[0]) == 5 * len(second)


def test_gaps_are_reported_in_milliseconds_and_only_a_limited_number_of_them() -> None:
    opened = OpenTake(take(), Memory(), FORMATS["s16"])
    assert opened.gap(0, 16_000) is None
    opened.begin(16_000)
    assert opened.gap(0, 8_000) is None
    assert opened.gap(8_000, 32_000) == (0, 1_000)
    assert [opened.gap(32_000, 48_000) for _ in range(99)] == [(1_000, 1_000)] * 99
    assert opened.gap(48_000, 64_000) is None


def opus_take() -> tuple[OpenTake, Memory, list[bytes]]:
    memory = Memory()
    opened = OpenTake(take(), memory, StreamFormat(Codec.OPUS, 48_000))
    opened.begin(0)
    sound = np.round(9_000 * np.sin(2 * np.pi * 440 * np.arange(96_000) / 48_000)).astype(np.int16)
    return opened, memory, encode("libopus", 48_000, sound)


def samples(track: bytes) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    frames = [np.asarray(frame.to_ndarray(), float).ravel() for frame in read_opus(io.BytesIO(track), 60_000)]
    return np.concatenate([np.zeros(0), *frames])


def test_packets_of_opus_may_be_late_missing_or_masked() -> None:
    opened, memory, packets = opus_take()
    assert {opus_ticks(packet) for packet in packets} == {960}
    order = [0, 1, 3, 2, *range(4, 40), *range(60, 90)]
    for number in order:
        if number == 70:
            assert opened.timeline is not None
            opened.timeline.change(70 * 960, Treatment.MASKED)
        if number == 80:
            assert opened.timeline is not None
            opened.timeline.change(80 * 960, Treatment.RECORDED)
        opened.write(0, number * 960, packets[number])
    found = samples(bytes(memory.tracks[0]))
    assert len(found) == 90 * 960
    loud = [float(np.abs(found[at : at + 960]).max()) > 0.01 for at in range(0, len(found), 960)]
    assert loud[1:39] == [True] * 38
    assert loud[42:60] == [False] * 18
    assert loud[73:80] == [False] * 7
    assert loud[81:90] == [True] * 9


def test_an_opus_track_of_a_killed_writer_is_read_up_to_its_end() -> None:
    opened, memory, packets = opus_take()
    for number, packet in enumerate(packets):
        opened.write(0, number * 960, packet)
    whole = bytes(memory.tracks[0])
    assert len(samples(whole)) == len(packets) * 960
    last = _HEADER.size + len(packets[-1])
    assert len(samples(whole[:-5])) == len(samples(whole[: 3 - last])) == (len(packets) - 1) * 960


@given(st.binary(max_size=300))
def test_any_bytes_as_an_opus_track_are_at_worst_silence(data: bytes) -> None:
    assert len(samples(data)) <= 60 * 48_000 + 48_000


@pytest.mark.parametrize(
    ("packet", "ticks"),
    [(b"", 0), (b"\x00", 480), (b"\x78", 960), (b"\xfb\x02", 1_920), (b"\xfb\x3f", 0), (b"\x1b", 0)],
)
def test_the_length_of_opus_packets(packet: bytes, ticks: int) -> None:
    assert opus_ticks(packet) == ticks
