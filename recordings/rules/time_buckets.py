"""The edges of buckets of time in a time zone.

A bucket is a half-open range of instants. Quarter-hours and hours follow the clock on the wall: they begin where the
local time is a multiple of their length, and where the offset of the zone changes. So an hour that the clock repeats
gives two buckets, with different offsets. Days, weeks and months begin at the first instant of their first date. So a
day has 23 or 25 hours if the offset changes, it may begin at 01:00, and a date that the zone skipped has no bucket.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from recordings.model.errors import InvalidInput
from recordings.model.instants import DAY, HOUR, MINUTE, SECOND, Millis, to_millis
from recordings.model.stats import Bucket

EARLIEST_EDGE: Final = -2_208_988_800_000
"""1900-01-01T00:00:00Z."""
LATEST_EDGE: Final = 7_258_118_400_000
"""2200-01-01T00:00:00Z."""
_SIZES: Final = {Bucket.QUARTER_HOUR: 15 * MINUTE, Bucket.HOUR: HOUR}
_SHORTEST: Final = {**_SIZES, Bucket.DAY: DAY, Bucket.WEEK: 7 * DAY, Bucket.MONTH: 28 * DAY}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MACHINE: Final = frozenset({"localtime", "Factory", "posixrules"})
"""Names that mean something else on each machine."""


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Return the names of all zones of the IANA database."""
    return frozenset(available_timezones()) - _MACHINE


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone.

    Raises:
        InvalidInput: there is no such zone.
    """
    if name not in zone_names():
        allowed = "a name of the IANA time zone database, such as Europe/Berlin or UTC"
        raise InvalidInput.of(("time_zone",), "enum", name, allowed)
    return ZoneInfo(name)


def bucket_count(bucket: Bucket, gte: Millis, lt: Millis) -> int:
    """Return an upper estimate of the number of buckets in a period."""
    return (lt - gte) // _SHORTEST[bucket] + 2


def bucket_edges(zone: ZoneInfo, bucket: Bucket, gte: Millis, lt: Millis) -> list[Millis]:
    """Return the edges of the buckets of a period, ascending.

    The first edge is the start of the bucket that contains `gte`, the last is at or after `lt`. The period must lie
    between `EARLIEST_EDGE` and `LATEST_EDGE`.
    """
    edges: list[Millis] = []
    for edge in _all_edges(zone, bucket, gte):
        if edge <= gte:
            edges = [edge]
        elif edge != edges[-1]:
            edges.append(edge)
        if edge >= lt:
            break
    return edges


@lru_cache(maxsize=16_384)
def iso_in_zone(zone: ZoneInfo, at: Millis) -> str:
    """Return an instant as RFC 3339 text with the offset of the zone: `2026-10-25T02:00:00.000+01:00`."""
    return _local(zone, at).isoformat(timespec="milliseconds")


def _all_edges(zone: ZoneInfo, bucket: Bucket, gte: Millis) -> Iterator[Millis]:
    """Yield the edges from one at or before `gte` on, without an end."""
    size = _SIZES.get(bucket)
    return _calendar_edges(zone, bucket, gte) if size is None else _clock_edges(zone, size, gte)


def _clock_edges(zone: ZoneInfo, size: Millis, gte: Millis) -> Iterator[Millis]:
    begin = gte - size
    while True:
        offset = _offset(zone, begin)
        end = begin + DAY
        changes = _offset(zone, end) != offset
        if changes:
            end = _first_instant(begin, end, lambda at: _offset(zone, at) != offset)  # noqa: B023 - called at once
        yield from range(begin + -(begin + offset) % size, end, size)
        if changes:
            yield end
        begin = end


def _calendar_edges(zone: ZoneInfo, bucket: Bucket, gte: Millis) -> Iterator[Millis]:
    day = _local(zone, gte).date()
    if bucket is Bucket.WEEK:
        day -= timedelta(days=day.weekday())
    elif bucket is Bucket.MONTH:
        day = day.replace(day=1)
    while True:
        yield start_of(zone, day)
        if bucket is Bucket.MONTH:
            day = (day + timedelta(days=31)).replace(day=1)
        else:
            day += timedelta(days=1 if bucket is Bucket.DAY else 7)


def start_of(zone: ZoneInfo, day: date) -> Millis:
    """Return the first instant of a date. If the zone skips the date, return the first instant after it."""
    midnight = to_millis(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC))
    local = _local(zone, midnight)
    if (local.date(), local.hour, local.minute, local.second) == (day, 0, 0, 0):
        return midnight
    # The zone has no midnight on this date.
    return _first_instant(midnight - DAY, midnight + 2 * DAY, lambda at: _local(zone, at).date() >= day)


def _first_instant(low: Millis, high: Millis, is_after: Callable[[Millis], bool]) -> Millis:
    """Return the first instant in whole seconds for which a condition holds: for `high` it does, for `low` not."""
    before, after = low // SECOND, -(-high // SECOND)
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (before, middle) if is_after(middle * SECOND) else (middle, after)
    return after * SECOND


def _local(zone: ZoneInfo, at: Millis) -> datetime:
    return (_EPOCH + timedelta(milliseconds=at)).astimezone(zone)


def _offset(zone: ZoneInfo, at: Millis) -> Millis:
    offset = _local(zone, at).utcoffset() or timedelta()
    return (offset.days * 86_400 + offset.seconds) * SECOND
