"""Figures of recordings, for dashboards: counts, durations and sizes by time and by group.

Figures come from rollups where they have all fields of the question. The rest is read from the recordings and counted:
slots that changed and are not counted again yet, the ends of a period that are shorter than a slot, and questions about
other fields. The number of recordings that one question may read is limited.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from recordings.model.account import Principal, Scope
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.errors import InvalidInput, QueryTooBroad
from recordings.model.histogram import add_all
from recordings.model.instants import Millis
from recordings.model.query import EVERYTHING, And, Condition, Equal, check, matches
from recordings.model.recording import Shelf
from recordings.model.rollup import (
    BY_HOUR,
    CUBES,
    MAX_CELLS,
    MAX_EXAMINED,
    CountedRow,
    Key,
    Level,
    Part,
    RowSelection,
    Run,
    Slot,
)
from recordings.model.stats import MAX_ACCOUNTS, Dimension, Figures, Period, PeriodField, StatsQuery, StatsResult
from recordings.ports.audit import Audit, Refusals
from recordings.ports.clock import Clock
from recordings.ports.recording_store import MetadataStore
from recordings.rules.access import require_scope
from recordings.rules.rollup_cells import Cover, Range, add_row, fields_of, joined, key_reader, smallest_cube
from recordings.rules.stats_table import StatsTable, add_figures, check_query, edges_of
from recordings.use_cases.authorized import Authorized


class RecordingStats:
    """Answers questions about the recordings that a principal may access."""

    def __init__(self, store: MetadataStore, clock: Clock, audit: Audit) -> None:
        self._audit = audit
        self._store = store
        self._clock = clock
        self._authorized = Authorized(store)

    async def figures(self, principal: Principal, query: StatsQuery) -> StatsResult:
        """Return the figures of an account's recordings. A principal with an owner gets that owner's figures only.

        Raises:
            InvalidInput: the question is not allowed, or has too many rows.
            NotFound: the principal may not access the account.
            QueryTooBroad: the rollups cannot answer the question, and it has too many recordings to read them.
        """
        with Refusals(self._audit, principal, AuditAction.LIST, AuditObject("figures", None, query.account_id)):
            require_scope(principal, Scope.READ)
            account_id = await self._authorized.account_id(principal, query.account_id)
        self._audit.count(principal, AuditAction.LIST, AuditObject("figures", None, account_id))
        zone = check_query(query)
        check(query.where)
        edges = edges_of(query, zone)
        as_of = self._clock.now()
        shelf = Shelf.TRASH if query.trashed else Shelf.LIVE
        sums = _Sums(query, edges, principal.owner_id, shelf)
        await self._add_all(sums, await self._accounts(principal, account_id, query))
        rows = StatsTable(query, zone, edges).rows(sums.groups)
        return StatsResult(rows, sums.total(), as_of, sums.examined)

    async def total(self, account_id: str, period: Period, shelf: Shelf) -> Figures:
        """Return the figures of an account's recordings, for the service itself. Raises `QueryTooBroad`."""
        query = StatsQuery(period=period, histograms=False)
        sums = _Sums(query, edges_of(query, check_query(query)), None, shelf)
        await self._add_all(sums, [account_id])
        return sums.total()

    async def _accounts(self, principal: Principal, account_id: str, query: StatsQuery) -> list[str]:
        # A principal with an owner can access one account only.
        if not query.descendants or principal.owner_id is not None:
            return [account_id]
        below = await self._store.descendants(account_id, MAX_ACCOUNTS)
        if len(below) >= MAX_ACCOUNTS:
            raise InvalidInput.of(
                ("descendants",), "maximum", f"{len(below)} or more accounts", f"below {MAX_ACCOUNTS}"
            )
        return [account_id, *below]

    async def _add_all(self, sums: "_Sums", account_ids: Sequence[str]) -> None:
        period = sums.query.period
        if sums.cube is None:
            await self._add_rows(sums, {account_id: [(period.gte, period.lt)] for account_id in account_ids})
            return
        first, end = Level.DAY.start(period.gte), Level.DAY.start(period.lt) + Level.DAY.length
        marked: dict[str, list[Slot]] = {account_id: [] for account_id in account_ids}
        for slot in await self._store.marked_slots(account_ids, first, end):
            marked[slot.account_id].append(slot)
        ranges: dict[str, list[Range]] = {}
        by_hour = sums.cube in BY_HOUR and not sums.query.histograms
        unmarked = [account_id for account_id, slots in marked.items() if not slots]
        alone = [([account_id], slots) for account_id, slots in marked.items() if slots]
        for together, slots in [(unmarked, []), *alone] if unmarked else alone:
            cover = Cover(sums.edges, period.gte, period.lt, slots, by_hour=by_hour)
            ranges.update({account_id: list(cover.ranges) for account_id in together})
            await self._add_parts(sums, together, cover.runs, ranges)
        await self._add_rows(sums, ranges)

    async def _add_parts(
        self, sums: "_Sums", account_ids: Sequence[str], runs: Sequence[Run], ranges: Mapping[str, list[Range]]
    ) -> None:
        async for batch in self._store.parts(account_ids, sums.cube or "", runs, bins=sums.query.histograms):
            for slot, part in batch:
                if part.cells is None:
                    ranges[slot.account_id].append((slot.at, slot.at + slot.level.length))
                else:
                    sums.add_part(slot, part)

    async def _add_rows(self, sums: "_Sums", ranges: Mapping[str, Sequence[Range]]) -> None:
        selections = [sums.selection(account_id, found) for account_id, found in ranges.items() if found]
        for selection in selections:
            sums.examined += await self._store.examined(selection, MAX_EXAMINED + 1 - sums.examined)
            if sums.examined > MAX_EXAMINED:
                raise sums.too_broad()
        for selection in selections:
            async for rows in self._store.rows_to_count(selection):
                for row in rows:
                    sums.add_row(selection.account_id, row)


