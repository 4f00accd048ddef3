"""The feed of events: the types of `recordingEvents`, and its resolver."""

from dataclasses import dataclass
from typing import Annotated, Any

import strawberry
from strawberry import UNSET

from graph.schema.enums import EventType, Reason, State
from graph.schema.field_info import Info
from graph.schema.filter_input import RecordingFilter, required_owner, to_condition
from graph.schema.global_id import ACCOUNT, RECORDING, plain
from graph.schema.node_types import PageInfo, Recording
from graph.schema.partial_input import value_or_none
from graph.schema.presign import presign
from graph.schema.resolver_context import Context
from graph.schema.scalars import BigInt, DateTime
from recordings.model.errors import InvalidCursor, InvalidInput
from recordings.model.feed_event import BEGINNING, EventCursor, EventPosition, EventSelection
from recordings.model.instants import from_iso
from recordings.model.query import EVERYTHING, MAX_PAGE
from recordings.model.recording import Shelf
from recordings.rules.event_document import event_id
from recordings.use_cases.event_feed import EventPage
from recordings.use_cases.event_reader import ReadEvent

NOW = "now"
SINCE = (
    "Return only events after this place: the `cursor` of an event or of an earlier page, a time such as "
    "`2026-11-22T08:19:00Z`, or `now`. Default: from the first event."
)
DESCENDANTS = "Whether to return the events of all accounts below, too."


@strawberry.input(description="Conditions on events. All that are given must hold.")
class RecordingEventFilter:
    types: list[EventType] | None = strawberry.field(default=None, description="Only events of these types.")
    recording_id: strawberry.ID | None = strawberry.field(
        default=None, description="Only events of this recording. The global id or the plain id."
    )
    recording: RecordingFilter | None = strawberry.field(
        default=None,
        description="Only events of recordings that match, as they are when the event is read. A purged recording "
        "matches every filter.",
    )


@strawberry.type(description="A change of a recording, or of an account's settings.")
class RecordingEvent:
    id: strawberry.ID = strawberry.field(
        description="The id of the event. A client that gets an event again, gets the same id."
    )
    type: EventType = strawberry.field(description="What happened.")
    time: DateTime = strawberry.field(description="When it happened.")
    account_id: strawberry.ID = strawberry.field(description="The plain id of the account.")
    subject: strawberry.ID = strawberry.field(
        description="The plain id of the recording, or of the settings that changed."
    )
    revision: int = strawberry.field(
        description="The revision of the recording that the change made. The events of one recording are in the order "
        "of their revisions."
    )
    state: State | None = strawberry.field(description="The state of the recording after the change.")
    reason: Reason | None = strawberry.field(description="The reason for the state.")
    duration_ms: BigInt | None = strawberry.field(description="The length of the audio in milliseconds, if known.")
    recording: Recording | None = strawberry.field(
        description="The recording as it is now. Null if it was purged, and for changes of settings."
    )


@strawberry.type(description="An event in a page, with its cursor.")
class RecordingEventEdge:
    cursor: str = strawberry.field(description="The place behind this event, for `since`.")
    node: RecordingEvent = strawberry.field(description="The event.")


def _page_info(page: strawberry.Parent[Any]) -> Any:
    return page


@strawberry.type(description="A page of events, in their order.")
class RecordingEventConnection:
    edges: list[RecordingEventEdge] = strawberry.field(description="The events of the page with their cursors.")
    nodes: list[RecordingEvent] = strawberry.field(description="The events of the page.")
    page_info: PageInfo = strawberry.field(
        resolver=_page_info,
        description="The position of the page in the feed. With a filter, further pages may have no event.",
    )
    cursor: str = strawberry.field(
        description="The place behind the page, for `since`. A page without events has one, too: the service has then "
        "looked at other events."
    )


