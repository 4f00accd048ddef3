"""Events in every store: each is written with its change, has a place in one order, and is read and pushed once."""

import asyncio
import random
from collections.abc import AsyncGenerator, Iterable
from dataclasses import replace

import pytest

from graph.server.event_hub import EventHub
from recordings.model.feed_event import BEGINNING, EventPosition, EventType, FeedEvent
from recordings.model.recording import Recording
from recordings.ports.event_store import NewEvents
from recordings.ports.recording_store import MetadataStore
from tests.contract.metadata.conftest import Stores
from tests.contract.metadata.samples import NOW, recording
from tests.contract.metadata.test_change_order import shorten_limits
from tests.support.event_followers import follow_live, follow_pages
from tests.support.mirror import change, skewed

ACCOUNTS = ("a" * 32, "b" * 32, "c" * 32)


def event_of(given: Recording, kind: EventType = EventType.AMENDED) -> FeedEvent:
    return FeedEvent(
        account_id=given.account_id, subject=given.id, revision=given.revision, type=kind, time=NOW, state="STORED"
    )


async def changed(store: MetadataStore, identity: str) -> int:
    return (await store.rows([identity], frozenset({"changed"})))[identity]["changed"]


async def save(store: MetadataStore, given: Recording, label: str = "x") -> Recording:
    following = replace(given, label=label, revision=given.revision + 1)
    assert await store.save(following, given.revision, event_of(following))
    return following


async def all_events(store: MetadataStore, accounts: Iterable[str] = ACCOUNTS, limit: int = 1_000) -> list[FeedEvent]:
    return list(await store.events(list(accounts), BEGINNING, None, limit))


async def test_a_write_stores_its_event_with_the_time_of_the_change(store: MetadataStore) -> None:
    given = recording(account_id=ACCOUNTS[0])
    full = FeedEvent(
        account_id=given.account_id, subject=given.id, revision=0, type=EventType.FAILED, time=NOW - 5,
        state="FAILED", reason="NOT_AUDIO", duration_ms=1_234,
    )  # fmt: skip
    await store.insert(given, full)
    first = await changed(store, given.id)
    assert await all_events(store) == [replace(full, stamp=first)]
    following = await save(store, given)
    second = await changed(store, given.id)
    assert not await store.save(replace(following, revision=9), 3, event_of(following))
    expected = [replace(full, stamp=first), replace(event_of(following), stamp=second)]
    assert await all_events(store) == expected
    assert await all_events(store, ACCOUNTS[1:]) == []
    assert await store.events(ACCOUNTS, BEGINNING, second, 9) == expected[:1]
    assert await store.load(given.id) == following


async def test_a_write_without_an_event_keeps_the_former_ones(store: MetadataStore) -> None:
    given = recording(account_id=ACCOUNTS[0])
    await store.insert(given)
    assert await all_events(store) == []
    following = await save(store, given)
    assert await store.save(replace(following, revision=2), 1)
    assert [event.revision for event in await all_events(store)] == [1]


async def test_no_event_of_a_recording_is_lost(store: MetadataStore) -> None:
    given = recording(account_id=ACCOUNTS[0])
    await store.insert(given, event_of(given))
    for _ in range(80):
        given = await save(store, given)
    found = await all_events(store)
    assert [event.revision for event in found] == list(range(81))
    assert [event.stamp for event in found] == sorted({event.stamp for event in found})


@pytest.mark.parametrize("kind", ["sqlite", "pymongo"])
async def test_pages_have_each_event_once_and_in_order(store: MetadataStore) -> None:
    rng = random.Random(5)
    kept = [recording(account_id=rng.choice(ACCOUNTS)) for _ in range(150)]
    await asyncio.gather(*(store.insert(each, event_of(each)) for each in kept))
    for _ in range(4):
        chosen = rng.sample(range(len(kept)), 60)
        for place, following in zip(chosen, await asyncio.gather(*(save(store, kept[i]) for i in chosen)), strict=True):
            kept[place] = following
    everything = await all_events(store)
    assert len(everything) == 150 + 240
    assert everything == sorted(everything, key=lambda event: event.position)
    for accounts in (ACCOUNTS, ACCOUNTS[:1], ACCOUNTS[1:]):
        expected = [event for event in everything if event.account_id in accounts]
        for limit in (7, 150):
            found: list[FeedEvent] = []
            after = BEGINNING
            while page := await store.events(accounts, after, None, limit):
                assert len(page) == min(limit, len(expected) - len(found))
                found += page
                after = page[-1].position
            assert found == expected
    middle = everything[200].position
    assert await store.events(ACCOUNTS, middle, everything[300].stamp, 1_000) == [
        event for event in everything if event.position > middle and event.stamp < everything[300].stamp
    ]


