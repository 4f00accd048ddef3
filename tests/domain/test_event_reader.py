"""Readers of events, against a store whose writes commit in any order: no gap, nothing twice, recordings in order."""

from typing import Any, cast
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from recordings.model.errors import InvalidCursor
from recordings.model.feed_event import EventCursor, EventPosition, EventSelection, EventType, FeedEvent
from recordings.ports.recording_store import MetadataStore
from recordings.rules.cursor import Cursors
from recordings.use_cases import event_reader
from recordings.use_cases.event_reader import MAX_SEEN, VISIBLE_AGE, EventReader, EventsLost, ReadEvent, mark_of
from tests.support.memory_events import ACCOUNT, MemoryEvents

SUBJECTS = st.sampled_from(["r1", "r2", "r3"])
CURSORS = Cursors(b"c" * 32)
WANTED = frozenset({EventType.AMENDED, EventType.STORED})


def run(coroutine: Any) -> Any:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


class Readers(RuleBasedStateMachine):
    """One client reads, and reconnects at any time with its last cursor."""

    max_seen = MAX_SEEN

    def __init__(self) -> None:
        super().__init__()
        self.small_pages = patch.object(event_reader, "PAGE", 5)
        self.small_pages.start()
        self.store = MemoryEvents()
        self.received: list[FeedEvent] = []
        self.cursor = EventCursor()
        self.must_put_back = False
        self.reader = self.opened()

    def opened(self) -> EventReader:
        selection = EventSelection(account_id=ACCOUNT, types=WANTED)
        reader = EventReader(
            cast("MetadataStore", self.store), self.store, selection, self.cursor, max_queued=4, max_seen=self.max_seen
        )
        reader.listen(self.take_now)
        return reader

    def take_now(self) -> bool:
        """Take events without `next`, as a server with many subscribers does. Sometimes the client is not ready."""
        while self.reader.has_next:
            before = self.cursor
            found = self.reader.next_now()
            if found is None:
                continue
            if self.must_put_back:
                self.reader.go_back(before)
                return False
            self.cursor = found.cursor
            if isinstance(found, ReadEvent):
                self.received.append(found.event)
        return True

    @rule(must_put_back=st.booleans())
    def ring_while_waiting(self, must_put_back: bool) -> None:
        self.read(10_000)
        self.must_put_back = must_put_back
        self.store.readers_wait = True
        self.store.ring()
        self.store.readers_wait = False

    @rule(subject=SUBJECTS, kind=st.sampled_from([EventType.AMENDED, EventType.STORED, EventType.HELD]))
    def begin(self, subject: str, kind: EventType) -> None:
        self.store.begin(subject, kind)

    @rule(place=st.integers(0, 9))
    def commit(self, place: int) -> None:
        self.store.commit(place)

    @rule()
    def ring(self) -> None:
        self.store.ring()

    @rule()
    def advance(self) -> None:
        self.store.advance()

    @rule()
    def lose(self) -> None:
        self.store.lose()

    @rule(place=st.integers(0, 9), subject=SUBJECTS, advances=st.booleans())
    def while_reading(self, place: int, subject: str, advances: bool) -> None:
        def act() -> None:
            self.store.begin(subject)
            self.store.commit(place)
            if advances:
                self.store.advance()
            self.store.ring()

        self.store.between.append(act)

    @rule(most=st.integers(1, 9))
    def read(self, most: int) -> None:
        for _ in range(most):
            found = run(self.reader.next(0))
            if isinstance(found, ReadEvent):
                self.received.append(found.event)
                self.cursor = found.cursor
            elif isinstance(found, EventsLost):
                self.cursor = found.cursor
            else:
                return

    @rule(of_event=st.booleans())
    def reconnect(self, of_event: bool) -> None:
        if not of_event:
            self.cursor = self.reader.cursor
        run(self.reader.aclose())
        self.reader = self.opened()

    @invariant()
    def has_a_short_cursor(self) -> None:
        assert len(self.cursor.seen) <= self.max_seen

    @invariant()
    def has_each_event_once_and_in_order(self) -> None:
        assert len({event.key for event in self.received}) == len(self.received)
        for subject in ("r1", "r2", "r3"):
            revisions = [event.revision for event in self.received if event.subject == subject]
            assert revisions == sorted(revisions)

    def teardown(self) -> None:
        try:
            self.receives_everything()
        finally:
            self.small_pages.stop()

    def receives_everything(self) -> None:
        self.store.between.clear()
        while self.store.begun:
            self.store.commit(0)
        self.store.advance()
        self.store.ring()
        self.read(10_000)
        self.has_each_event_once_and_in_order()
        wanted = {event.key for event in self.store.visible if event.type in WANTED}
        assert {event.key for event in self.received} == wanted


class HeldReaders(Readers):
    """The same with cursors that name few events, so that the reader is often held."""

    max_seen = 3


HeldReaders.TestCase.settings = settings(max_examples=100, stateful_step_count=30)
TestHeldReaders = HeldReaders.TestCase
Readers.TestCase.settings = settings(max_examples=100, stateful_step_count=30)
TestReaders = Readers.TestCase


def test_a_cursor_with_all_marks_fits_into_a_url_and_is_read_again() -> None:
    subject = f"202611-{'5f' * 16}"
    marks = tuple(mark_of(subject, revision) for revision in range(MAX_SEEN))
    for seen in ((), marks[:1], marks):
        cursor = EventCursor(EventPosition(1_795_336_400_000, subject, 7), seen)
        text = CURSORS.write_event(cursor)
        assert len(text) < 4_300
        assert CURSORS.read_event(text, ("since",)) == cursor
    with pytest.raises(InvalidCursor):
        CURSORS.read_event(text[:-9], ("since",))


async def test_marks_of_events_that_no_longer_exist_do_not_hold_a_reader_for_ever() -> None:
    store = MemoryEvents()
    store.advance()
    position = EventPosition(await store.watermark() - 1)
    marks = tuple(mark_of("gone", revision) for revision in range(MAX_SEEN))
    selection = EventSelection(account_id=ACCOUNT)
    reader = EventReader(cast("MetadataStore", store), store, selection, EventCursor(position, marks))
    assert await reader.next(0) is None
    assert len(reader.place.seen) == MAX_SEEN
    store.now += VISIBLE_AGE
    store.begin("r1")
    store.commit(0)
    store.advance()
    found = await reader.next(0)
    assert isinstance(found, ReadEvent)
    assert await reader.next(0) is None
    assert reader.cursor.seen == ()
