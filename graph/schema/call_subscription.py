"""The subscription `callsChanged`: its type, and the stream that its field returns."""

from collections.abc import AsyncGenerator, AsyncIterator, Hashable
from dataclasses import dataclass
from typing import Annotated, Any, cast

import strawberry
from strawberry import UNSET

from graph.execution.compiler import PlanInput
from graph.schema.call_type import LiveCall
from graph.schema.change_kinds import CallUpdateKind
from graph.schema.field_info import Info
from graph.schema.global_id import ACCOUNT, plain
from graph.schema.partial_input import value_or_none
from recordings.model.call import Call
from recordings.model.query import Position
from recordings.ports.call_updates import CallPlace, CallQueue, CallUpdate
from recordings.rules.cursor import Cursors, TimeList

AccountId = Annotated[
    strawberry.ID | None,
    strawberry.argument(description="The global id or the plain id of an account. Default: that of the credentials."),
]
Since = Annotated[
    str | None,
    strawberry.argument(
        description="Begin after this place: the `cursor` of an item. Default: begin with all calls in progress. If "
        "the changes since then are no longer known, or another server answers, the first item is `EVENTS_LOST`."
    ),
]


def _resolve_call(change: strawberry.Parent[Any]) -> LiveCall | None:
    return None if change.call is None else cast("LiveCall", PlanInput(change.call))


@strawberry.type(description="An item of `callsChanged`.")
class CallChange:
    kind: CallUpdateKind = strawberry.field(description="What happened.")
    call: LiveCall | None = strawberry.field(
        resolver=_resolve_call, description="The call after the change. Null for `EVENTS_LOST`."
    )
    cursor: str = strawberry.field(description="The place behind this item, for `since`.")


@dataclass(frozen=True, slots=True)
class CallSource:
    """The source of a `CallChange`."""

    update: CallUpdate
    cursors: Cursors

    @property
    def identity(self) -> Hashable:
        """A value that is equal for sources with the same fields. It is valid while this source exists."""
        return id(self.update)

    @property
    def is_lost(self) -> bool:
        """True if the item reports lost changes."""
        return self.update.kind is CallUpdateKind.EVENTS_LOST

    @property
    def kind(self) -> CallUpdateKind:
        """What happened."""
        return self.update.kind

    @property
    def call(self) -> Call | None:
        """The call."""
        return self.update.call

    @property
    def cursor(self) -> str:
        """The text of the cursor."""
        place = self.update.place
        return self.cursors.encode(TimeList.CALL_CHANGES, Position(place.number, place.watch))


class CallStream(AsyncIterator[CallSource]):
    """The items of one subscription. Close it with `aclose`."""

    def __init__(self, queue: CallQueue, cursors: Cursors) -> None:
        self._queue = queue
        self._cursors = cursors

    async def __anext__(self) -> CallSource:
        """Return the next item."""
        return CallSource(await self._queue.next(), self._cursors)

    async def aclose(self) -> None:
        """End the subscription."""
        self._queue.close()


async def subscribe_to_calls(
    info: Info, account_id: AccountId = UNSET, since: Since = UNSET
) -> AsyncGenerator[CallChange]:
    """Return the changes of the live calls of an account."""
    context = info.context
    account, text = value_or_none(account_id), context.since or value_or_none(since)
    place = None
    if text is not None:
        found = context.cursors.read(TimeList.CALL_CHANGES, text, ("since",))
        place = CallPlace(found.id, int(found.key or 0))
    queue = await context.calls.follow(context.principal, None if account is None else plain(account, ACCOUNT), place)
    return cast("AsyncGenerator[CallChange]", CallStream(queue, context.cursors))
