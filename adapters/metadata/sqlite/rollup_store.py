"""Rollups in the SQLite store. Each method makes one call in a thread, or one for each batch."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace
from typing import Any, Final

from adapters.metadata.sqlite import rollup_tables
from adapters.metadata.sqlite.database import Database
from adapters.metadata.stats_content import in_batches
from recordings.model.instants import Millis
from recordings.model.rollup import CountedRow, CountedSlot, Level, Mark, Part, RowSelection, Run, Slot

_SLOTS: Final = 512
"""How many slots are read at once."""


class RollupStore:
    """The `StatsStore` part of the SQLite store. Its subclass sets `_database`."""

    _database: Database

    async def marked_slots(self, account_ids: Collection[str], first: Millis, end: Millis) -> Sequence[Slot]:
        """Return the marked slots of these accounts that start in a range of time."""
        found: list[Slot] = await self._read_in_thread(rollup_tables.marked_slots, list(account_ids), first, end)
        return found

    async def parts(
        self, account_ids: Sequence[str], cube: str, runs: Sequence[Run], *, bins: bool
    ) -> AsyncIterator[Sequence[tuple[Slot, Part]]]:
        """Yield the parts of one cube."""
        for run in runs:
            step = _SLOTS * run.level.length
            for first in range(run.first, run.end, step):
                piece = replace(run, first=first, end=min(first + step, run.end))
                read = rollup_tables.parts
                found = await self._database.read(lambda each: read(each, account_ids, cube, piece, bins=bins))  # noqa: B023 - awaited here
                async for batch in in_batches(found):
                    yield batch

    async def examined(self, selection: RowSelection, limit: int) -> int:
        """Return the number of recordings that `rows_to_count` examines, at most `limit`."""
        return int(
            await self._read_in_thread(rollup_tables.examined, selection, limit, account_id=selection.account_id)
        )

    async def rows_to_count(self, selection: RowSelection) -> AsyncIterator[Sequence[CountedRow]]:
        """Yield the recordings of a selection."""
        for shelf in selection.shelves:
            for first, end in selection.ranges:
                position: tuple[Millis, str] | None = (first, "")
                while position is not None:
                    rows, position = await self._read_in_thread(
                        rollup_tables.rows_after, selection, shelf, position, end, account_id=selection.account_id
                    )
                    yield rows

    async def marks_to_count(self, level: Level, before: Millis, limit: int) -> Sequence[Mark]:
        """Return marks of slots that end by an instant, latest first."""
        found: list[Mark] = await self._read_in_thread(rollup_tables.marks_to_count, level, before, limit)
        return found

    async def save_counted(self, slots: Sequence[CountedSlot]) -> None:
        """Replace the parts of slots, and remove their marks."""
        await self._database.write(lambda connection: rollup_tables.save_counted(connection, slots))

    async def mark_all(self) -> int:
        """Mark all slots that have recordings or parts."""
        return int(await self._database.write(rollup_tables.mark_all))

    async def marked_count(self) -> int:
        """Return the number of marked quarter-hours."""
        return int(await self._database.read(rollup_tables.marked_count))

    async def descendants(self, account_id: str, limit: int) -> Sequence[str]:
        """Return the ids of the accounts below an account, oldest first."""
        found: list[str] = await self._read_in_thread(rollup_tables.descendants, account_id, limit)
        return found

    async def _read_in_thread(self, function: Any, *arguments: Any, account_id: str | None = None) -> Any:
        return await self._database.read(lambda connection: function(connection, *arguments), account_id)
