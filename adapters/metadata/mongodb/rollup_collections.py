"""Rollups in MongoDB. `slot_marks.py` explains why their figures are right at any time."""

from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from typing import Any, Final

from pymongo import ASCENDING, UpdateOne
from pymongo.errors import BulkWriteError

from adapters.metadata.mongodb import where
from adapters.metadata.mongodb.driver import Database, Document
from adapters.metadata.mongodb.indexes import ACCOUNTS, META, RECORDINGS, index_of
from adapters.metadata.mongodb.rollup_documents import COUNTED_FIELDS, to_counted_row
from adapters.metadata.mongodb.slot_marks import (
    MARKS,
    PARTS,
    SLOT_OF_PART,
    SLOT_OF_RECORDING,
    SlotMarks,
    mark_all,
)
from adapters.metadata.mongodb.unavailable import raises_store_unavailable
from adapters.metadata.stats_content import (
    decode_hours,
    decode_part,
    encode_bins,
    encode_cells,
    encode_hours,
    in_batches,
)
from recordings.model.instants import Millis
from recordings.model.query import OrderField
from recordings.model.rollup import CountedRow, CountedSlot, Level, Mark, Part, RowSelection, Run, Slot

ROWS: Final = 1_000
"""How many recordings are read at once."""
_SLOTS: Final = 1_024
_RUNS: Final = 32
"""How many slots, and runs of slots, are read at once."""
_DUPLICATE: Final = 11_000
_HOURS: Final = {"_id": 0, "account_id": 1, "level": 1, "at": 1, "hours": 1}
_CELLS: Final = {"_id": 0, "account_id": 1, "level": 1, "at": 1, "cells": 1}


@raises_store_unavailable
class RollupCollections:
    """The collections of rollups and of marked slots."""

    def __init__(self, database: Database) -> None:
        self._parts = database[PARTS]
        self._counted = database[RECORDINGS]
        self._tree = database[ACCOUNTS]
        self.slot_marks = SlotMarks(database[MARKS], database[META])

    async def marked_slots(self, account_ids: Collection[str], first: Millis, end: Millis) -> Sequence[Slot]:
        """Return the marked slots of these accounts that start in a range of time."""
        return await self.slot_marks.marked(account_ids, first, end)

    async def parts(
        self, account_ids: Sequence[str], cube: str, runs: Sequence[Run], *, bins: bool
    ) -> AsyncIterator[Sequence[tuple[Slot, Part]]]:
        """Yield the parts of one cube."""
        together = [[run] for run in runs if run.by_hour] + [*_together([run for run in runs if not run.by_hour])]
        for some in together:
            async for batch in in_batches(await self.read_parts(account_ids, cube, some, bins=bins)):
                yield batch

    async def read_parts(
        self, account_ids: Sequence[str], cube: str, runs: Sequence[Run], *, bins: bool
    ) -> list[tuple[Slot, Part]]:
        """Return the parts of one cube in a few runs of slots."""
        base = {"account_id": {"$in": list(account_ids)}, "cube": cube}
        ranges = [{**base, "level": int(run.level), "at": {"$gte": run.first, "$lt": run.end}} for run in runs]
        selector = ranges[0] if len(ranges) == 1 else {"$or": ranges}
        by_hour = runs[0].by_hour
        projection = _HOURS if by_hour else {**_CELLS, "bins": 1} if bins else _CELLS
        found = await self._parts.find(selector, projection, batch_size=2 * _SLOTS, hint="of_slot").to_list(None)
        return [
            (
                Slot(document["account_id"], Level(document["level"]), int(document["at"])),
                decode_hours(cube, document.get("hours"))
                if by_hour
                else decode_part(cube, document["cells"], document.get("bins")),
            )
            for document in found
        ]

    async def examined(self, selection: RowSelection, limit: int) -> int:
        """Return the number of recordings that `rows_to_count` examines, at most `limit`."""
        found = 0
        for selector in _selectors(selection):
            if found < limit:
                more = await self._counted.count_documents(selector, limit=limit - found, hint=_index(selection))
                found += int(more)
        return found

    async def rows_to_count(self, selection: RowSelection) -> AsyncIterator[Sequence[CountedRow]]:
        """Yield the recordings of a selection."""
        field = selection.field.value
        for selector in _selectors(selection):
            wanted = {"$and": [selector, where.condition(selection.where)]}
            projection = {**COUNTED_FIELDS, field: 1}
            cursor = self._counted.find(wanted, projection, hint=_index(selection), batch_size=ROWS)
            while documents := await self.read_rows(cursor):
                yield [to_counted_row(document, field) for document in documents]

    async def read_rows(self, cursor: Any) -> list[Document]:
        """Return the next documents of a cursor."""
        found: list[Document] = await cursor.to_list(ROWS)
        return found

    async def marks_to_count(self, level: Level, before: Millis, limit: int) -> Sequence[Mark]:
        """Return marks of slots that end by an instant and have no lease, latest first."""
        return await self.slot_marks.to_count(level, before, limit)

    async def save_counted(self, slots: Sequence[CountedSlot]) -> None:
        """Replace the parts of slots, mark the longer slots that contain them, and remove their marks."""
        if not slots:
            return
        parents = {parent for counted in slots if (parent := counted.mark.slot.parent) is not None}
        await self.slot_marks.mark_without_lease(parents)
        try:
            await self._parts.bulk_write(
                [write for counted in slots for write in _replacements(counted)], ordered=False
            )
        except BulkWriteError as error:
            # The other parts are of a later version.
            if any(failed["code"] != _DUPLICATE for failed in error.details.get("writeErrors", ())) or (
                error.details.get("writeConcernErrors")
            ):
                raise
        await self.slot_marks.remove([counted.mark for counted in slots])

    async def mark_all(self) -> int:
        """Mark all slots that have recordings or parts."""
        await mark_all(MARKS, (self._counted, SLOT_OF_RECORDING), (self._parts, SLOT_OF_PART))
        return await self.slot_marks.count()

    async def marked_count(self) -> int:
        """Return the number of marked quarter-hours."""
        return await self.slot_marks.count()

    async def descendants(self, account_id: str, limit: int) -> Sequence[str]:
        """Return the ids of the accounts below an account, oldest first."""
        order = [("created", ASCENDING), ("_id", ASCENDING)]
        found = self._tree.find({"tree": account_id}, {"_id": 1}, sort=order, limit=limit, hint="of_tree")
        return [document["_id"] for document in await found.to_list(None)]


