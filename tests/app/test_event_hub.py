"""Live events of a process: one watch for all readers, overflow, outages, and the end of the server."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.metadata.sqlite import SqliteStore
from graph.server import event_hub
from graph.server.event_hub import EventHub
from recordings.model.account import Account
from recordings.model.events import Annotated, Created
from recordings.model.feed_event import EventCursor, EventPosition, EventSelection, EventType, FeedEvent
from recordings.model.recording import Recording
from recordings.ports.event_store import NewEvents
from recordings.ports.recording_store import StoreUnavailableError
from recordings.use_cases.event_reader import EventReader, EventsLost, ReadEvent
from recordings.use_cases.save_event import RecordingWriter
from tests.contract.metadata.samples import NOW, recording
from tests.support.memory_installation import ACCOUNT, CHILD, SIBLING


class Feed:
    """A store, its writer, its hub, and the number of watches that were opened."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.writer = RecordingWriter(store)
        self.hub = EventHub(store)
        self.watches = 0
        self._watch = store.watch_events
        store.watch_events = self.watch  # type: ignore[method-assign]
        self.fail = False

    async def watch(self) -> AsyncGenerator[NewEvents]:
        self.watches += 1
        async for batch in self._watch():
            if self.fail:
                self.fail = False
                raise StoreUnavailableError("gone")
            yield batch

    async def reader(self, max_queued: int = 256, **selected: Any) -> EventReader:
        """Return a reader of the events from now on that is live."""
        cursor = EventCursor(EventPosition(await self.store.watermark()))
        selection = EventSelection(**{"account_id": ACCOUNT} | selected)
        reader = EventReader(self.store, self.hub, selection, cursor, max_queued=max_queued)
        assert await reader.next(0) is None
        return reader

    async def create(self, account_id: str = ACCOUNT) -> Recording:
        return await self.writer.create(recording(account_id=account_id), Created(at=NOW))

    async def amend(self, item: Recording, label: str) -> Recording:
        return await self.writer.save_event(item, Annotated(at=NOW, changes={"label": label}))


@pytest.fixture
async def feed(tmp_path: Path) -> AsyncIterator[Feed]:
    store = SqliteStore(tmp_path)
    await store.open()
    for account in (Account(ACCOUNT, "a", 0), Account(CHILD, "c", 0, (ACCOUNT,)), Account(SIBLING, "s", 0)):
        await store.add_account(account)
    feed = Feed(store)
    yield feed
    await feed.hub.stop()
    await store.close()


async def following(reader: EventReader) -> ReadEvent:
    found = await reader.next(20)
    assert isinstance(found, ReadEvent)
    return found


@pytest.mark.event_bar(7)
async def test_all_readers_of_a_process_share_one_watch(feed: Feed) -> None:
    readers = [await feed.reader() for _ in range(50)]
    made = await feed.create()
    for reader in readers:
        found = await following(reader)
        assert (found.event.key, found.row and found.row["id"]) == ((made.id, 0), made.id)
        await reader.aclose()
    assert feed.watches == 1


async def test_a_reader_gets_the_events_of_its_accounts(feed: Feed) -> None:
    own, below, sibling = (
        await feed.reader(), await feed.reader(descendants=True), await feed.reader(account_id=SIBLING)
    )  # fmt: skip
    child, mine = await feed.create(CHILD), await feed.create()
    assert (await following(own)).event.subject == mine.id
    assert [(await following(below)).event.subject for _ in range(2)] == [child.id, mine.id]
    assert await sibling.next(0.1) is None
    policy = FeedEvent(account_id=ACCOUNT, subject=ACCOUNT, revision=1, type=EventType.POLICY_CHANGED, time=NOW)
    await feed.store.add_event(policy)
    assert replace((await following(own)).event, stamp=0) == policy


async def test_a_reader_that_is_too_slow_is_told_and_then_misses_nothing(feed: Feed) -> None:
    reader, fast = await feed.reader(max_queued=4), await feed.reader()
    item = await feed.create()
    for number in range(9):
        item = await feed.amend(item, str(number))
    assert [(await following(fast)).event.revision for _ in range(10)] == list(range(10))
    found = [await reader.next(20) for _ in range(11)]
    (place,) = [number for number, each in enumerate(found) if isinstance(each, EventsLost)]
    lost = found.pop(place)
    assert [each.event.revision for each in found if isinstance(each, ReadEvent)] == list(range(10))
    again = EventReader(feed.store, feed.hub, EventSelection(account_id=ACCOUNT), lost.cursor)  # type: ignore[union-attr]
    assert [(await following(again)).event.revision for _ in range(10 - place)] == list(range(place, 10))


async def test_readers_continue_after_an_outage(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_hub, "_RETRY_SECONDS", 0.05)
    reader = await feed.reader()
    feed.fail = True
    item = await feed.create()
    for number in range(5):
        item = await feed.amend(item, str(number))
    assert [(await following(reader)).event.revision for _ in range(6)] == list(range(6))
    assert await reader.next(0.1) is None
    assert feed.watches == 2


async def test_the_watch_ends_some_time_after_the_last_reader(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_hub, "LINGER_SECONDS", 0.0)
    reader = await feed.reader()
    await reader.aclose()
    (watching,) = [task for task in asyncio.all_tasks() if task.get_name() == "event watch"]
    await asyncio.wait((watching,), timeout=20)
    assert watching.done()
    reader = await feed.reader()
    await feed.create()
    assert (await following(reader)).event.revision == 0
    assert feed.watches == 2


async def test_waiting_readers_end_with_the_server(feed: Feed) -> None:
    reader = await feed.reader()
    waiting = asyncio.create_task(reader.next(None))
    await asyncio.sleep(0)
    await feed.hub.stop()
    with pytest.raises(StoreUnavailableError, match="the server stops"):
        await waiting


async def test_a_store_that_cannot_be_watched_is_an_error(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_hub, "START_SECONDS", 0.1)

    async def never() -> AsyncGenerator[NewEvents]:
        await asyncio.Event().wait()
        yield NewEvents((), 0)

    monkeypatch.setattr(feed.store, "watch_events", never)
    with pytest.raises(StoreUnavailableError, match="watched"):
        await feed.reader()
