"""Pages of every query are equal to those of a sort in Python, in every store, also while recordings change."""

import asyncio
import itertools
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recordings.model.errors import QueryTooBroad
from recordings.model.fields import RecordingRow
from recordings.model.query import (
    EVERYTHING,
    MAX_DEPTH,
    And,
    Condition,
    Count,
    Equal,
    HasMedia,
    HasMetadata,
    Held,
    In,
    Not,
    Or,
    Order,
    OrderField,
    PageRequest,
    Position,
    Prefix,
    Query,
    Range,
    check,
)
from recordings.model.recording import (
    ROW_FIELDS,
    Delivery,
    DeliveryState,
    Direction,
    EndCause,
    Hold,
    Reason,
    Recording,
    Shelf,
    State,
)
from recordings.ports.recording_store import MetadataStore
from tests.contract.metadata.samples import AUDIO, NOW, at, ordered, recording, reference

# Motor runs the same code as pymongo. The other contract tests cover the differences.
pytestmark = pytest.mark.parametrize("kind", ["sqlite", "pymongo"])

TEXTS = ["", "a", "A", "ab", "b", "%", "_", "\t", "é", "e\u0301", "\ud7ff", "\ue000", "\uffff", "\U00010000",
         "\U0001f600", "a\U0010ffff", "a\U0010ffffb", "\U0010ffff", "+49", "+491", "10"]  # fmt: skip
NUMBERS = [0, 1, 2, 2**31 - 1, 2**31, 2**40]
INSTANTS = [-62_135_596_800_000, -1, 0, 1, 1_795_336_400_000, 253_402_300_799_999]
OWNERS = ["o1", "o2", "\U0001f600"]
STATES = [State.STORED, State.FAILED, State.RECORDING, State.TRASHED, State.PURGED]
TEXT_VALUES: dict[str, list[Any]] = {
    "caller_id_number": TEXTS, "interaction_id": TEXTS, "label": TEXTS, "call_id": ["c1", "c2", ""],
    "owner_id": OWNERS, "state": [state.value for state in State], "direction": ["inbound", "outbound"],
    "reason": [Reason.EMPTY.value], "end_cause": [EndCause.HANGUP.value, EndCause.IDLE.value], "name": TEXTS,
    "delivery_state": [state.value for state in DeliveryState],
}  # fmt: skip
NUMBER_VALUES = {
    "start": INSTANTS,
    "created": INSTANTS,
    "ended": INSTANTS,
    "duration_ms": NUMBERS,
    "media_length": [AUDIO.length, 7],
    "changed": INSTANTS,
}
VALUES = TEXT_VALUES | NUMBER_VALUES
KEYS = ["", "a", "a.b", "$x", "k" * 300]
SCALARS = ["", "1", "true", "\U0001f600", '"', "x" * 200, 0, 1, 1.0, -1.5, 2**53, True, False]
METADATA = st.dictionaries(
    st.sampled_from(KEYS), st.sampled_from([*SCALARS, None, 2**80, 1e300, [1], {"a": 1}]), max_size=3
)

accounts = (f"account-{number}" for number in itertools.count())


