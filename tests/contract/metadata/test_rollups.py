"""Rollups on every store: after any history, the figures are those of the recordings."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from adapters.metadata.mongodb import MongoStore
from recordings.model.account import Account, Principal, Scope
from recordings.model.instants import DAY, HOUR, MINUTE, Millis
from recordings.model.query import EVERYTHING, And, Condition, Count, Equal, In, Prefix, Query, Range, selects
from recordings.model.recording import Direction, EndCause, Reason, Recording, Shelf, State
from recordings.model.rollup import Level, Mark, Run, Slot
from recordings.model.stats import Bucket, Dimension, Period, PeriodField, StatsQuery
from recordings.ports.recording_store import MetadataStore, Taken
from recordings.use_cases import whole_count
from recordings.use_cases.count_slots import SlotCounter
from recordings.use_cases.recording_stats import RecordingStats
from recordings.use_cases.whole_count import count_list
from tests.contract.metadata.conftest import Stores
from tests.contract.metadata.samples import AUDIO, recording
from tests.support.fake_clock import FakeClock
from tests.support.memory_audit import MemoryAudit
from tests.support.naive_stats import assert_result

PARENT, CHILD = "a" * 32, "c" * 32
DAY_START: Millis = 1_795_305_600_000
"""2026-11-22T00:00:00Z."""
CALLER = Principal(PARENT, frozenset({Scope.READ}))
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe")
FILTERS: tuple[Condition, ...] = (
    And(()),
    Equal("direction", "inbound"),
    In("state", ("STORED", "LOST")),
    Equal("owner_id", "ada"),
    And((Prefix("label", "s"), Equal("direction", None))),
    Range("duration_ms", 1_000, None),
    Equal("call_id", "call-3"),
)


class History:
    """A random history of two accounts' recordings, in a store and in a dict."""

    def __init__(self, stores: list[MetadataStore], seed: int) -> None:
        self.stores = stores
        self.chance = random.Random(seed)
        self.kept: dict[str, Recording] = {}
        self.clock = FakeClock(DAY_START + 10 * DAY)

    @property
    def store(self) -> MetadataStore:
        return self.chance.choice(self.stores)

    def values(self) -> dict[str, Any]:
        choose = self.chance.choice
        duration = choose([None, 0, 1, 999, self.chance.randrange(10**6)])
        state = choose([State.STORED, State.STORED, State.FAILED, State.LOST, State.FINALIZING])
        return {
            "start": DAY_START + choose([0, 15 * MINUTE - 1, HOUR, DAY, self.chance.randrange(3 * DAY)]),
            "state": state,
            "reason": Reason.NOT_AUDIO if state is State.FAILED else None,
            "end_cause": choose([None, EndCause.HANGUP]),
            "direction": choose([None, *Direction]),
            "owner_id": choose([None, "ada", "bob"]),
            "endpoint_id": choose([None, "phone"]),
            "label": choose([None, "sales", "service"]),
            "format": choose(["mp3", "wav"]),
            "duration_ms": duration,
            "media": None if duration is None else replace(AUDIO, length=choose([0, 1, 2**33])),
        }

    async def step(self) -> None:
        await self.chance.choice([self.insert, self.insert, self.change, self.change, self.trash, self.count])()

    async def insert(self) -> None:
        account_id = self.chance.choice([PARENT, CHILD])
        call_id = f"call-{self.chance.randrange(5)}"
        made = recording(account_id=account_id, call_id=call_id, **self.values())
        await self.store.insert(made)
        self.kept[made.id] = made

    async def save(self, before: Recording, **fields: Any) -> None:
        after = replace(before, revision=before.revision + 1, **fields)
        store = self.store
        assert not await store.save(replace(after, label="lost race"), before.revision + 7)
        assert await store.save(after, before.revision)
        self.kept[after.id] = after

    async def change(self) -> None:
        """Change anything, restore from the trash, change nothing that is counted, or remove."""
        if not self.kept:
            return
        found = self.chance.choice(list(self.kept.values()))
        kind = self.chance.randrange(8)
        if kind == 0:
            await self.store.remove(found.id)
            del self.kept[found.id]
        elif kind == 1:
            await self.save(found, attempts=found.attempts + 1)
        else:
            await self.save(found, trashed_from=None, **self.values())

    async def trash(self) -> None:
        """Trash a recording, or purge one from the trash."""
        for found in self.chance.sample(list(self.kept.values()), min(2, len(self.kept))):
            if found.state is State.TRASHED:
                await self.save(found, state=State.PURGED)
            elif found.state is not State.PURGED:
                await self.save(found, state=State.TRASHED, trashed_from=found.state)

    async def count(self) -> None:
        """Count some slots, die while counting, or let all be counted again."""
        kind = self.chance.randrange(5)
        if kind == 0:
            await self.store.mark_all()
        elif kind == 1:
            await self.stale_count()
        elif kind == 2:
            await self.failing_write()
        else:
            await SlotCounter(self.store, self.clock).count_some(self.chance.choice([1, 2, 50]))

    async def stale_count(self) -> None:
        """Change a recording between the reading and the writing of a counter."""
        store = self.store
        counter = SlotCounter(store, self.clock)
        marks = await store.marks_to_count(self.chance.choice(list(Level)), self.clock.now(), 3)
        slots = [slot for mark in marks if (slot := await counter._count(mark)) is not None]
        await self.change()
        await store.save_counted(slots)

    async def failing_write(self) -> None:
        """Mark slots for a write that is not done, as a server does that dies between the two."""
        found = recording(account_id=PARENT, **self.values())
        store = self.store
        if isinstance(store, MongoStore):
            slot = Slot(found.account_id, Level.QUARTER, Level.QUARTER.start(found.start))
            async with store.slot_marks.writing([slot]):
                pass
        elif self.kept:
            with pytest.raises(Taken):
                await store.insert(replace(found, id=next(iter(self.kept))))

    def question(self) -> StatsQuery:
        choose = self.chance.choice
        gte = DAY_START + choose([0, 7, self.chance.randrange(DAY)])
        lt = gte + choose([1, HOUR, DAY, 3 * DAY, self.chance.randrange(1, 4 * DAY)])
        return StatsQuery(
            period=Period(gte, lt, choose([PeriodField.START] * 5 + [PeriodField.CREATED, PeriodField.ENDED])),
            bucket=choose([None, *Bucket]),
            time_zone=choose(ZONES),
            group_by=tuple(self.chance.sample(list(Dimension), choose([0, 1, 1, 2, 3]))),
            where=choose(FILTERS),
            descendants=choose([True, False]),
            trashed=choose([True, False, False]),
            histograms=choose([True, False]),
        )

    async def check(self, questions: int) -> None:
        for _ in range(questions):
            query = self.question()
            caller = self.chance.choice([CALLER, CALLER, replace(CALLER, owner_id="ada")])
            result = await RecordingStats(self.store, self.clock, MemoryAudit()).figures(caller, query)
            accounts = [PARENT, CHILD] if query.descendants and caller.owner_id is None else [PARENT]
            mine = [item for item in self.kept.values() if caller.owner_id in {None, item.owner_id}]
            assert_result(result, mine, query, accounts)
            await self.check_count(query)

    async def check_count(self, question: StatsQuery) -> None:
        """Count a whole list, or a range of `start`, as `totalCount` does in a large account."""
        shelf, period = Shelf.TRASH if question.trashed else Shelf.LIVE, question.period
        where: Any = self.chance.choice([EVERYTHING, Range("start", period.gte, period.lt), Range("start", period.gte)])
        query = Query(account_id=PARENT, shelf=shelf, where=where)
        number = sum(selects(query, item.to_row()) for item in self.kept.values())
        assert await count_list(self.store, query, 10_000) == Count(number)