class _Sums:
    """The sums of one question, by bucket and group."""

    def __init__(self, query: StatsQuery, edges: Sequence[Millis], owner_id: str | None, shelf: Shelf) -> None:
        self.query = query
        self.edges = edges
        self.groups: dict[tuple[Millis, Key], Figures] = {}
        self._owner_id = owner_id
        owner: Condition = EVERYTHING if owner_id is None else Equal(Dimension.OWNER.value, owner_id)
        self._where = And((owner, query.where))
        self._shelf = shelf.value
        self._account_at = query.group_by.index(Dimension.ACCOUNT) if Dimension.ACCOUNT in query.group_by else None
        names = [dimension.value for dimension in query.group_by if dimension is not Dimension.ACCOUNT]
        self._read_group = key_reader(names)
        self._names = names
        self._needed = {*names, *fields_of(self._where)}
        self.cube = smallest_cube(self._needed) if query.period.field is PeriodField.START else None
        self._groups_of_cells: dict[Key, Key | None] = {}
        self._cells = 0
        self.examined = 0
        """The recordings that are counted one by one."""

    def total(self) -> Figures:
        """Return the figures of all groups together."""
        total = Figures()
        for figures in self.groups.values():
            add_figures(total, figures)
        return total

    def selection(self, account_id: str, ranges: Sequence[Range]) -> RowSelection:
        """Return the recordings of an account to count in ranges of the period."""
        return RowSelection(
            account_id=account_id,
            owner_id=self._owner_id,
            shelves=(self._shelf,),
            field=self.query.period.field,
            ranges=joined(ranges),
            where=self._where,
        )

    def add_part(self, slot: Slot, part: Part) -> None:
        """Add the cells of a slot."""
        groups, known = self.groups, self._groups_of_cells
        has_account = self._account_at is not None
        for start, cells in part.hours or ((slot.at, part.cells or ()),):
            self._cells += len(cells)
            at = self._bucket_of(start)
            for key, values in cells:
                group = known[key] if key in known else self._group_of(key)
                if group is not None:
                    place = (at, self._with_account(slot.account_id, group) if has_account else group)
                    if (figures := groups.get(place)) is None:
                        # Most groups of a fine bucket have one cell.
                        groups[place] = Figures(*values)
                    else:
                        figures.add(*values)
        if self._cells > MAX_CELLS:
            raise self.too_broad()
        for key, histogram in part.bins or ():
            if (group := self._group_of(key)) is not None:
                add_all(self._figures(self._bucket_of(slot.at), slot.account_id, group).histogram, histogram)

    def add_row(self, account_id: str, row: CountedRow) -> None:
        """Add one recording."""
        add_row(self._figures(self._bucket_of(row.at), account_id, self._read_group(row)), row)

    def too_broad(self) -> QueryTooBroad:
        """Return the error for a question that would read too many recordings or cells."""
        outside = sorted(self._needed - {name for names in CUBES.values() for name in names})
        advice = "ask for a shorter period"
        if self.query.period.field is not PeriodField.START:
            advice += ", or for a period of the field START"
        elif outside:
            advice += f", or leave out {' and '.join(f'`{name}`' for name in outside)}"
        elif self.cube is None:
            advice += ", or use fewer fields in `group_by` and `filter`"
        message = f"the figures would need more than {MAX_EXAMINED} recordings, which are counted one by one: {advice}"
        return QueryTooBroad(message, self.examined)

    def _bucket_of(self, at: Millis) -> Millis:
        return self.edges[bisect_right(self.edges, at) - 1]

    def _group_of(self, key: Key) -> Key | None:
        """Return the group of a cell; `None` if the question does not select it."""
        try:
            return self._groups_of_cells[key]
        except KeyError:
            cell = dict(zip(CUBES[self.cube or ""], key, strict=True))
            selected = cell["shelf"] == self._shelf and matches(self._where, cell)
            group = tuple([cell[name] for name in self._names]) if selected else None
            self._groups_of_cells[key] = group
            return group

    def _with_account(self, account_id: str, group: Key) -> Key:
        place = self._account_at
        return group if place is None else (*group[:place], account_id, *group[place:])

    def _figures(self, at: Millis, account_id: str, group: Key) -> Figures:
        place = (at, self._with_account(account_id, group))
        figures = self.groups.get(place)
        if figures is None:
            figures = self.groups[place] = Figures()
        return figures
