"""Rollups: figures that are counted in advance, for slots of UTC time.

A slot is a quarter of an hour, an hour or a day. Quarter-hours are the shortest, because the offset of every present
time zone is a multiple of them. For each account and slot, a store keeps one part for each cube: the figures of each
combination of the cube's dimensions (a cell), and in a second part their histograms.

One cube of all dimensions would have about as many cells as there are recordings, because of owners, devices and
labels. So each of these has a cube of its own. `docs/stats.md` has the measurements.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from recordings.model.histogram import Histogram
from recordings.model.instants import DAY, HOUR, MINUTE, Millis
from recordings.model.query import Condition
from recordings.model.stats import FigureValues, PeriodField

MAX_EXAMINED: Final = 50_000
"""Maximum number of recordings that one question reads, if the rollups cannot answer it."""
MAX_CELLS: Final = 1_000_000
"""Maximum number of cells that one question reads."""
MAX_LABELS: Final = 250
"""Maximum number of cells with labels in a slot. A slot with more has no such part: its recordings are read."""


class Level(IntEnum):
    """The length of a slot."""

    QUARTER = 0
    HOUR = 1
    DAY = 2

    @property
    def length(self) -> Millis:
        """The length in milliseconds."""
        return _LENGTHS[self]

    def start(self, at: Millis) -> Millis:
        """Return the start of the slot that contains an instant."""
        return at - at % _LENGTHS[self]


_LENGTHS: Final = (15 * MINUTE, HOUR, DAY)

CUBES: Final[Mapping[str, tuple[str, ...]]] = {
    "direction": ("shelf", "direction"),
    "outcome": ("shelf", "direction", "state", "reason", "end_cause", "format"),
    "owner": ("shelf", "owner_id", "direction", "state"),
    "endpoint": ("shelf", "endpoint_id", "direction", "state"),
    "label": ("shelf", "label", "direction", "state"),
}
"""The dimensions of each cube, in the order in which they are tried.

A change needs a migration of both stores that marks all slots: a slot without parts has no recordings.
"""
BY_HOUR: Final = ("direction", "outcome")
"""The cubes of which the part of a day has the cells of its hours, too: a question reads them in one piece."""
LABELS: Final = "label"
COUNTED: Final = (
    "shelf",
    "direction",
    "state",
    "reason",
    "end_cause",
    "format",
    "owner_id",
    "endpoint_id",
    "label",
    "trashed_from",
    "duration_ms",
)
"""The fields that the figures depend on, in addition to the time and the size of the stored audio."""

Key = tuple[str | None, ...]
"""The values of the dimensions of a cell."""
Cell = tuple[Key, FigureValues]
Bins = tuple[Key, Histogram]


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot of an account."""

    account_id: str
    level: Level
    at: Millis

    @property
    def parent(self) -> "Slot | None":
        """The next longer slot that contains it; `None` for a day."""
        if self.level is Level.DAY:
            return None
        level = Level(self.level + 1)
        return Slot(self.account_id, level, level.start(self.at))


@dataclass(frozen=True, slots=True)
class Mark:
    """A slot that must be counted again. `version` changes with each change of its recordings."""

    slot: Slot
    version: int


@dataclass(frozen=True, slots=True)
class Part:
    """The cells of one cube in a slot, or their histograms. `None` if there are too many.

    `hours` has the cells of the hours of a day, by the start of the hour, for the cubes of `BY_HOUR`.
    """

    cube: str
    cells: Sequence[Cell] | None
    bins: Sequence[Bins] | None
    hours: Sequence[tuple[Millis, Sequence[Cell]]] = ()


@dataclass(frozen=True, slots=True)
class CountedSlot:
    """A slot that was counted, as of the version of its mark."""

    mark: Mark
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class Run:
    """Adjacent slots of one level: from `first` up to, but not including, `end`.

    With `by_hour`, they are days, and the cells of their hours are wanted.
    """

    level: Level
    first: Millis
    end: Millis
    by_hour: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSelection:
    """The recordings of an account in ranges of time, to be counted one by one.

    `ranges` are half-open ranges of `field`. If `owner_id` is set, only that owner's recordings are examined. `shelves`
    are the lists that are counted.
    """

    account_id: str
    shelves: tuple[str, ...]
    field: PeriodField
    ranges: Sequence[tuple[Millis, Millis]]
    where: Condition
    owner_id: str | None = None


@dataclass(frozen=True, slots=True)
class CountedRow:
    """The values of a recording that the figures depend on. `values` has those of `COUNTED`."""

    at: Millis
    values: tuple[str | int | None, ...]
    length: int | None
