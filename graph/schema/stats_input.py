"""The input types of `recordingStats`: its period and its order."""

import strawberry

from graph.schema.enums import OrderDirection, StatsMeasure, StatsPeriodField
from graph.schema.scalars import DateTime


@strawberry.input(description="A period of time. It includes `gte` and does not include `lt`.")
class StatsPeriod:
    gte: DateTime = strawberry.field(description="The start of the period.")
    lt: DateTime = strawberry.field(description="The end of the period.")
    field: StatsPeriodField = strawberry.field(
        default=StatsPeriodField.START, description="The time of a recording that must lie in the period."
    )


@strawberry.input(
    description="The order of the rows. Rows with equal values are sorted by bucket and then by group. Rows without a "
    "value sort first in ascending order."
)
class StatsOrder:
    field: StatsMeasure = strawberry.field(description="The value to sort by.")
    direction: OrderDirection = strawberry.field(default=OrderDirection.ASC, description="The direction of the order.")
