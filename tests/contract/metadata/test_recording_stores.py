"""Single recordings in every store: insert, load, save, find and remove."""

import asyncio
from dataclasses import fields, replace
from typing import Any

import pytest

from recordings.model.query import Equal, OrderField, PageRequest, Query
from recordings.model.recording import ROW_FIELDS, Recording, State
from recordings.ports.recording_store import MetadataStore, Taken, Unique
from tests.contract.metadata.conftest import Stores
from tests.contract.metadata.samples import NOW, full, recording, unique


def only_plain(value: Any) -> bool:
    """Return true if a value consists only of the Python types of JSON."""
    if type(value) is dict:
        return all(type(key) is str and only_plain(item) for key, item in value.items())
    if type(value) is list:
        return all(only_plain(item) for item in value)
    return type(value) in {str, int, float, bool, type(None)}


def test_the_full_sample_has_a_value_in_every_field() -> None:
    given, plain = full(), recording()
    same = {item.name for item in fields(Recording) if getattr(given, item.name) == getattr(plain, item.name)}
    assert same == {"account_id", "start", "created", "modified", "from_", "to"}


@pytest.mark.parametrize("make", [recording, full])
async def test_an_inserted_recording_is_loaded(store: MetadataStore, make: Any) -> None:
    given = make()
    await store.insert(given)
    assert await store.load(given.id) == given
    assert (await store.rows([given.id]))[given.id] == given.to_row()


async def test_missing_recordings(store: MetadataStore) -> None:
    assert await store.load("nothing") is None
    assert await store.rows(["nothing"]) == {}
    assert await store.rows([]) == {}
    await store.remove("nothing")
    assert not await store.save(recording(), 0)
    assert await store.find_started("account", "key") is None
    assert await store.find_active("account", "call") is None
    assert await store.find_source("account", "source") == []
    assert await store.find_holders("account", "source:1") == []
    assert await store.held_by("node") == []


@pytest.mark.parametrize("make", [recording, full])
async def test_rows_have_plain_types_and_all_fields(store: MetadataStore, make: Any) -> None:
    given = make()
    await store.insert(given)
    query = Query(account_id="account", shelf=given.shelf)
    row = (await store.page(query, PageRequest(limit=1))).rows[0]
    assert type(row) is dict
    assert only_plain(row)
    assert row == given.to_row()
    assert set(row) == set(ROW_FIELDS)
    assert Recording.from_row(row) == given


async def test_only_the_requested_fields_are_returned(store: MetadataStore) -> None:
    given = full(state=State.STORED)
    await store.insert(given)
    row = (await store.rows([given.id], frozenset({"state", "user_metadata"})))[given.id]
    assert row == {"id": given.id, "state": "STORED", "user_metadata": given.user_metadata}
    for order in OrderField:
        query = Query(account_id="account", order=replace(Query(account_id="").order, field=order))
        page = await store.page(query, PageRequest(limit=1, fields=frozenset({"media"})))
        assert set(page.rows[0]) == {"id", "media", order.value}


async def test_an_unknown_field_is_rejected(store: MetadataStore) -> None:
    with pytest.raises(ValueError, match="no row has x"):
        await store.rows(["id"], frozenset({"x"}))


async def test_many_rows_in_one_look_up(store: MetadataStore) -> None:
    given = [recording() for _ in range(120)]
    await asyncio.gather(*(store.insert(each) for each in given))
    found = await store.rows([*(each.id for each in given), "nothing"])
    assert found == {each.id: each.to_row() for each in given}


async def test_unique_values(store: MetadataStore) -> None:
    busy = recording(state=State.RECORDING, call_id="call", start_key="key", held_source="file")
    await store.insert(busy)
    for clash, what in (
        (replace(busy, call_id="other", start_key="other", held_source=None), Unique.ID),
        (replace(busy, id=unique(), start_key="other", held_source=None), Unique.ACTIVE_CALL),
        (replace(busy, id=unique(), call_id="other", held_source=None), Unique.START_KEY),
        (replace(busy, id=unique(), call_id="other", start_key="other"), Unique.SOURCE),
    ):
        with pytest.raises(Taken) as refused:
            await store.insert(clash)
        assert refused.value.what is what
        if what is not Unique.ID:
            assert await store.load(clash.id) is None
    assert await store.load(busy.id) == busy