def _together(runs: Sequence[Run]) -> Iterator[list[Run]]:
    """Yield a few runs at a time. A long run is divided."""
    together: list[Run] = []
    size = 0
    for run in runs:
        step = _SLOTS * run.level.length
        for first in range(run.first, run.end, step):
            piece = Run(run.level, first, min(first + step, run.end))
            together.append(piece)
            size += (piece.end - piece.first) // run.level.length
            if size >= _SLOTS or len(together) >= _RUNS:
                yield together
                together, size = [], 0
    if together:
        yield together


def _index(selection: RowSelection) -> str:
    return index_of(OrderField(selection.field.value), owner=selection.owner_id is not None)


def _selectors(selection: RowSelection) -> Iterator[Document]:
    owner = {} if selection.owner_id is None else {"owner_id": selection.owner_id}
    for shelf in selection.shelves:
        for first, end in selection.ranges:
            in_range = {selection.field.value: {"$gte": first, "$lt": end}}
            yield {"account_id": selection.account_id, **owner, "shelf": shelf, **in_range}


def _replacements(counted: CountedSlot) -> Iterator[UpdateOne]:
    slot, version = counted.mark.slot, counted.mark.version
    for part in counted.parts:
        place = {"account_id": slot.account_id, "cube": part.cube, "level": int(slot.level), "at": slot.at}
        # A part of a later version is not selected. Then the insert fails, because the part exists.
        selector = {**place, "version": {"$lte": version}}
        change = {"cells": encode_cells(part), "bins": encode_bins(part), "version": version}
        if (hours := encode_hours(part)) is not None:
            change["hours"] = hours
        yield UpdateOne(selector, {"$set": change}, upsert=True)
