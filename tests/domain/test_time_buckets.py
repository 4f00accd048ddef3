"""The edges of buckets of time, in zones with every kind of change of the clock."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordings.model.errors import InvalidInput
from recordings.model.instants import DAY, HOUR, MINUTE, SECOND, Millis, from_iso
from recordings.model.stats import Bucket
from recordings.rules.time_buckets import bucket_edges, iso_in_zone, zone_names, zone_of

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Africa/Casablanca",
    "America/St_Johns",
    "Pacific/Chatham",
)


def local(zone: ZoneInfo, at: Millis) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC).astimezone(zone) if at == 0 else datetime.fromtimestamp(at / SECOND, zone)


def edges(zone: str, bucket: Bucket, gte: str, lt: str) -> list[str]:
    found = zone_of(zone)
    return [iso_in_zone(found, at) for at in bucket_edges(found, bucket, from_iso(gte), from_iso(lt))]


@pytest.mark.parametrize(
    ("zone", "bucket", "gte", "lt", "expected"),
    [
        # The repeated hour gives two buckets; the skipped hour gives none.
        ("Europe/Berlin", Bucket.HOUR, "2026-10-24T23:59:59.999Z", "2026-10-25T02:00:00Z",
         ["10-25T01:00:00.000+02:00", "10-25T02:00:00.000+02:00", "10-25T02:00:00.000+01:00",
          "10-25T03:00:00.000+01:00"]),
        ("Europe/Berlin", Bucket.HOUR, "2026-03-29T00:00:00Z", "2026-03-29T02:00:00Z",
         ["03-29T01:00:00.000+01:00", "03-29T03:00:00.000+02:00", "03-29T04:00:00.000+02:00"]),
        # The clock changes by half an hour.
        ("Australia/Lord_Howe", Bucket.HOUR, "2026-04-04T14:00:00Z", "2026-04-04T16:00:00Z",
         ["04-05T01:00:00.000+11:00", "04-05T01:30:00.000+10:30", "04-05T02:00:00.000+10:30",
          "04-05T03:00:00.000+10:30"]),
        # A day of 25 and one of 23 hours.
        ("Europe/Berlin", Bucket.DAY, "2026-10-25T12:00:00Z", "2026-10-25T12:00:01Z",
         ["10-25T00:00:00.000+02:00", "10-26T00:00:00.000+01:00"]),
        ("Europe/Berlin", Bucket.DAY, "2026-03-29T12:00:00Z", "2026-03-29T12:00:01Z",
         ["03-29T00:00:00.000+01:00", "03-30T00:00:00.000+02:00"]),
        # The day begins at 01:00.
        ("America/Sao_Paulo", Bucket.DAY, "2018-11-04T01:00:00Z", "2018-11-04T12:00:00Z",
         ["11-03T00:00:00.000-03:00", "11-04T01:00:00.000-02:00", "11-05T00:00:00.000-02:00"]),
        # The zone skipped December 30.
        ("Pacific/Apia", Bucket.DAY, "2011-12-29T12:00:00Z", "2011-12-31T09:00:00Z",
         ["12-29T00:00:00.000-10:00", "12-31T00:00:00.000+14:00", "01-01T00:00:00.000+14:00"]),
        ("Asia/Kathmandu", Bucket.QUARTER_HOUR, "2026-01-01T00:00:00Z", "2026-01-01T00:15:00Z",
         ["01-01T05:45:00.000+05:45", "01-01T06:00:00.000+05:45"]),
        # Sunday is the last day of its ISO week.
        ("Asia/Kolkata", Bucket.WEEK, "2026-11-22T12:00:00Z", "2026-11-22T19:00:00Z",
         ["11-16T00:00:00.000+05:30", "11-23T00:00:00.000+05:30", "11-30T00:00:00.000+05:30"]),
        ("UTC", Bucket.MONTH, "2024-01-31T23:59:59.999Z", "2024-03-01T00:00:00Z",
         ["01-01T00:00:00.000+00:00", "02-01T00:00:00.000+00:00", "03-01T00:00:00.000+00:00"]),
    ],
)  # fmt: skip
def test_the_edges_of_buckets(zone: str, bucket: Bucket, gte: str, lt: str, expected: list[str]) -> None:
    assert [edge[5:] for edge in edges(zone, bucket, gte, lt)] == expected


INSTANTS = st.integers(from_iso("1990-01-01T00:00:00Z"), from_iso("2040-01-01T00:00:00Z"))


@given(st.sampled_from(ZONES), st.sampled_from(list(Bucket)), INSTANTS, st.integers(1, 40 * DAY))
@settings(max_examples=150)
def test_each_bucket_has_one_label_of_the_local_time(zone: str, bucket: Bucket, gte: Millis, length: Millis) -> None:
    found = zone_of(zone)
    ends = bucket_edges(found, bucket, gte, gte + length)
    assert ends[0] <= gte < ends[1]
    assert ends[-2] < gte + length <= ends[-1]
    assert ends == sorted(set(ends))
    for first, end in pairwise(ends):
        instants = {first, (first + end) // 2, end - 1, *range(first, end, max(MINUTE, (end - first) // 20))}
        # St. John's once set the clock back at 00:01, so a day there has a minute of the next one.
        labels = {label(found, bucket, at) for at in instants}
        assert len(labels) == 1 or zone == "America/St_Johns", (first, labels)


def label(zone: ZoneInfo, bucket: Bucket, at: Millis) -> object:
    """Return the bucket of an instant by its local time."""
    then = local(zone, at)
    if bucket is Bucket.QUARTER_HOUR:
        return then.date(), then.hour, then.minute // 15, then.utcoffset()
    if bucket is Bucket.HOUR:
        return then.date(), then.hour, then.utcoffset()
    if bucket is Bucket.DAY:
        return then.date()
    return then.isocalendar()[:2] if bucket is Bucket.WEEK else (then.year, then.month)


@given(st.sampled_from(sorted(zone_names())), st.sampled_from(list(Bucket)), INSTANTS)
@settings(max_examples=100)
def test_every_zone_has_buckets(zone: str, bucket: Bucket, gte: Millis) -> None:
    found = bucket_edges(zone_of(zone), bucket, gte, gte + HOUR)
    assert found[0] <= gte
    assert found[-1] >= gte + HOUR
    assert timedelta(milliseconds=found[1] - found[0]) <= timedelta(days=32)


@pytest.mark.parametrize(
    "name", ["", "Mars/Base", "europe/berlin", "../../etc/passwd", "right/UTC", "localtime", "A" * 999]
)
def test_a_zone_that_does_not_exist(name: str) -> None:
    with pytest.raises(InvalidInput, match="time_zone must be a name of the IANA time zone database"):
        zone_of(name)
