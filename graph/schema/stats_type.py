"""The result types of `recordingStats`. Their sources are the figures of the domain."""

from typing import Annotated, Any

import strawberry

from graph.execution.compiler import PlanInput
from graph.schema.enums import Direction, EndCause, Reason, State, StoredFormat
from graph.schema.scalars import BigInt, DateTime
from recordings.model import stats as domain
from recordings.model.errors import InvalidInput

Percentile = Annotated[float, strawberry.argument(description="The percentile: a number from 0 to 100.")]


def check_percentile(percentile: float) -> None:
    """Raise `InvalidInput` if there is no such percentile."""
    if not 0 <= percentile <= 100:  # noqa: PLR2004 - percent
        raise InvalidInput.of(("percentile",), "maximum", percentile, "a number from 0 to 100")


def duration_at(figures: domain.Figures, percentile: float) -> BigInt | None:
    """Return a percentile of the durations.

    Raises:
        InvalidInput: there is no such percentile.
    """
    check_percentile(percentile)
    found = figures.duration_ms(percentile)
    return None if found is None else BigInt(found)


def _resolve_duration(figures: strawberry.Parent[Any], percentile: Percentile) -> BigInt | None:
    return duration_at(figures, percentile)


@strawberry.interface(description="The figures of a group of recordings.")
class Figures:
    count: int = strawberry.field(description="The number of recordings.")
    measured: int = strawberry.field(description="The number of recordings with a known duration.")
    audio_ms: BigInt = strawberry.field(description="The sum of their durations in milliseconds.")
    bytes: BigInt = strawberry.field(description="The sum of the sizes of their stored audio in bytes.")
    average_ms: float | None = strawberry.field(
        description="The average duration in milliseconds. Null if no duration is known."
    )
    shortest_ms: BigInt | None = strawberry.field(
        description="The shortest duration in milliseconds. Null if no duration is known."
    )
    longest_ms: BigInt | None = strawberry.field(
        description="The longest duration in milliseconds. Null if no duration is known."
    )
    duration_ms: BigInt | None = strawberry.field(
        resolver=_resolve_duration,
        description="A percentile of the durations in milliseconds, by the nearest rank, within 1 %. "
        "Null if no duration is known.",
    )
    failure_rate: float | None = strawberry.field(
        description="The share of the recordings that are FAILED or LOST, from 0 to 1. In the trash: the share that "
        "was FAILED or LOST before. Null without recordings."
    )


@strawberry.type(description="The figures of all recordings of a period.")
class RecordingFigures(Figures):
    @classmethod
    def is_type_of(cls, source: Any, *_: Any) -> bool:
        return type(source) is domain.Figures


def _only_if_grouped(what: str) -> str:
    return f"{what} Null if the recordings have none, in the row `other`, and without it in `groupBy`."


@strawberry.type(description="The figures of one bucket of time and one group.")
class RecordingStatsRow(Figures):
    bucket_start: str = strawberry.field(
        description="The start of the bucket in RFC 3339, with the offset of the time zone at that time: "
        "`2026-10-25T02:00:00.000+01:00`. It may be before the period. Without `bucket`, the start of the period."
    )
    bucket_end: str = strawberry.field(
        description="The end of the bucket: the start of the next one. It may be after the period."
    )
    other: bool = strawberry.field(description="Whether this row is the sum of the groups that `top` left out.")
    account_id: strawberry.ID | None = strawberry.field(description=_only_if_grouped("The plain id of the account."))
    owner_id: strawberry.ID | None = strawberry.field(description=_only_if_grouped("The id of the user."))
    endpoint_id: strawberry.ID | None = strawberry.field(description=_only_if_grouped("The id of the device."))
    direction: Direction | None = strawberry.field(description=_only_if_grouped("The direction of the call."))
    state: State | None = strawberry.field(description=_only_if_grouped("The state of the recordings."))
    reason: Reason | None = strawberry.field(description=_only_if_grouped("The reason of the state."))
    end_cause: EndCause | None = strawberry.field(description=_only_if_grouped("The event that ended the audio."))
    label: str | None = strawberry.field(description=_only_if_grouped("The label."))
    format: StoredFormat | None = strawberry.field(description=_only_if_grouped("The format of the audio."))

    @classmethod
    def is_type_of(cls, source: Any, *_: Any) -> bool:
        return isinstance(source, domain.StatsRow)


def _resolve_rows(result: strawberry.Parent[domain.StatsResult]) -> list[RecordingStatsRow]:
    rows: Any = PlanInput(result.rows)
    return rows  # type: ignore[no-any-return]


@strawberry.type(description="Figures of recordings.")
class RecordingStats:
    rows: list[RecordingStatsRow] = strawberry.field(
        resolver=_resolve_rows,
        description=f"One row for each bucket and group with recordings, at most {domain.MAX_ROWS:,}.",
    )
    total: RecordingFigures = strawberry.field(description="The figures of all recordings of the period.")
    as_of: DateTime = strawberry.field(description="The time at which the recordings were counted.")