async def test_values_that_may_occur_twice(store: MetadataStore) -> None:
    first = recording(state=State.RECORDING, call_id="call", start_key="key", held_source="file")
    await store.insert(first)
    await store.insert(replace(first, id=unique(), account_id="other"))
    first = replace(first, held_source=None)
    await store.insert(replace(first, id=unique(), start_key=None, state=State.STORED))
    await store.insert(replace(first, id=unique(), start_key=None, source_key="source"))
    await store.insert(replace(first, id=unique(), start_key=None, call_id="another"))


async def test_a_call_can_be_recorded_again_after_its_recording_ended(store: MetadataStore) -> None:
    first = recording(state=State.RECORDING, call_id="call")
    await store.insert(first)
    assert await store.find_active("account", "call") == first
    assert await store.find_active("other", "call") is None
    assert await store.save(replace(first, state=State.FINALIZING, revision=1), 0)
    assert await store.find_active("account", "call") is None
    second = replace(first, id=unique())
    await store.insert(second)
    assert await store.find_active("account", "call") == second


async def test_a_save_needs_the_expected_revision(store: MetadataStore) -> None:
    first = full(revision=0)
    await store.insert(first)
    second = replace(first, label=None, media=None, spans=(), revision=1)
    assert await store.save(second, 0)
    assert not await store.save(replace(first, label="lost", revision=1), 0)
    assert await store.load(first.id) == second


async def test_a_save_cannot_take_the_call_of_another_recording(store: MetadataStore) -> None:
    await store.insert(recording(state=State.RECORDING, call_id="call"))
    second = recording(state=State.LOST, call_id="call")
    await store.insert(second)
    with pytest.raises(Taken) as refused:
        await store.save(replace(second, state=State.RECORDING, revision=1), 0)
    assert refused.value.what is Unique.ACTIVE_CALL
    assert await store.load(second.id) == second


async def test_one_of_sixteen_saves_wins(store: MetadataStore) -> None:
    first = recording()
    await store.insert(first)
    saves = [replace(first, label=str(number), revision=1) for number in range(16)]
    won = await asyncio.gather(*(store.save(each, 0) for each in saves))
    assert sorted(won) == [False] * 15 + [True]
    assert await store.load(first.id) == saves[won.index(True)]


async def test_one_of_sixteen_inserts_wins(store: MetadataStore) -> None:
    rivals = [recording(state=State.REQUESTED, call_id="call", start_key="key") for _ in range(16)]
    outcomes = await asyncio.gather(*(store.insert(each) for each in rivals), return_exceptions=True)
    assert outcomes.count(None) == 1
    assert all(outcome is None or isinstance(outcome, Taken) for outcome in outcomes)
    assert await store.find_started("account", "key") == rivals[outcomes.index(None)]


async def test_a_removed_recording_can_be_inserted_again(store: MetadataStore) -> None:
    given = recording(state=State.RECORDING, call_id="call", start_key="key")
    await store.insert(given)
    await store.remove(given.id)
    assert await store.load(given.id) is None
    assert await store.find_active("account", "call") is None
    await store.insert(given)


