"""The events that a principal may read: a page of stored ones, or all from a cursor on, as they happen.

The rules are those of recordings: the scope READ, the principal's account and the accounts below it, and only the
events of its own recordings for a principal with an owner.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from recordings.model.account import Principal, Scope
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.errors import InvalidInput
from recordings.model.feed_event import EventCursor, EventPosition, EventSelection
from recordings.model.instants import EARLIEST, Millis
from recordings.model.query import Query
from recordings.ports.audit import Audit, Refusals
from recordings.ports.live_events import MAX_QUEUED, LiveEvents
from recordings.ports.recording_store import MetadataStore
from recordings.rules.access import require_scope
from recordings.use_cases.authorized import Authorized
from recordings.use_cases.event_reader import EventReader, ReadEvent, cursor_behind_visible

MAX_EVENTS: Final = 1_000
"""How many events one page has at most."""
MAX_EXAMINED: Final = 5_000
"""How many events are read for one page. A page of a narrow selection may be short, or empty, before the end."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in order, and the cursor behind them. `has_more`: further events may be before the watermark."""

    events: Sequence[ReadEvent]
    cursor: EventCursor
    has_more: bool
    examined: int


class EventFeed:
    """Reads events for a principal."""

    def __init__(self, store: MetadataStore, live: LiveEvents, audit: Audit) -> None:
        self._audit = audit
        self._store = store
        self._live = live
        self._authorized = Authorized(store)

    async def page(self, principal: Principal, selection: EventSelection, cursor: EventCursor, limit: int) -> EventPage:
        """Return the first events of a selection after a cursor, up to the store's watermark.

        Raises:
            Forbidden: the principal does not have the scope READ.
            NotFound: it may not access the account or the owner.
            InvalidInput: the selection or the limit is not allowed.
        """
        if not 0 <= limit <= MAX_EVENTS:
            raise InvalidInput.of(("first",), "maximum", limit, f"an integer from 0 to {MAX_EVENTS}")
        reader = await self.follow(principal, selection, cursor)
        events: list[ReadEvent] = []
        while len(events) < limit and reader.has_stored and reader.examined < MAX_EXAMINED:
            if (found := await reader.next_stored()) is not None:
                events.append(found)
        end = events[-1].cursor if len(events) == limit and events else reader.cursor if limit else cursor
        return EventPage(events, end, reader.has_stored, reader.examined)

    async def follow(
        self,
        principal: Principal,
        selection: EventSelection,
        cursor: EventCursor | None,
        *,
        now: Millis = EARLIEST,
        max_queued: int = MAX_QUEUED,
    ) -> EventReader:
        """Return a reader of all events of a selection after a cursor. The caller closes it. Raises as `page`.

        Without a cursor, it reads the events that become visible from now on. `now` is the time of this server.
        """
        query = Query(account_id=selection.account_id, owner_id=selection.owner_id, where=selection.where)
        target = AuditObject("events", None, selection.account_id)
        with Refusals(self._audit, principal, AuditAction.LIST, target):
            require_scope(principal, Scope.READ)
            narrowed = await self._authorized.narrow(principal, query)
        self._audit.count(principal, AuditAction.LIST, target)
        allowed = replace(
            selection,
            owner_id=narrowed.owner_id,
            descendants=selection.descendants and principal.owner_id is None,
        )
        if cursor is None:
            cursor = await cursor_behind_visible(self._store, allowed, now)
        return EventReader(self._store, self._live, allowed, cursor, max_queued=max_queued)

    async def now(self) -> EventCursor:
        """Return the cursor behind all events so far that no later one can precede."""
        return EventCursor(EventPosition(await self._store.watermark()))
