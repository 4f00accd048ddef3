"""The order of a listing."""

from typing import Final

import strawberry

from graph.schema.enums import OrderDirection
from recordings.model.query import Order, OrderField


@strawberry.input(
    description="What recordings are sorted by. Those that are equal in it are sorted by their id, in the same "
    "direction, so the order is total."
)
class RecordingOrder:
    field: OrderField = strawberry.field(description="What to sort by.")
    direction: OrderDirection = strawberry.field(description="Which way.")


NEWEST_FIRST: Final = RecordingOrder(field=OrderField.START, direction=OrderDirection.DESC)


def to_order(given: RecordingOrder | None) -> Order:
    """The domain's order."""
    chosen = given or NEWEST_FIRST
    return Order(chosen.field, descending=chosen.direction is OrderDirection.DESC)
