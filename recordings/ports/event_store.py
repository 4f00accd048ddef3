"""The port for stored events: read them in their order, and watch for new ones."""

from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from recordings.model.feed_event import EventPosition, FeedEvent
from recordings.model.instants import Millis


@dataclass(frozen=True, slots=True)
class NewEvents:
    """Events that were committed since the last batch, sorted by position.

    All events with a stamp before `complete_to` are in this batch or in earlier ones, or were committed before the
    watch began. With `has_gap`, the watch has missed events: its readers must read them from the store.
    """

    events: Sequence[FeedEvent]
    complete_to: Millis
    has_gap: bool = False


class EventStore(Protocol):
    """Stores the events of recordings and of accounts.

    `RecordingStore.insert` and `save` store the event of a recording in the same write. The store sets its `stamp` to
    the `changed` of that write, so `RecordingStore.watermark` is a watermark of events, too.
    """

    async def events(
        self, account_ids: Collection[str], after: EventPosition, below: Millis | None, limit: int
    ) -> Sequence[FeedEvent]:
        """Return the first events of these accounts after a position, sorted by position.

        They have a stamp before `below`. With `None`, they are all that are visible now: up to the watermark none is
        missing; behind it, another one may appear between them later.
        """

    async def add_event(self, event: FeedEvent) -> None:
        """Store an event of an account's settings. A second one with the same subject and revision changes nothing."""

    def watch_events(self) -> AsyncGenerator[NewEvents]:
        """Yield the new events of all accounts soon after their commit, each of them once.

        The first batch is empty. Everything that is committed after it will be yielded. An empty batch follows at
        least once a second, as long as the store is reachable. The watch itself reconnects to the store.
        """