def some(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([None, *values])


@st.composite
def recordings(draw: st.DrawFn) -> Recording:
    return recording(
        id=draw(st.text(st.sampled_from("ab\U0001f600\ue000"), min_size=1, max_size=3)),
        state=draw(st.sampled_from([*STATES, *[State.STORED] * 6])),
        start=draw(st.sampled_from(INSTANTS)),
        created=draw(st.sampled_from(INSTANTS)),
        ended=draw(some(*INSTANTS)),
        duration_ms=draw(some(*NUMBERS)),
        caller_id_number=draw(some(*TEXTS)),
        owner_id=draw(some(*OWNERS)),
        call_id=draw(st.sampled_from(TEXT_VALUES["call_id"])),
        interaction_id=draw(some(*TEXTS[:4])),
        label=draw(some(*TEXTS)),
        name=draw(st.sampled_from(TEXTS)),
        direction=draw(some(*Direction)),
        reason=draw(some(Reason.EMPTY)),
        media=draw(some(AUDIO, replace(AUDIO, length=7))),
        end_cause=draw(some(EndCause.HANGUP)),
        delivery=draw(some(Delivery("d", DeliveryState.FAILED, None))),
        hold=draw(some(Hold("ada", 1, "case 7"))),
        user_metadata=draw(METADATA),
        source_key="source",  # with it, a recording does not occupy its call
    )


def leaves() -> st.SearchStrategy[Condition]:
    def equal(field: str) -> st.SearchStrategy[Condition]:
        return st.builds(Equal, st.just(field), some(*VALUES[field]))

    def one_of(field: str) -> st.SearchStrategy[Condition]:
        return st.builds(In, st.just(field), st.lists(st.sampled_from(VALUES[field]), max_size=3).map(tuple))

    def between(field: str) -> st.SearchStrategy[Condition]:
        bound = some(*NUMBER_VALUES[field])
        return st.builds(Range, st.just(field), bound, bound)

    def prefix(field: str) -> st.SearchStrategy[Condition]:
        return st.builds(Prefix, st.just(field), st.sampled_from(TEXTS))

    return st.one_of(
        st.sampled_from(sorted(VALUES)).flatmap(equal),
        st.sampled_from(sorted(VALUES)).flatmap(one_of),
        st.sampled_from(sorted(NUMBER_VALUES)).flatmap(between),
        st.sampled_from(sorted(TEXT_VALUES)).flatmap(prefix),
        st.builds(HasMedia, st.booleans()),
        st.builds(Held, st.booleans()),
        st.builds(HasMetadata, st.sampled_from(KEYS), some(*SCALARS)),
    )


def nested(parts: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(parts, max_size=3).map(tuple)
    return st.one_of(st.builds(And, several), st.builds(Or, several), st.builds(Not, parts))


conditions = st.one_of(st.just(EVERYTHING), st.recursive(leaves(), nested, max_leaves=6).map(check))
orders = st.builds(Order, st.sampled_from(OrderField), st.booleans())
queries = st.builds(
    Query,
    account_id=st.just("account"),
    owner_id=st.sampled_from([None, None, "o1", "\U0001f600", "nobody"]),
    shelf=st.sampled_from([Shelf.LIVE, Shelf.LIVE, Shelf.LIVE, Shelf.TRASH, Shelf.GONE]),
    where=conditions,
    order=orders,
)
everything = st.builds(Query, account_id=st.just("account"), order=orders)
sets = st.lists(recordings(), max_size=24, unique_by=lambda each: each.id)
field_sets = st.one_of(st.none(), st.frozensets(st.sampled_from(ROW_FIELDS), max_size=5))


def bounded(examples: int) -> settings:
    # All examples of a test share the store. Each has its own account in it.
    return settings(max_examples=examples, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass
class Listing:
    """The recordings of one account, in the store and as plain rows."""

    store: MetadataStore
    account: str
    rows: dict[str, RecordingRow]

    @classmethod
    async def of(cls, store: MetadataStore, given: list[Recording]) -> "Listing":
        made = cls(store, next(accounts), {})
        await asyncio.gather(*(made.add(each) for each in given))
        return made

    async def add(self, given: Recording) -> None:
        own = replace(given, id=f"{given.id}@{self.account}", account_id=self.account)
        await self.store.insert(own)
        changed = (await self.store.rows([own.id], frozenset({"changed"})))[own.id]
        self.rows[own.id] = own.to_row() | changed

    async def drop(self, identity: str) -> None:
        await self.store.remove(identity)
        del self.rows[identity]

    def of_query(self, query: Query) -> list[str]:
        return [row["id"] for row in ordered(list(self.rows.values()), query)]


async def test_an_empty_store_returns_empty_pages(store: MetadataStore) -> None:
    for order in OrderField:
        page = await store.page(Query(account_id="account", order=Order(order)), PageRequest(limit=5))
        assert (page.rows, page.has_more) == ([], False)


@bounded(50)
@given(given_=sets, wanted=st.lists(queries, min_size=1, max_size=4), size=st.integers(1, 7), data=st.data())
async def test_every_page_equals_that_of_a_sort_in_python(
    store: MetadataStore, given_: list[Recording], wanted: list[Query], size: int, data: st.DataObject
) -> None:
    listing = await Listing.of(store, given_)
    rows = list(listing.rows.values())
    for each in wanted:
        query = replace(each, account_id=listing.account)
        keys = some(*VALUES[query.order.field.value]) if query.order.field.nullable else st.sampled_from(INSTANTS)
        positions = [st.none(), st.builds(Position, keys, st.sampled_from(["", "a", "b", "\U0001f600"]))]
        positions += [st.sampled_from([at(query, row) for row in rows])] if rows else []
        request = PageRequest(
            limit=size,
            after=data.draw(st.one_of(positions)),
            before=data.draw(st.one_of(positions)),
            backward=data.draw(st.booleans()),
            fields=data.draw(field_sets),
        )
        assert await store.page(query, request) == reference(rows, query, request)
        assert await store.count(query) == Count(len(listing.of_query(query)))


@pytest.mark.parametrize(
    ("where", "matching"),
    [
        (In("duration_ms", (2,)), 1),
        (In("duration_ms", (9,)), 0),
        (Not(Not(Range("duration_ms", 1, 3))), 2),
        (Not(Equal("duration_ms", None)), 4),
        (Or((Range("duration_ms", 0, 2), Range("duration_ms", 1, 3))), 3),
        (And((Or((Equal("duration_ms", 2),)), Range("duration_ms", 1, None))), 1),
        (Not(Range("duration_ms", None, 2)), 4),
    ],
)
async def test_every_form_of_a_range_of_the_sort_key_selects_its_rows(
    store: MetadataStore, where: Condition, matching: int
) -> None:
    listing = await Listing.of(store, [recording(duration_ms=value) for value in (None, None, 0, 1, 2, 3)])
    query = Query(account_id=listing.account, where=where, order=Order(OrderField.DURATION))
    assert await store.count(query) == Count(matching)
    assert len((await store.page(query, PageRequest(limit=9))).rows) == matching


async def test_the_deepest_condition_selects_its_rows(store: MetadataStore) -> None:
    listing = await Listing.of(store, [recording(label=value) for value in ("a", "b", None)])
    where: Condition = Equal("label", "a")
    for _ in range((MAX_DEPTH - 2) // 2):
        where = Or((And((Prefix("label", "a"), where)), Equal("label", "none")))
    where = Not(where)
    query = Query(account_id=listing.account, where=check(where))
    assert await store.count(query) == Count(2)
    assert len((await store.page(query, PageRequest(limit=9))).rows) == 2


@bounded(40)
@given(given_=sets, wanted=st.lists(queries, min_size=1, max_size=4), size=st.integers(1, 3), most=st.integers(1, 12))
async def test_a_limit_of_examined_rows_changes_no_page_and_no_exact_count(
    store: MetadataStore, given_: list[Recording], wanted: list[Query], size: int, most: int
) -> None:
    # The store reads few rows before it gives up, so all ways to read a page are taken.
    listing = await Listing.of(store, given_)
    store._max_examined = most  # type: ignore[attr-defined]
    for each in wanted:
        query = replace(each, account_id=listing.account)
        request = PageRequest(limit=size, fields=frozenset())
        with suppress(QueryTooBroad):
            page = await store.page(query, request)
            assert page == reference(list(listing.rows.values()), query, request)
            assert page.examined <= max(most, 2)
        count, expected = await store.count(query), len(listing.of_query(query))
        assert count.number == expected if count.is_exact else count.number <= expected
        few = await store.count(query, size)
        assert few.number == expected if few.is_exact else few.number <= expected


FEW_IN_COMMON = (
    And((Equal("origin", "a"), Prefix("label", "b"))),
    And((Range("start", NOW), Equal("origin", "a"), Prefix("label", "b"), Not(Equal("name", "x")))),
    And((Equal("format", "wav"), Prefix("label", "b"))),
    And((Not(HasMetadata("case", 7)), Equal("origin", "a"))),
    Not(HasMetadata("case")),
)


def in_two_halves(size: int) -> list[Recording]:
    """Return recordings in two halves, and one that is in both."""
    halves = [
        recording(start=NOW + number, origin="a", format="wav", label="c", user_metadata={"case": 7})
        if number % 2
        else recording(start=NOW + number, origin="c", label=f"b {number}", user_metadata={"case": 7})
        for number in range(size)
    ]
    return [*halves, recording(start=NOW + size // 2, origin="a", format="wav", label="b", user_metadata={"x": 1})]


@pytest.mark.parametrize("where", FEW_IN_COMMON, ids=str)
async def test_two_broad_conditions_with_few_rows_in_common_are_intersected(
    store: MetadataStore, where: Condition
) -> None:
    store._max_examined = 10  # type: ignore[attr-defined]
    one, many = await Listing.of(store, in_two_halves(23)), await Listing.of(store, in_two_halves(60))
    for order in (Order(field, descending) for field in OrderField for descending in (True, False)):
        query, request = Query(account_id=one.account, where=where, order=order), PageRequest(limit=2)
        page = await store.page(query, request)
        assert page == reference(list(one.rows.values()), query, request)
        assert len(page.rows) == 1
        assert 0 < page.examined <= 10
        with pytest.raises(QueryTooBroad):
            await store.page(replace(query, account_id=many.account), request)


def next_request(position: Position | None, size: int, *, backward: bool) -> PageRequest:
    """Return the request for the next page after a position."""
    after, before = (None, position) if backward else (position, None)
    return PageRequest(limit=size, after=after, before=before, backward=backward, fields=frozenset())


async def walk(store: MetadataStore, query: Query, size: int, *, backward: bool) -> list[str]:
    """Read all ids of a query, page by page."""
    found: list[str] = []
    position: Position | None = None
    while True:
        page = await store.page(query, next_request(position, size, backward=backward))
        ids = [row["id"] for row in page.rows]
        assert len(ids) <= size
        found = [*ids, *found] if backward else [*found, *ids]
        if not page.has_more:
            return found
        position = at(query, page.rows[0 if backward else -1])


@bounded(25)
@given(given_=sets, query=queries, size=st.integers(1, 7))
async def test_paging_returns_every_row_once(
    store: MetadataStore, given_: list[Recording], query: Query, size: int
) -> None:
    listing = await Listing.of(store, given_)
    query = replace(query, account_id=listing.account)
    for backward in (False, True):
        assert await walk(store, query, size, backward=backward) == listing.of_query(query)


async def test_a_change_of_the_metadata_is_found(store: MetadataStore) -> None:
    one = recording(user_metadata={"case": 7, "x": "y"})

    async def found(condition: Condition, shelf: Shelf = Shelf.LIVE, order: OrderField = OrderField.START) -> int:
        query = Query(account_id=one.account_id, where=condition, shelf=shelf, order=Order(order))
        count = (await store.count(query)).number
        assert len((await store.page(query, PageRequest(limit=9))).rows) == count
        return count

    await store.insert(one)
    later = replace(one, user_metadata={"case": 8}, start=one.start + 1, revision=one.revision + 1)
    assert await store.save(later, one.revision)
    for order in OrderField:
        numbers = [await found(HasMetadata("case", number), order=order) for number in (7, 8)]
        assert (numbers, await found(HasMetadata("x"), order=order)) == ([0, 1], 0)
    trashed = replace(later, state=State.TRASHED, trashed_from=State.STORED, revision=later.revision + 1)
    assert await store.save(trashed, later.revision)
    assert (await found(HasMetadata("case")), await found(HasMetadata("case"), Shelf.TRASH)) == (0, 1)
    bare = replace(trashed, user_metadata={}, revision=trashed.revision + 1)
    assert await store.save(bare, trashed.revision)
    assert await found(HasMetadata("case"), Shelf.TRASH) == 0
    assert await store.save(replace(trashed, revision=bare.revision + 1), bare.revision)
    assert await found(HasMetadata("case", 8), Shelf.TRASH) == 1
    await store.remove(one.id)
    assert await found(HasMetadata("case", 8), Shelf.TRASH) == 0


@bounded(20)
@given(given_=sets, later=sets, query=everything, size=st.integers(1, 5), data=st.data())
async def test_inserts_and_removals_between_pages_move_no_other_row(
    store: MetadataStore, given_: list[Recording], later: list[Recording], query: Query, size: int, data: st.DataObject
) -> None:
    listing = await Listing.of(store, given_)
    query = replace(query, account_id=listing.account)
    stayed = set(listing.of_query(query))
    backward = data.draw(st.booleans())
    seen: list[str] = []
    position: Position | None = None
    while True:
        page = await store.page(query, next_request(position, size, backward=backward))
        seen += [row["id"] for row in page.rows]
        if not page.has_more:
            break
        position = at(query, page.rows[0 if backward else -1])
        if data.draw(st.booleans()) and later:
            await listing.add(replace(new := later.pop(), id=f"{new.id}-later"))
        if data.draw(st.booleans()):
            gone = data.draw(st.sampled_from(sorted(listing.rows)))
            stayed.discard(gone)
            await listing.drop(gone)
    assert len(seen) == len(set(seen))
    assert stayed <= set(seen)
