"""Count recordings into cells, add up cells, and cover a period with slots."""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

from recordings.model.histogram import add_all, bin_of
from recordings.model.instants import Millis
from recordings.model.query import And, Condition, HasMedia, HasMetadata, Held, Not, Or
from recordings.model.recording import State
from recordings.model.rollup import BY_HOUR, COUNTED, CUBES, LABELS, MAX_LABELS, CountedRow, Key, Level, Part, Run, Slot
from recordings.model.stats import Figures

Range = tuple[Millis, Millis]
"""A half-open range of instants."""
_DURATION: Final = COUNTED.index("duration_ms")
_STATE: Final = COUNTED.index("state")
_TRASHED_FROM: Final = COUNTED.index("trashed_from")
_HOUR: Final = Level.HOUR.length
_DAY: Final = Level.DAY.length
_FAILED: Final = frozenset({State.FAILED.value, State.LOST.value})


def key_reader(names: Sequence[str]) -> Callable[[CountedRow], Key]:
    """Return a function that reads the values of these fields from a row."""
    places = [COUNTED.index(name) for name in names]

    def read(row: CountedRow) -> Key:
        values: Any = row.values
        return tuple([values[place] for place in places])

    return read


def add_row(figures: Figures, row: CountedRow) -> None:
    """Count one recording."""
    duration = row.values[_DURATION]
    failed = row.values[_STATE] in _FAILED or row.values[_TRASHED_FROM] in _FAILED
    if isinstance(duration, int):
        figures.add(1, 1, duration, row.length or 0, failed, duration, duration)
        number = bin_of(duration)
        figures.histogram[number] = figures.histogram.get(number, 0) + 1
    else:
        figures.add(1, 0, 0, row.length or 0, failed, None, None)


def count_rows(rows: Collection[CountedRow]) -> list[Part]:
    """Return the parts of a slot with these recordings."""
    parts = []
    for cube, names in CUBES.items():
        cells: dict[Key, Figures] = {}
        read = key_reader(names)
        for row in rows:
            key = read(row)
            figures = cells.get(key)
            if figures is None:
                figures = cells[key] = Figures()
            add_row(figures, row)
        parts.append(to_part(cube, cells))
    return parts


def to_part(cube: str, cells: Mapping[Key, Figures] | None) -> Part:
    """Return the part with these cells. `None`, or too many labels, gives a part without cells."""
    if cells is None or (cube == LABELS and len(cells) > MAX_LABELS):
        return Part(cube, None, None)
    return Part(
        cube,
        [(key, figures.values()) for key, figures in cells.items()],
        [(key, figures.histogram) for key, figures in cells.items() if figures.histogram],
    )


def add_parts(parts: Iterable[Part]) -> list[Part]:
    """Return the parts of a slot from those of the shorter slots in it."""
    cells: dict[str, dict[Key, Figures] | None] = {cube: {} for cube in CUBES}
    for part in parts:
        into = cells[part.cube]
        if part.cells is None or part.bins is None:
            cells[part.cube] = None
        elif into is not None:
            for key, values in part.cells:
                into.setdefault(key, Figures()).add(*values)
            for key, histogram in part.bins:
                add_all(into.setdefault(key, Figures()).histogram, histogram)
    return [to_part(cube, found) for cube, found in cells.items()]


def with_hours(parts: Iterable[Part], hours: Sequence[tuple[Slot, Part]]) -> list[Part]:
    """Return the parts of a day with the cells of its hours, which are all slots of `hours`."""
    return [
        replace(part, hours=[(slot.at, each.cells or ()) for slot, each in hours if each.cube == part.cube])
        if part.cube in BY_HOUR
        else part
        for part in parts
    ]


def smallest_cube(needed: Collection[str]) -> str | None:
    """Return the first cube that has these dimensions, or `None`."""
    return next((cube for cube, names in CUBES.items() if set(names).issuperset(needed)), None)