@pytest.fixture(autouse=True)
def _rollups_of_small_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_count, "FEW", 0)


def without_waits(store: MetadataStore) -> None:
    """Let a counter on MongoDB start at once. All writes of these tests end before the next step."""
    if isinstance(store, MongoStore):
        store.slot_marks.lease = -1_000
        store.slot_marks.margin = 0
        store.slot_marks.steady = 0.0


@pytest.fixture
async def two(stores: Stores) -> list[MetadataStore]:
    opened = [await stores.open() for _ in range(2)]
    for store in opened:
        without_waits(store)
    await opened[0].add_account(Account(PARENT, "parent", 0))
    await opened[0].add_account(Account(CHILD, "child", 1, (PARENT,)))
    return opened


ROUNDS = {"sqlite": 60, "pymongo": 16, "motor": 6}


async def test_the_figures_are_right_after_any_history(two: list[MetadataStore], kind: str) -> None:
    history = History(two, ROUNDS[kind])
    for _ in range(ROUNDS[kind]):
        for _ in range(6):
            await history.step()
        await history.check(4)
    await count_all(history)
    await history.check(20)


async def count_all(history: History) -> None:
    counter = SlotCounter(history.stores[0], history.clock)
    while await counter.count_some(100):
        pass
    assert await history.store.marked_count() == 0


