"""Count the slots that changed, in the background: quarter-hours from their recordings, then hours and days from those.

A store marks a quarter-hour when a recording of it changes. `count_some` counts marked slots that have ended, latest
first. If the process dies, the marks remain, and any process continues. A longer slot is counted only if no shorter
slot in it is marked: it is marked again before that mark is removed.
"""

from collections.abc import Sequence
from typing import Final

from recordings.model.query import EVERYTHING
from recordings.model.recording import Shelf
from recordings.model.rollup import CUBES, CountedRow, CountedSlot, Level, Mark, Part, RowSelection, Run, Slot
from recordings.model.stats import PeriodField
from recordings.ports.clock import Clock
from recordings.ports.stats_store import StatsStore
from recordings.rules.rollup_cells import add_parts, count_rows, with_hours

BATCH: Final = 16
"""How many slots are counted between two writes."""
_SHELVES: Final = (Shelf.LIVE.value, Shelf.TRASH.value)


class SlotCounter:
    """Counts marked slots."""

    def __init__(self, store: StatsStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def count_some(self, limit: int = BATCH) -> int:
        """Count up to `limit` marked slots of each length. Return how many were counted."""
        counted = 0
        for level in Level:
            marks = await self._store.marks_to_count(level, self._clock.now(), limit)
            slots = [slot for mark in marks if (slot := await self._count(mark)) is not None]
            if slots:
                await self._store.save_counted(slots)
            counted += len(slots)
        return counted

    async def _count(self, mark: Mark) -> CountedSlot | None:
        if mark.slot.level is Level.QUARTER:
            return CountedSlot(mark, count_rows(await self._rows(mark)))
        slot = mark.slot
        end = slot.at + slot.level.length
        inside = await self._store.marked_slots([slot.account_id], slot.at, end)
        if any(each.level < slot.level for each in inside):
            return None
        shorter = await self._shorter_parts(mark)
        parts = add_parts(part for _, part in shorter)
        return CountedSlot(mark, with_hours(parts, shorter) if slot.level is Level.DAY else parts)

    async def _rows(self, mark: Mark) -> Sequence[CountedRow]:
        slot = mark.slot
        selection = RowSelection(
            account_id=slot.account_id,
            shelves=_SHELVES,
            field=PeriodField.START,
            ranges=((slot.at, slot.at + slot.level.length),),
            where=EVERYTHING,
        )
        return [row async for batch in self._store.rows_to_count(selection) for row in batch]

    async def _shorter_parts(self, mark: Mark) -> list[tuple[Slot, Part]]:
        slot = mark.slot
        run = Run(Level(slot.level - 1), slot.at, slot.at + slot.level.length)
        return [
            each
            for cube in CUBES
            async for batch in self._store.parts([slot.account_id], cube, [run], bins=True)
            for each in batch
        ]