async def test_a_page_is_only_shorter_at_the_end(store: MetadataStore) -> None:
    # A reader takes a short page for the end of the feed.
    many = [recording(account_id=ACCOUNTS[0]) for _ in range(450)]
    await asyncio.gather(*(store.insert(each, event_of(each)) for each in many))
    sizes, after = list[int](), BEGINNING
    while not sizes or sizes[-1]:
        found = await store.events(ACCOUNTS[:1], after, None, 200)
        sizes.append(len(found))
        after = found[-1].position if found else after
    assert sizes == [200, 200, 50, 0]


async def test_an_event_of_an_account_is_stored_once(store: MetadataStore) -> None:
    given = FeedEvent(account_id=ACCOUNTS[0], subject="account", revision=3, type=EventType.POLICY_CHANGED, time=NOW)
    await store.add_event(given)
    (first,) = await all_events(store)
    await store.add_event(replace(given, time=NOW + 1))
    assert await all_events(store) == [first]
    assert replace(first, stamp=0) == given
    assert first.stamp > 0


async def received(watch: AsyncGenerator[NewEvents], number: int) -> list[FeedEvent]:
    found: list[FeedEvent] = []
    async with asyncio.timeout(20):
        while len(found) < number:
            batch = await anext(watch)
            assert not batch.has_gap
            found += batch.events
    return found


@pytest.mark.event_bar(1)
async def test_a_watch_yields_the_new_events_of_all_processes_once(stores: Stores) -> None:
    first, second = await stores.open(), await stores.open()
    old = recording(account_id=ACCOUNTS[0])
    await first.insert(old, event_of(old))
    watch = first.watch_events()
    assert (await anext(watch)).events == ()
    try:
        kept = [recording(account_id=account) for account in ACCOUNTS]
        for number, each in enumerate(kept):
            await (first, second)[number % 2].insert(each, event_of(each))
        policy = FeedEvent(
            account_id=ACCOUNTS[2], subject="account", revision=1, type=EventType.POLICY_CHANGED, time=NOW
        )
        await second.add_event(policy)
        latest = old
        for _ in range(40):
            latest = await save(second, latest)
        found = await received(watch, 3 + 1 + 40)
        assert sorted(event.key for event in found) == sorted(
            [*(each.key for each in map(event_of, kept)), policy.key, *((old.id, number) for number in range(1, 41))]
        )
        assert [event.revision for event in found if event.subject == old.id] == list(range(1, 41))
        everything = {event.key: event for event in await all_events(first)}
        assert all(event == everything[event.key] for event in found)
    finally:
        await watch.aclose()


@pytest.mark.parametrize("kind", ["sqlite", "pymongo"])
async def test_a_watch_tells_up_to_when_it_is_complete(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_limits(monkeypatch)
    store = await stores.open()
    watch = store.watch_events()
    await anext(watch)
    try:
        given = recording(account_id=ACCOUNTS[0])
        await store.insert(given, event_of(given))
        stamp = await changed(store, given.id)
        seen: list[EventPosition] = []
        async with asyncio.timeout(30):
            async for batch in watch:
                seen += [event.position for event in batch.events]
                if batch.complete_to > stamp:
                    break
        assert seen == [EventPosition(stamp, given.id, 0)]
    finally:
        await watch.aclose()


@pytest.mark.parametrize("kind", ["sqlite", "pymongo"])
@pytest.mark.event_bar(1)
async def test_readers_of_a_store_under_load_get_every_event(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_limits(monkeypatch)
    opened = [await stores.open() for _ in range(3)]
    hub = EventHub(opened[2])
    writing = [
        asyncio.ensure_future(change(opened[number % 2], f"writer-{number}", 30, skewed(number)))
        for number in range(16)
    ]
    try:
        for received in await asyncio.gather(
            follow_pages(opened[2], hub, writing, random.Random(1)),
            follow_live(opened[2], hub, writing, random.Random(2)),
        ):
            assert await received.missing(opened[2]) == []
            assert received.events == 16 * 30
    finally:
        await hub.stop()
