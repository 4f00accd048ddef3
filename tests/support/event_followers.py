"""Readers of the feed of events that pause and reconnect at random, and the check of what they got."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from recordings.model.feed_event import EventCursor, EventSelection, FeedEvent
from recordings.ports.live_events import LiveEvents
from recordings.ports.recording_store import MetadataStore, StoreUnavailableError
from recordings.use_cases.event_reader import EventReader, ReadEvent
from tests.support.mirror import ACCOUNT

SELECTION = EventSelection(account_id=ACCOUNT)


@dataclass
class Received:
    """What a reader got. It fails if an event of a recording comes before an earlier one."""

    revisions: dict[str, list[int]] = field(default_factory=dict)
    events: int = 0
    repeated: int = 0

    def add(self, event: FeedEvent) -> None:
        """Add an event."""
        known = self.revisions.setdefault(event.subject, [])
        if event.revision in known:
            self.repeated += 1
            return
        assert not known or known[-1] < event.revision, (event, known)
        known.append(event.revision)
        self.events += 1

    async def missing(self, store: MetadataStore) -> list[tuple[str, int]]:
        """Return the missing events. Each revision of a recording of `tests.support.mirror` has one."""
        found: list[tuple[str, int]] = []
        last = ""
        while rows := await store.scan(last, 1_000, frozenset({"id", "revision"})):
            for row in rows:
                got = set(self.revisions.get(row["id"], ()))
                found += [(row["id"], number) for number in range(row["revision"] + 1) if number not in got]
            last = rows[-1]["id"]
        return found


async def follow_pages(
    store: MetadataStore, live: LiveEvents, writing: Sequence[asyncio.Future[Any]], rng: random.Random
) -> Received:
    """Read stored events with a new reader each time, until the writers have ended and nothing is missing."""
    received, cursor = Received(), EventCursor()
    waited = 0
    while waited < 600:
        try:
            reader = EventReader(store, live, SELECTION, cursor)
            for _ in range(rng.choice((1, 50, 1_000))):
                if (found := await reader.next_stored()) is not None:
                    received.add(found.event)
                    cursor = found.cursor
                elif not reader.has_stored:
                    cursor = reader.cursor
                    break
            if not reader.has_stored and all(each.done() for each in writing):
                waited += 1
                if not await received.missing(store):
                    break
        except StoreUnavailableError:
            await asyncio.sleep(0.2)
        await asyncio.sleep(rng.random() * 0.1)
    assert received.repeated == 0
    return received


async def follow_live(
    store: MetadataStore, live: LiveEvents, writing: Sequence[asyncio.Future[Any]], rng: random.Random
) -> Received:
    """Read events as they happen, and reconnect with the last cursor at random."""
    received, cursor = Received(), EventCursor()
    waited = 0
    while waited < 600:
        reader = EventReader(store, live, SELECTION, cursor)
        try:
            for _ in range(rng.choice((10, 300, 3_000))):
                found = await reader.next(0.1)
                if isinstance(found, ReadEvent):
                    received.add(found.event)
                if found is not None:
                    cursor = found.cursor
                elif all(each.done() for each in writing):
                    waited += 1
                    if not await received.missing(store):
                        return received
                elif rng.random() < 0.02:
                    await asyncio.sleep(rng.random() * 3)
        except StoreUnavailableError:
            await asyncio.sleep(0.2)
        finally:
            await reader.aclose()
    return received
