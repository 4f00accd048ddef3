"""The events of a webhook that wait: failed ones, and the later ones of their recordings, in order."""

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import replace

from recordings.model.feed_event import EventPosition, FeedEvent
from recordings.model.instants import Millis
from recordings.model.webhook import WaitingEvent


class WaitingEvents:
    """The waiting events by subject. The first one of a subject, its head, holds back the others."""

    def __init__(self, events: Iterable[WaitingEvent]) -> None:
        """`events` are sorted by position."""
        self._by_subject: dict[str, deque[WaitingEvent]] = {}
        for each in events:
            self._by_subject.setdefault(each.event.subject, deque()).append(each)

    def __len__(self) -> int:
        """Return how many events wait."""
        return sum(map(len, self._by_subject.values()))

    def __contains__(self, subject: object) -> bool:
        """Return true if events of a subject wait."""
        return subject in self._by_subject

    @property
    def sorted(self) -> tuple[WaitingEvent, ...]:
        """All events, by position."""
        found = (each for events in self._by_subject.values() for each in events)
        return tuple(sorted(found, key=lambda each: each.event.position))

    @property
    def next_due(self) -> Millis | None:
        """The time of the next attempt."""
        return min((events[0].due_at for events in self._by_subject.values()), default=None)

    def has(self, event: FeedEvent) -> bool:
        """Return true if an event waits."""
        return any(each.event.key == event.key for each in self._by_subject.get(event.subject, ()))

    def put(self, waiting: WaitingEvent, *, is_head_sent: bool = False) -> None:
        """Add an event at its place. A replay reads events that are earlier than waiting ones.

        It comes behind a head that is being sent.
        """
        events = self._by_subject.setdefault(waiting.event.subject, deque())
        place, first = len(events), 1 if is_head_sent else 0
        while place > first and events[place - 1].event.position > waiting.event.position:
            place -= 1
        events.insert(place, waiting)

    def remove(self, event: FeedEvent) -> None:
        """Remove an event if it is the head of its subject."""
        events = self._by_subject.get(event.subject)
        if events and events[0].event.key == event.key:
            events.popleft()
            if not events:
                del self._by_subject[event.subject]

    def due(self, now: Millis, in_flight: Collection[str], last: EventPosition | None = None) -> WaitingEvent | None:
        """Return the due head with the fewest attempts. Leave out subjects `in_flight`, and heads behind `last`."""
        heads = (events[0] for subject, events in self._by_subject.items() if subject not in in_flight)
        found = (each for each in heads if each.due_at <= now and (last is None or each.event.position <= last))
        return min(found, key=lambda each: (each.attempts, each.event.position), default=None)

    def make_due(self, now: Millis) -> None:
        """Let all heads be tried now. An attempt before its time does not count."""
        for events in self._by_subject.values():
            head = events[0]
            events[0] = replace(head, attempts=max(0, head.attempts - 1), due_at=min(head.due_at, now))