def fields_of(condition: Condition) -> Iterator[str]:
    """Yield the fields that a condition tests."""
    match condition:
        case And(items) | Or(items):
            for item in items:
                yield from fields_of(item)
        case Not(item):
            yield from fields_of(item)
        case HasMedia():
            yield "media"
        case Held():
            yield "hold"
        case HasMetadata():
            yield "user_metadata"
        case _:
            yield condition.field


class Cover:
    """The slots and the ranges that together are a period, without a gap and without an overlap.

    A slot lies in one bucket. `runs` has the slots of each level. `ranges` has the rest: it is shorter than a slot, or
    its slots are not counted yet. With `by_hour`, the hours of whole days are read from the parts of the days.
    """

    def __init__(
        self,
        edges: Sequence[Millis],
        gte: Millis,
        lt: Millis,
        marked: Collection[Slot] = (),
        *,
        by_hour: bool = False,
    ) -> None:
        self._runs: dict[Level, list[Range]] = {level: [] for level in Level}
        ranges: list[Range] = []
        for first, end in pairwise((max(edges[0], gte), *edges[1:-1], min(edges[-1], lt))):
            if first % _HOUR == 0 == end % _HOUR and end - first < _DAY:
                # Most buckets are whole hours without a whole day in them.
                self._runs[Level.HOUR].append((first, end))
            else:
                self._add_bucket(first, end, ranges)
        for level in reversed(Level):
            stale = sorted({level.start(slot.at) for slot in marked if slot.level <= level})
            kept, removed = _without(joined(self._runs[level]), stale, level.length)
            self._runs[level] = kept
            below = ranges if level is Level.QUARTER else self._runs[Level(level - 1)]
            below += removed
        self.ranges: Sequence[Range] = joined(ranges)
        runs = [Run(level, *found) for level in Level for found in self._runs[level]]
        self.runs: Sequence[Run] = _in_days(runs, {Level.DAY.start(slot.at) for slot in marked}) if by_hour else runs

    def _add_bucket(self, first: Millis, end: Millis, ranges: list[Range]) -> None:
        low, high = first, end
        outside: list[Range] = ranges
        for level in Level:
            inner = (-(-low // level.length) * level.length, level.start(high))
            if inner[0] >= inner[1]:
                break
            _append(outside, (low, inner[0]))
            _append(outside, (inner[1], high))
            low, high = inner
            outside = self._runs[level]
        _append(outside, (low, high))


def _in_days(runs: Iterable[Run], stale: Collection[Millis]) -> list[Run]:
    """Return the runs with the hours of whole days as runs of days, except those of stale days."""
    found: list[Run] = []
    days: list[Range] = []
    for run in runs:
        low, high = -(-run.first // _DAY) * _DAY, run.end - run.end % _DAY
        if run.level is not Level.HOUR or low >= high:
            found.append(run)
            continue
        kept, removed = _without([(low, high)], sorted(day for day in stale if low <= day < high), _DAY)
        days += kept
        found += [Run(Level.HOUR, *each) for each in ((run.first, low), *removed, (high, run.end)) if each[0] < each[1]]
    return [*found, *(Run(Level.DAY, *each, by_hour=True) for each in days)]


def _append(into: list[Range], added: Range) -> None:
    if added[0] < added[1]:
        into.append(added)


def joined(ranges: Iterable[Range]) -> list[Range]:
    """Return the ranges sorted, with adjacent ones joined."""
    found: list[Range] = []
    for first, end in sorted(ranges):
        if found and found[-1][1] == first:
            found[-1] = (found[-1][0], end)
        else:
            found.append((first, end))
    return found


def _without(ranges: Sequence[Range], slots: Sequence[Millis], length: Millis) -> tuple[list[Range], list[Range]]:
    """Return the ranges without these slots, and the slots that were in them. Both arguments are sorted."""
    kept: list[Range] = []
    removed: list[Range] = []
    for low, high in ranges:
        first = low
        for at in slots[bisect_left(slots, low) : bisect_left(slots, high)]:
            _append(kept, (first, at))
            removed.append((at, at + length))
            first = at + length
        _append(kept, (first, high))
    return kept, removed