async def test_a_counter_that_is_too_late_changes_nothing(two: list[MetadataStore]) -> None:
    history = History(two, 0)
    await history.insert()
    first, second = (SlotCounter(store, history.clock) for store in two)
    (mark,) = await two[0].marks_to_count(Level.QUARTER, history.clock.now(), 9)
    old = await first._count(mark)
    assert old is not None
    await history.change()
    while await second.count_some():
        pass
    await two[0].save_counted([old])
    await count_all(history)
    await history.check(5)


async def test_a_slot_that_has_not_ended_is_not_counted(two: list[MetadataStore]) -> None:
    history = History(two, 0)
    await history.insert()
    (found,) = history.kept.values()
    at = Level.QUARTER.start(found.start)
    assert await two[1].marks_to_count(Level.QUARTER, at + 15 * MINUTE - 1, 9) == []
    (mark,) = await two[1].marks_to_count(Level.QUARTER, at + 15 * MINUTE, 9)
    assert mark == Mark(Slot(found.account_id, Level.QUARTER, at), mark.version)


async def test_hours_of_whole_days_are_read_from_the_days(two: list[MetadataStore]) -> None:
    history = History(two, 3)
    for _ in range(40):
        await history.insert()
    await count_all(history)
    read: list[Run] = []

    class Reading:
        def __getattr__(self, name: str) -> Any:
            return getattr(two[0], name)

        def parts(self, account_ids: Any, cube: str, runs: Sequence[Run], *, bins: bool) -> Any:
            read.extend(runs)
            return two[0].parts(account_ids, cube, runs, bins=bins)

    store: Any = Reading()
    stats = RecordingStats(store, history.clock, MemoryAudit())
    query = StatsQuery(
        period=Period(DAY_START - HOUR, DAY_START + 3 * DAY + HOUR),
        bucket=Bucket.HOUR,
        group_by=(Dimension.DIRECTION,),
        histograms=False,
    )
    for marked in (False, True):
        read.clear()
        assert_result(await stats.figures(CALLER, query), history.kept.values(), query, [PARENT])
        days = [run for run in read if run.by_hour]
        assert sum(run.end - run.first for run in days) == (2 if marked else 3) * DAY
        await history.store.insert(made := recording(account_id=PARENT, start=DAY_START + DAY + 5))
        history.kept[made.id] = made


async def test_too_many_labels_in_a_slot_are_read_from_the_recordings(
    two: list[MetadataStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recordings.rules.rollup_cells.MAX_LABELS", 2)
    history = History(two, 0)
    for _ in range(30):
        await history.insert()
    await count_all(history)
    query = StatsQuery(period=Period(DAY_START, DAY_START + 3 * DAY), group_by=(Dimension.LABEL,))
    result = await RecordingStats(two[0], history.clock, MemoryAudit()).figures(CALLER, query)
    assert_result(result, history.kept.values(), query, [PARENT])
