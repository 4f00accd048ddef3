"""Where audio goes in a take, against a model that keeps a label for every sample."""

from hypothesis import given
from hypothesis import strategies as st

from adapters.recorders.embedded.timeline import MAX_STRETCHES, Kind, Timeline

CHANGES = st.lists(st.tuples(st.integers(0, 60), st.sampled_from(Kind)), max_size=12)


def model(base: int, changes: list[tuple[int, Kind]], end: int) -> dict[int, tuple[int, bool]]:
    """For every position of the stream that is in the audio: its offset, and whether it is masked."""
    placed, offset, kind = {}, 0, Kind.RECORDED
    switches: dict[int, Kind] = dict(changes)
    for position in range(base, end):
        kind = switches.get(position, kind)
        if kind is not Kind.PAUSED:
            placed[position] = (offset, kind is Kind.MASKED)
            offset += 1
    return placed


@given(st.integers(0, 50), CHANGES, st.integers(0, 600), st.integers(1, 300))
def test_every_sample_is_where_the_model_has_it(
    base: int, steps: list[tuple[int, Kind]], position: int, length: int
) -> None:
    timeline, at, changes = Timeline(base), base, []
    for step, kind in steps:
        at += step
        timeline.change(at, kind)
        changes.append((at, kind))
    expected = {
        index - position: place for index, place in model(base, changes, position + length).items() if index >= position
    }
    found = {
        piece.start + index: (piece.offset + index, piece.masked)
        for piece in timeline.place(position, length)
        for index in range(piece.stop - piece.start)
    }
    assert found == expected


def test_offsets_stand_still_in_a_pause() -> None:
    timeline = Timeline(100)
    timeline.change(500, Kind.PAUSED)
    assert (timeline.since, timeline.offset(900)) == (400, 400)
    timeline.change(1_000, Kind.RECORDED)
    assert timeline.offset(1_100) == 500


def test_the_past_is_bounded() -> None:
    timeline = Timeline(0)
    for number in range(10_000):
        timeline.change(number * 10, Kind.MASKED if number % 2 else Kind.RECORDED)
    assert len(timeline._stretches) == MAX_STRETCHES
    assert list(timeline.place(0, 10)) == []
    assert [piece.offset for piece in timeline.place(200_000, 10)] == [200_000]
