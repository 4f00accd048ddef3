"""The state of a take on an Asterisk, against any order of events; and the audio of its sides, in any pieces."""

import json
import struct
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.recorders.asterisk.ari_messages import AriEvent, EventType, read_event
from adapters.recorders.asterisk.snoop_take import SnoopTake, file_format, spies_of
from adapters.recorders.asterisk.stereo_wav import Interleaver, WavBody, wav_header

IDENTITY = "202611-" + "1" * 32
SIDES = tuple(f"rec-{IDENTITY}-1-{track}" for track in ("left", "right"))
KINDS = (
    EventType.STASIS_START,
    EventType.RECORDING_STARTED,
    EventType.RECORDING_FINISHED,
    EventType.RECORDING_FAILED,
    EventType.STASIS_END,
    EventType.DESTROYED,
)
EVENTS = list(product(KINDS, (*SIDES, "rec-of another take")))


def event_of(kind: EventType, name: str) -> AriEvent:
    body: dict[str, Any] = {"recording": {"name": name}} if "Recording" in kind else {"channel": {"id": name}}
    event = read_event(json.dumps({"type": kind.value, **body}))
    assert event is not None
    return event


def opened() -> SnoopTake:
    take = SnoopTake(IDENTITY)
    take.add_part("one", spies_of(caller_is_in=True, mixed=False))
    return take


@given(st.lists(st.sampled_from(EVENTS), max_size=20))
def test_a_take_begins_only_by_both_events_of_both_sides(events: list[tuple[EventType, str]]) -> None:
    take = opened()
    for kind, name in events:
        take.receive(event_of(kind, name))
    part = take.current
    assert part is not None
    proofs = set(product((EventType.STASIS_START, EventType.RECORDING_STARTED), SIDES))
    if not proofs <= set(events):
        assert not part.has_begun
    ends = {name for kind, name in events if kind not in {EventType.STASIS_START, EventType.RECORDING_STARTED}}
    entered = {name for kind, name in events if kind is EventType.STASIS_START}
    if part.has_ended:
        assert ends & entered
    if not ends & set(SIDES):
        assert part.has_begun == (proofs <= set(events))


@given(st.lists(st.sampled_from(EVENTS[:6]), max_size=12), st.data())
def test_a_repeated_event_changes_nothing(events: list[tuple[EventType, str]], data: st.DataObject) -> None:
    once, twice = opened(), opened()
    for kind, name in events:
        once.receive(event_of(kind, name))
        for _ in range(data.draw(st.integers(1, 3))):
            twice.receive(event_of(kind, name))
    assert once == twice


def test_a_transfer_adds_a_part_with_names_of_its_own() -> None:
    take = opened()
    take.add_part("two", spies_of(caller_is_in=False, mixed=False))
    assert len({side.name for side in take.sides()}) == 4
    assert [(side.track, side.spy) for side in take.sides()] == [
        ("left", "in"),
        ("right", "out"),
        ("left", "out"),
        ("right", "in"),
    ]


@pytest.mark.parametrize(
    ("format", "expected"),
    [("slin", "wav"), ("slin12", "wav16"), ("slin16", "wav16"), ("slin48", "wav16"), ("ulaw", "wav"), ("", "wav")],
)
def test_the_format_of_a_file(format: str, expected: str) -> None:
    assert file_format(format) == expected


def wav_of(samples: list[int], extra: bytes = b"") -> bytes:
    audio = struct.pack(f"<{len(samples)}h", *samples)
    header = wav_header(16_000, 1, len(audio))
    return header[:36] + extra + header[36:] + audio


def cut(data: bytes, pieces: list[int]) -> list[bytes]:
    found, at = [], 0
    for length in pieces:
        found.append(data[at : at + length])
        at += length
    return [*found, data[at:]]


SAMPLES = st.lists(st.integers(-32_768, 32_767), max_size=50)
PIECES = st.lists(st.integers(0, 30), max_size=12)
EXTRA = st.sampled_from([b"", b"LIST\x03\0\0\0abc\0"])


@given(SAMPLES, SAMPLES, PIECES, PIECES, EXTRA)
def test_two_sides_become_stereo_however_they_are_cut(
    left: list[int], right: list[int], left_pieces: list[int], right_pieces: list[int], extra: bytes
) -> None:
    both, heard = Interleaver(), b""
    bodies = WavBody(), WavBody()
    rest = [cut(wav_of(left, extra), left_pieces), cut(wav_of(right), right_pieces)]
    while (side := both.next_side()) is not None:
        if rest[side]:
            both.add(side, bodies[side].feed(rest[side].pop(0)))
        else:
            both.end(side)
        heard += both.take()
    length = max(len(left), len(right))
    padded = [each + [0] * (length - len(each)) for each in (left, right)]
    expected = [sample for pair in zip(*padded, strict=True) for sample in pair]
    assert heard == struct.pack(f"<{2 * length}h", *expected)
    assert {body.rate for body in bodies} == {16_000}


@given(st.binary(min_size=44, max_size=200), PIECES)
def test_a_file_without_a_header_keeps_its_bytes(data: bytes, pieces: list[int]) -> None:
    body = WavBody()
    heard = b"".join([body.feed(piece) for piece in cut(b"\0" + data, pieces)])
    assert heard == data[43:][: len(heard)]
    assert len(data) - 43 - len(heard) < 2
