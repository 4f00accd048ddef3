"""The port for rollups: figures that are counted in advance, and the marks of slots that must be counted again.

A store marks a slot whenever a recording that starts in it changes, so that a reader never uses figures from before a
change. A slot without a mark and without parts has no recordings.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Protocol

from recordings.model.instants import Millis
from recordings.model.rollup import CountedRow, CountedSlot, Level, Mark, Part, RowSelection, Run, Slot


class StatsStore(Protocol):
    """Stores rollups, and counts recordings one by one."""

    async def marked_slots(self, account_ids: Collection[str], first: Millis, end: Millis) -> Sequence[Slot]:
        """Return the marked slots of these accounts that start from `first` up to, but not including, `end`."""

    def parts(
        self, account_ids: Sequence[str], cube: str, runs: Sequence[Run], *, bins: bool
    ) -> AsyncIterator[Sequence[tuple[Slot, Part]]]:
        """Yield the parts of one cube, in batches that take a few milliseconds to add up. `bins`: with histograms."""

    async def examined(self, selection: RowSelection, limit: int) -> int:
        """Return the number of recordings that `rows_to_count` examines, at most `limit`."""

    def rows_to_count(self, selection: RowSelection) -> AsyncIterator[Sequence[CountedRow]]:
        """Yield the recordings of a selection, in batches that take a few milliseconds to count."""

    async def marks_to_count(self, level: Level, before: Millis, limit: int) -> Sequence[Mark]:
        """Return marks of slots that end by an instant and that no write in progress can change, latest first.

        A caller reads the recordings or the parts of these slots only after this.
        """

    async def save_counted(self, slots: Sequence[CountedSlot]) -> None:
        """Replace the parts of slots, mark the longer slots that contain them, and remove their marks.

        A slot whose mark has another version by now stays marked.
        """

    async def mark_all(self) -> int:
        """Mark all slots that have recordings or parts. Return their number."""

    async def marked_count(self) -> int:
        """Return the number of marked quarter-hours."""

    async def descendants(self, account_id: str, limit: int) -> Sequence[str]:
        """Return the ids of the accounts below an account, oldest first."""
