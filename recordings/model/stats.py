"""Figures of recordings: the question, and the rows of its result.

A question has a period, an optional bucket of time, up to three dimensions and a filter. Its result has one row for
each bucket and each group of values, and a total over the period.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from recordings.model.histogram import Histogram, percentile
from recordings.model.instants import Millis
from recordings.model.query import EVERYTHING, Condition

MAX_ROWS: Final = 10_000
"""Maximum number of buckets, and of rows, in one result."""
MAX_GROUP_BY: Final = 3
MAX_TOP: Final = 1_000
MAX_ACCOUNTS: Final = 1_000
"""Maximum number of accounts in one question about an account and its descendants."""


class PeriodField(StrEnum):
    """The time of a recording that decides to which period and bucket it belongs.

    `START` is answered from counted figures. The other two are answered by reading the recordings of the period, so
    their periods must be short on large accounts.
    """

    START = "start"
    CREATED = "created"
    ENDED = "ended"


class Bucket(StrEnum):
    """A part of time in a time zone, from the shortest to the longest. A week begins on Monday (ISO 8601)."""

    QUARTER_HOUR = "QUARTER_HOUR"
    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"


class Dimension(StrEnum):
    """A field that recordings can be grouped by. The value is the name of the field in a row."""

    ACCOUNT = "account_id"
    OWNER = "owner_id"
    ENDPOINT = "endpoint_id"
    DIRECTION = "direction"
    STATE = "state"
    REASON = "reason"
    END_CAUSE = "end_cause"
    LABEL = "label"
    FORMAT = "format"


class Measure(StrEnum):
    """A value that the rows can be sorted by. The value is the name of the attribute of a row."""

    BUCKET = "bucket_start"
    COUNT = "count"
    MEASURED = "measured"
    AUDIO_MS = "audio_ms"
    BYTES = "bytes"
    AVERAGE_MS = "average_ms"
    SHORTEST_MS = "shortest_ms"
    LONGEST_MS = "longest_ms"
    FAILURE_RATE = "failure_rate"


@dataclass(frozen=True, slots=True)
class StatsOrder:
    """The order of the rows. Rows with equal values are sorted by bucket and then by group."""

    measure: Measure = Measure.BUCKET
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Period:
    """The instants from `gte` up to, but not including, `lt`."""

    gte: Millis
    lt: Millis
    field: PeriodField = PeriodField.START


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsQuery:
    """A question about the recordings of an account.

    - `account_id`: `None` for the caller's own account. `descendants`: also the accounts below it.
    - `bucket`: `None` for a single row over the whole period.
    - `trashed`: count the trash instead of the live recordings.
    - `fill`: return rows with zeros for the buckets in which a group has no recordings.
    - `top`: return only so many groups, the first ones by `order`, and one row `other` for the rest.
    - `histograms`: the caller needs percentiles.
    """

    period: Period
    account_id: str | None = None
    bucket: Bucket | None = None
    time_zone: str = "UTC"
    group_by: tuple[Dimension, ...] = ()
    where: Condition = EVERYTHING
    descendants: bool = False
    trashed: bool = False
    fill: bool = False
    order: StatsOrder = StatsOrder()
    top: int | None = None
    histograms: bool = True


@dataclass(slots=True)
class Figures:
    """The figures of a group of recordings.

    - `count`: all recordings. `measured`: those with a known duration.
    - `audio_ms`: the sum of their durations. `bytes`: the sum of the sizes of their stored audio.
    - `failed`: the recordings that are `FAILED` or `LOST`, or were before they were deleted.
    """

    count: int = 0
    measured: int = 0
    audio_ms: int = 0
    bytes: int = 0
    failed: int = 0
    shortest_ms: Millis | None = None
    longest_ms: Millis | None = None
    histogram: Histogram = field(default_factory=dict)

    def add(
        self,
        count: int,
        measured: int,
        audio_ms: int,
        size: int,
        failed: int,
        shortest: Millis | None,
        longest: Millis | None,
    ) -> None:
        """Add the figures of other recordings, except their histogram."""
        self.count += count
        self.measured += measured
        self.audio_ms += audio_ms
        self.bytes += size
        self.failed += failed
        if shortest is not None and (self.shortest_ms is None or shortest < self.shortest_ms):
            self.shortest_ms = shortest
        if longest is not None and (self.longest_ms is None or longest > self.longest_ms):
            self.longest_ms = longest

    def values(self) -> "FigureValues":
        """Return the figures as `add` takes them."""
        return (
            self.count,
            self.measured,
            self.audio_ms,
            self.bytes,
            self.failed,
            self.shortest_ms,
            self.longest_ms,
        )

    @property
    def average_ms(self) -> float | None:
        """The average duration; `None` if no duration is known."""
        return self.audio_ms / self.measured if self.measured else None

    @property
    def failure_rate(self) -> float | None:
        """The share of failed recordings, from 0 to 1; `None` without recordings."""
        return self.failed / self.count if self.count else None

    def duration_ms(self, percent: float) -> Millis | None:
        """Return a percentile of the durations, within 1 %; `None` if no duration is known."""
        found = percentile(self.histogram, percent)
        if found is None or self.shortest_ms is None or self.longest_ms is None:
            return None
        return min(max(round(found), self.shortest_ms), self.longest_ms)


FigureValues = tuple[int, int, int, int, int, Millis | None, Millis | None]
"""Count, measured, duration, size, failed, shortest and longest."""


@dataclass(slots=True)
class StatsRow(Figures):
    """The figures of one bucket and one group.

    The bucket is complete, also if the period begins or ends in it. `other` is true for the groups that `top` left out.
    A dimension is `None` if it is not in `group_by`, or if the recordings have no value.
    """

    bucket_start: str = ""
    bucket_end: str = ""
    other: bool = False
    account_id: str | None = None
    owner_id: str | None = None
    endpoint_id: str | None = None
    direction: str | None = None
    state: str | None = None
    reason: str | None = None
    end_cause: str | None = None
    label: str | None = None
    format: str | None = None


@dataclass(frozen=True, slots=True)
class StatsResult:
    """The rows, the figures of all recordings of the period, and the time at which they were counted.

    `examined` is the number of recordings that were counted one by one.
    """

    rows: Sequence[StatsRow]
    total: Figures
    as_of: Millis
    examined: int = field(default=0, compare=False)
