"""The subscriptions: their types, and the streams that their fields return."""

from collections.abc import AsyncGenerator, AsyncIterator, Hashable
from dataclasses import dataclass, replace
from typing import Annotated, Any, cast

import strawberry
from strawberry import UNSET

from graph.execution.compiler import PlanInput
from graph.schema.call_subscription import subscribe_to_calls
from graph.schema.change_kinds import ChangeKind
from graph.schema.event_connection import (
    NOW,
    AccountId,
    Filter,
    RecordingEvent,
    cursor_of,
    event_source,
    selection_of,
)
from graph.schema.field_info import Info
from graph.schema.node_types import Recording
from graph.schema.partial_input import value_or_none
from graph.schema.prefetch import needs_prefetch, prefetch_for_recordings
from recordings.model.feed_event import RECORDING_EVENTS
from recordings.model.fields import RecordingRow
from recordings.ports.live_events import Listener
from recordings.rules.cursor import Cursors
from recordings.use_cases.event_reader import EventReader, EventsLost, ReadEvent

Since = Annotated[
    str | None,
    strawberry.argument(
        description="Begin after this place: the `cursor` of an item or of an event, or a time such as "
        "`2026-11-22T08:19:00Z`. Default: now. A client that subscribes again with the `cursor` of the last item that "
        "it has got misses no change, and gets none twice."
    ),
]
Descendants = Annotated[
    bool | None, strawberry.argument(description="Whether to follow the recordings of all accounts below, too.")
]


def _resolve_recording(change: strawberry.Parent[Any], info: Info) -> Recording | None:
    row = change.recording
    if row is None:
        return None
    # Usually there is nothing to wait for. Then the result needs no task.
    found: Any = _prefetched(info, row) if needs_prefetch(info) else PlanInput(row)
    return cast("Recording", found)


async def _prefetched(info: Info, row: RecordingRow) -> PlanInput:
    await prefetch_for_recordings(info, [row])
    return PlanInput(row)


@strawberry.type(description="An item of `recordingChanged`.")
class RecordingChange:
    kind: ChangeKind = strawberry.field(description="What happened.")
    recording: Recording | None = strawberry.field(
        resolver=_resolve_recording,
        description="The recording after the change, or with its later changes, too. Null if it was purged, and for "
        "`EVENTS_LOST`.",
    )
    event: RecordingEvent | None = strawberry.field(
        description="The event of the change, as in `recordingEvents`. Null for `EVENTS_LOST`."
    )
    cursor: str = strawberry.field(description="The place behind this item, for `since`.")


@dataclass(frozen=True, slots=True)
class ChangeSource:
    """The source of a `RecordingChange`."""

    read: ReadEvent | EventsLost
    cursors: Cursors

    @property
    def identity(self) -> Hashable:
        """A value that is equal for sources with the same fields. It is valid while this source exists."""
        read = self.read
        return read.cursor if isinstance(read, EventsLost) else (read.cursor, read.event.key, id(read.row))

    @property
    def is_lost(self) -> bool:
        """True if the item reports lost events."""
        return isinstance(self.read, EventsLost)

    @property
    def kind(self) -> ChangeKind:
        """The type of the event."""
        return ChangeKind.EVENTS_LOST if isinstance(self.read, EventsLost) else ChangeKind(self.read.event.type)

    @property
    def event(self) -> dict[str, Any] | None:
        """The values of the event."""
        return None if isinstance(self.read, EventsLost) else event_source(self.read)

    @property
    def recording(self) -> Any:
        """The row of the recording."""
        return None if (event := self.event) is None else event["recording"]

    @property
    def cursor(self) -> str:
        """The text of the cursor."""
        return self.cursors.write_event(self.read.cursor)


class ChangeStream(AsyncIterator[ChangeSource]):
    """The items of one subscription. Close it with `aclose`."""

    def __init__(self, reader: EventReader, cursors: Cursors) -> None:
        self._reader = reader
        self._before = self._last = reader.place
        self._cursors = cursors

    async def __anext__(self) -> ChangeSource:
        """Return the next item. After a `StoreUnavailableError`, this can be called again."""
        return self._source(await anext(self._reader))

    def _source(self, read: ReadEvent | EventsLost) -> ChangeSource:
        self._before, self._last = self._last, read.cursor
        return ChangeSource(read, self._cursors)

    @property
    def has_next(self) -> bool:
        """True if there may be an item for `next_now`."""
        return self._reader.has_next

    def listen(self, listener: Listener) -> None:
        """Call a listener for each new item, while `__anext__` waits for one. It may call `next_now`."""
        self._reader.listen(listener)

    def next_now(self) -> ChangeSource | None:
        """Return the next item, while `__anext__` waits for one; `None` if there is none."""
        read = self._reader.next_now()
        return None if read is None else self._source(read)

    def put_back(self) -> None:
        """Let `__anext__` return the last item of `next_now` again."""
        self._last = self._before
        self._reader.go_back(self._before)

    async def aclose(self) -> None:
        """End the subscription."""
        await self._reader.aclose()


async def _subscribe_to_recordings(
    info: Info,
    filter: Filter = UNSET,
    account_id: AccountId = UNSET,
    descendants: Descendants = False,
    since: Since = UNSET,
) -> AsyncGenerator[RecordingChange]:
    context = info.context
    selection = selection_of(context, value_or_none(filter), value_or_none(account_id), descendants=bool(descendants))
    if selection.types is None:
        selection = replace(selection, types=RECORDING_EVENTS)
    place = context.since or value_or_none(since)
    cursor = None if place in {None, NOW} else await cursor_of(context, place)
    reader = await context.events.follow(context.principal, selection, cursor, now=context.clock.now())
    return cast("AsyncGenerator[RecordingChange]", ChangeStream(reader, context.cursors))


@strawberry.type(
    description="The subscriptions: over a WebSocket (the protocol `graphql-transport-ws`), with server-sent events, "
    "or as a multipart response. The same limits and prices apply as to queries. A subscription ends when its "
    "credentials expire or are revoked."
)
class Subscription:
    recording_changed = strawberry.subscription(
        resolver=_subscribe_to_recordings,
        description="The changes of recordings as they happen. Changes of one recording are in order. A client that "
        "subscribes again with `since` misses none. Needs the scope READ.",
    )
    calls_changed = strawberry.subscription(
        resolver=subscribe_to_calls,
        description="The calls of an account in progress, and then each change as it happens, on all servers of the "
        "installation. Needs the scope READ.",
    )