@dataclass(frozen=True, slots=True)
class EventPageSource:
    """The source of a `RecordingEventConnection`, and of its `PageInfo`."""

    edges: list[dict[str, Any]]
    cursor: str
    has_more: bool
    is_start: bool

    @property
    def nodes(self) -> list[dict[str, Any]]:
        """The events."""
        return [edge["node"] for edge in self.edges]

    @property
    def start_cursor(self) -> str | None:
        """The cursor of the first event, or `None` on an empty page."""
        return self.edges[0]["cursor"] if self.edges else None

    @property
    def end_cursor(self) -> str | None:
        """The cursor of the last event, or `None` on an empty page."""
        return self.edges[-1]["cursor"] if self.edges else None

    @property
    def ends(self) -> dict[str, bool]:
        """The values of `hasNextPage` and `hasPreviousPage`."""
        return {"hasNextPage": self.has_more, "hasPreviousPage": not self.is_start}


First = Annotated[
    int, strawberry.argument(description=f"The number of events to return: an integer from 1 to {MAX_PAGE}.")
]
Since = Annotated[str | None, strawberry.argument(description=SINCE)]
Filter = Annotated[RecordingEventFilter | None, strawberry.argument(description="Return only events that match.")]
AccountId = Annotated[
    strawberry.ID | None,
    strawberry.argument(description="The global id or the plain id of an account. Default: that of the credentials."),
]
Descendants = Annotated[bool | None, strawberry.argument(description=DESCENDANTS)]


async def resolve_events(
    info: Info,
    first: First,
    since: Since = UNSET,
    filter: Filter = UNSET,
    account_id: AccountId = UNSET,
    descendants: Descendants = False,
) -> Any:
    """Return a page of the feed of events."""
    context = info.context
    if not 1 <= first <= context.max_page:
        raise InvalidInput.of(("first",), "maximum", first, f"an integer from 1 to {context.max_page}")
    selection = selection_of(context, value_or_none(filter), value_or_none(account_id), descendants=bool(descendants))
    cursor = await cursor_of(context, value_or_none(since))
    page = await context.events.page(context.principal, selection, cursor, first)
    context.examined.add(page.examined)
    await presign(context, [row for each in page.events if (row := _recording(each)) is not None])
    return _source(context, page, is_start=cursor.position == BEGINNING)


def selection_of(
    context: Context, filter: RecordingEventFilter | None, account_id: str | None, *, descendants: bool
) -> EventSelection:
    """Return the selection of a client."""
    where = EVERYTHING if filter is None or filter.recording is None else to_condition(filter.recording)
    types = None if filter is None or filter.types is None else frozenset(filter.types)
    recording_id = None if filter is None else filter.recording_id
    return EventSelection(
        account_id=context.principal.account_id if account_id is None else plain(account_id, ACCOUNT),
        descendants=descendants,
        owner_id=required_owner(where) if context.principal.owner_id is None else None,
        types=types,
        recording_id=None if recording_id is None else plain(recording_id, RECORDING),
        where=where,
    )


async def cursor_of(context: Context, since: str | None) -> EventCursor:
    """Return the place that `since` names.

    Raises:
        InvalidCursor: it is neither a time nor a cursor of this installation.
    """
    if since is None:
        return EventCursor()
    if since == NOW:
        return await context.events.now()
    try:
        return EventCursor(EventPosition(from_iso(since)))
    except ValueError:
        pass
    try:
        return context.cursors.read_event(since, ("since",))
    except InvalidCursor as error:
        allowed = "the cursor of an event, a time such as 2026-11-22T08:19:00Z, or now"
        raise InvalidCursor.of(("since",), "pattern", since, allowed) from error


def event_source(read: ReadEvent) -> dict[str, Any]:
    """Return the values of a `RecordingEvent`."""
    event = read.event
    return {
        "id": event_id(event),
        "type": event.type,
        "time": event.time,
        "account_id": event.account_id,
        "subject": event.subject,
        "revision": event.revision,
        "state": event.state,
        "reason": event.reason,
        "duration_ms": event.duration_ms,
        "recording": _recording(read),
    }


def _recording(read: ReadEvent) -> Any:
    return None if read.row is None or read.row["shelf"] == Shelf.GONE else read.row


def _source(context: Context, page: EventPage, *, is_start: bool) -> EventPageSource:
    cursors = context.cursors
    edges = [{"cursor": cursors.write_event(each.cursor), "node": event_source(each)} for each in page.events]
    return EventPageSource(edges, cursors.write_event(page.cursor), page.has_more, is_start)
