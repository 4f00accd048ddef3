"""The offsets of audio in a take, compared with a model that handles each sample by itself."""

from hypothesis import given
from hypothesis import strategies as st

from adapters.recorders.embedded.timeline import MAX_SEGMENTS, Timeline, Treatment

CHANGES = st.lists(st.tuples(st.integers(0, 60), st.sampled_from(Treatment)), max_size=12)


def model(base: int, changes: list[tuple[int, Treatment]], end: int) -> dict[int, tuple[int, bool]]:
    """Return the offset and the mask of every stream position that is in the take."""
    offsets, offset, treatment = {}, 0, Treatment.RECORDED
    changes_at: dict[int, Treatment] = dict(changes)
    for position in range(base, end):
        treatment = changes_at.get(position, treatment)
        if treatment is not Treatment.PAUSED:
            offsets[position] = (offset, treatment is Treatment.MASKED)
            offset += 1
    return offsets


@given(st.integers(0, 50), CHANGES, st.integers(0, 600), st.integers(1, 300))
def test_every_sample_has_the_offset_of_the_model(
    base: int, steps: list[tuple[int, Treatment]], position: int, length: int
) -> None:
    timeline, at, changes = Timeline(base), base, []
    for step, treatment in steps:
        at += step
        timeline.change(at, treatment)
        changes.append((at, treatment))
    expected = {
        index - position: entry for index, entry in model(base, changes, position + length).items() if index >= position
    }
    found = {
        part.start + index: (part.offset + index, part.masked)
        for part in timeline.split(position, length)
        for index in range(part.stop - part.start)
    }
    assert found == expected


def test_offsets_do_not_grow_in_a_pause() -> None:
    timeline = Timeline(100)
    timeline.change(500, Treatment.PAUSED)
    assert (timeline.changed_at, timeline.offset(900)) == (400, 400)
    timeline.change(1_000, Treatment.RECORDED)
    assert (timeline.length_before, Timeline(100).length_before) == (500, 0)
    assert timeline.offset(1_100) == 500


def test_the_number_of_segments_is_limited() -> None:
    timeline = Timeline(0)
    for number in range(10_000):
        timeline.change(number * 10, Treatment.MASKED if number % 2 else Treatment.RECORDED)
    assert len(timeline._segments) == MAX_SEGMENTS
    assert list(timeline.split(0, 10)) == []
    assert [part.offset for part in timeline.split(200_000, 10)] == [200_000]
