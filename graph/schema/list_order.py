"""The `orderBy` argument of a list of recordings."""

from typing import Final

import strawberry

from graph.schema.enums import OrderDirection, OrderField
from recordings.model.query import Order


@strawberry.input(
    description="The order of a list of recordings. Recordings with equal values are sorted by their ids, in the same "
    "direction, so the order is always the same."
)
class RecordingOrder:
    field: OrderField = strawberry.field(description="The field to sort by.")
    direction: OrderDirection = strawberry.field(description="The direction of the order.")


NEWEST_FIRST: Final = RecordingOrder(field=OrderField.START, direction=OrderDirection.DESC)


def to_order(order_by: RecordingOrder | None) -> Order:
    """Return the domain's order for the argument. Null means newest first."""
    chosen = order_by or NEWEST_FIRST
    return Order(chosen.field, descending=chosen.direction is OrderDirection.DESC)
