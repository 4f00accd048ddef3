"""The resolver of the `recordingStats` fields: it returns figures of the recordings of an account."""

from typing import Annotated, Any, Final

import strawberry
from graphql import FieldNode, value_from_ast_untyped
from strawberry import UNSET

from graph.execution.compiler import PlanInput
from graph.schema.enums import OrderDirection, StatsBucket, StatsDimension
from graph.schema.field_info import Info
from graph.schema.filter_input import RecordingFilter, to_condition
from graph.schema.partial_input import value_or_none
from graph.schema.projection import cached, names_at, nodes_at
from graph.schema.resolver_context import Context
from graph.schema.stats_input import StatsOrder, StatsPeriod
from graph.schema.stats_type import check_percentile
from recordings.model import stats as domain
from recordings.model.account import Account
from recordings.model.errors import QueryTooBroad
from recordings.model.stats import MAX_GROUP_BY, MAX_ROWS, MAX_TOP, StatsQuery

Period = Annotated[StatsPeriod, strawberry.argument(description="The period of the recordings to count.")]
Bucket = Annotated[
    StatsBucket | None,
    strawberry.argument(
        description=f"The length of the buckets of time, at most {MAX_ROWS:,} of them. "
        "Default: one bucket, the whole period."
    ),
]
TimeZone = Annotated[
    str,
    strawberry.argument(
        description="The time zone of the buckets, by its name in the IANA database, such as `Europe/Berlin`. An hour "
        "that the clock repeats gives two buckets. A day may have 23 or 25 hours. Weeks begin on Monday."
    ),
]
GroupBy = Annotated[
    list[StatsDimension] | None,
    strawberry.argument(description=f"The fields to group by, at most {MAX_GROUP_BY}. Default: none."),
]
Filter = Annotated[
    RecordingFilter | None,
    strawberry.argument(
        description="Count only recordings that match. Default: all. A filter on other fields than those of "
        "StatsDimension, or on several of them, may have to read the recordings of the period: see the error "
        "QUERY_TOO_BROAD."
    ),
]
Descendants = Annotated[
    bool | None, strawberry.argument(description="Whether to count the recordings of the accounts below it, too.")
]
Trashed = Annotated[
    bool | None, strawberry.argument(description="Whether to count the trash instead of the live recordings.")
]
Fill = Annotated[
    bool | None,
    strawberry.argument(description="Whether to return rows with zeros for the buckets without recordings of a group."),
]
OrderBy = Annotated[
    StatsOrder | None, strawberry.argument(description="The order of the rows. Default: by bucket, ascending.")
]
Top = Annotated[
    int | None,
    strawberry.argument(
        description=f"Return only so many groups (1 to {MAX_TOP:,}): the first ones by `orderBy` over the whole "
        "period, or those with most recordings if the order is by bucket. All others are added up in one row `other` "
        "for each bucket. Default: all groups."
    ),
]
_NO_ORDER: Final = domain.StatsOrder()


async def resolve_stats(  # noqa: PLR0913, PLR0917 - the arguments of the field
    account: strawberry.Parent[Account | None],
    info: Info,
    period: Period,
    bucket: Bucket = UNSET,
    time_zone: TimeZone = "UTC",
    group_by: GroupBy = UNSET,
    filter: Filter = UNSET,
    descendants: Descendants = False,
    trashed: Trashed = False,
    fill: Fill = False,
    order_by: OrderBy = UNSET,
    top: Top = UNSET,
) -> Any:
    """Return figures of the recordings of an account. Default: the account of the credentials."""
    _check_percentiles(info)
    order = value_or_none(order_by)
    query = StatsQuery(
        period=domain.Period(period.gte, period.lt, period.field),
        account_id=None if account is None else account.id,
        bucket=value_or_none(bucket),
        time_zone=time_zone,
        group_by=tuple(value_or_none(group_by) or ()),
        where=to_condition(value_or_none(filter)),
        descendants=bool(descendants),
        trashed=bool(trashed),
        fill=bool(fill),
        order=_NO_ORDER if order is None else domain.StatsOrder(order.field, order.direction is OrderDirection.DESC),
        top=value_or_none(top),
        histograms="durationMs" in cached(info, _figures_selected),
    )
    return PlanInput(await figures_of(info.context, query))


async def figures_of(context: Context, query: StatsQuery) -> domain.StatsResult:
    """Return figures, and add the recordings that were counted one by one to the cost of the response."""
    try:
        result = await context.recordings.stats.figures(context.principal, query)
    except QueryTooBroad as error:
        context.examined.add(error.examined)
        raise
    context.examined.add(result.examined)
    return result


def _figures_selected(info: Info) -> frozenset[str]:
    return names_at(info, ("rows",), ("total",))


def _durations_selected(info: Info) -> list[FieldNode]:
    return [node for node in nodes_at(info, ("rows",), ("total",)) if node.name.value == "durationMs"]


def _check_percentiles(info: Info) -> None:
    """Check the percentiles before the question. Otherwise each row has an error, or none if there are no rows.

    Raises:
        InvalidInput: there is no such percentile.
    """
    for node in cached(info, _durations_selected):
        for argument in node.arguments or ():
            value = value_from_ast_untyped(argument.value, info.variable_values)
            if isinstance(value, int | float):
                check_percentile(value)