async def test_recordings_are_found_by_source_key_newest_first(store: MetadataStore) -> None:
    given = [recording(source_key="source", created=NOW + number // 2) for number in range(6)]
    for each in (*given, recording(source_key="other"), recording(source_key="source", account_id="other")):
        await store.insert(each)
    assert await store.find_source("account", "source") == given[::-1]
    assert await store.find_source("account", "source", limit=2) == given[:-3:-1]


async def test_the_holders_of_a_file_are_found_oldest_first(store: MetadataStore) -> None:
    held = ["s:1", "s:1@n2", "s:1@n1"]
    given = [recording(held_source=each, created=NOW - number) for number, each in enumerate(held)]
    others = [recording(held_source=each) for each in ("s:", "s:0", "s:2", "r:1", None)]
    for each in (*given, *others, recording(held_source="s:1", account_id="other")):
        await store.insert(each)
    assert await store.find_holders("account", "s:1") == given[::-1]
    assert await store.find_holders("account", "s:3") == []


async def test_one_of_sixteen_saves_gets_a_file(store: MetadataStore) -> None:
    rivals = [recording(state=State.RECORDING, source_key="s") for _ in range(16)]
    for each in rivals:
        await store.insert(each)
    saves = [replace(each, held_source="s:1", state=State.FINALIZING, revision=1) for each in rivals]
    outcomes = await asyncio.gather(*(store.save(each, 0) for each in saves), return_exceptions=True)
    assert [outcome for outcome in outcomes if outcome is True] == [True]
    assert [str(outcome) for outcome in outcomes if outcome is not True] == [str(Taken(Unique.SOURCE))] * 15
    assert await store.find_holders("account", "s:1") == [saves[outcomes.index(True)]]


async def test_recordings_in_progress_on_a_node(store: MetadataStore) -> None:
    states = [State.RECORDING, State.PAUSED, State.REQUESTED, State.MASKED, State.ARMED]
    held = [recording(state=state, node="n1", created=NOW - number) for number, state in enumerate(states)]
    others = [recording(state=State.FINALIZING, node="n1"), recording(state=State.RECORDING, node="n2"), recording()]
    for each in (*held, *others):
        await store.insert(each)
    assert await store.held_by("n1") == held[::-1]
    assert await store.held_by("n1", limit=2) == held[:-3:-1]


async def test_count(store: MetadataStore) -> None:
    for each in (
        recording(owner_id="o"),
        recording(owner_id="o", duration_ms=5),
        recording(duration_ms=7, interaction_id="i"),
        recording(state=State.TRASHED),
        recording(account_id="other"),
    ):
        await store.insert(each)
    assert (await store.count(Query(account_id="account"))).number == 3
    assert (await store.count(Query(account_id="account", owner_id="o"))).number == 2
    assert (await store.count(Query(account_id="account", where=Equal("duration_ms", None)))).number == 1
    assert (await store.count(Query(account_id="account", where=Equal("interaction_id", "i")))).number == 1
    assert (await store.count(Query(account_id="nobody"))).number == 0


async def test_recordings_survive_reopening(stores: Stores) -> None:
    given = full()
    first = await stores.open()
    await first.insert(given)
    await first.close()
    assert await (await stores.open()).load(given.id) == given


async def test_another_process_sees_a_write_at_once(stores: Stores) -> None:
    one, other = await stores.open(), await stores.open()
    for _ in range(20):
        given = recording()
        await one.insert(given)
        assert await other.load(given.id) == given
        assert await other.save(replace(given, revision=1), 0)
        assert await one.load(given.id) == replace(given, revision=1)


async def test_two_processes_write_concurrently(stores: Stores) -> None:
    both = [await stores.open(), await stores.open()]
    given = [recording() for _ in range(64)]
    await asyncio.gather(*(both[number % 2].insert(each) for number, each in enumerate(given)))
    assert (await both[0].count(Query(account_id="account"))).number == 64


async def test_many_stores_open_concurrently(stores: Stores) -> None:
    opened = await asyncio.gather(*(stores.open() for _ in range(6)))
    await asyncio.gather(*(each.insert(recording()) for each in opened))
    await asyncio.gather(*(each.ping() for each in opened))
    assert (await opened[0].count(Query(account_id="account"))).number == 6


async def test_a_closed_store_raises(stores: Stores) -> None:
    store = await stores.open()
    await store.close()
    with pytest.raises(Exception, match=r"(?i)close"):
        await store.ping()


async def test_a_scan_returns_all_recordings_ordered_by_id(store: MetadataStore) -> None:
    given = [
        recording(account_id=account, state=state) for account in ("a", "b") for state in (State.STORED, State.PURGED)
    ]
    for each in given:
        await store.insert(each)
    ids = sorted(each.id for each in given)
    first = await store.scan("", 3, frozenset({"state"}))
    assert [row["id"] for row in first] == ids[:3]
    assert all(set(row) == {"id", "state"} for row in first)
    assert [row["id"] for row in await store.scan(ids[2], 3)] == ids[3:]
    assert await store.scan(ids[3], 3) == []
