"""The figures of recordings in the simplest way: each recording is looked at once."""

import math
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

from recordings.model.query import matches
from recordings.model.recording import Recording, Shelf, State
from recordings.model.stats import Dimension, Figures, StatsQuery, StatsResult
from recordings.rules.time_buckets import bucket_edges, iso_in_zone

PERCENTS = (0.0, 50.0, 95.0, 99.9, 100.0)
FAILED = {State.FAILED, State.LOST}

Naive = dict[tuple[Any, ...], list[Recording]]


def selected(recordings: Iterable[Recording], query: StatsQuery, account_ids: Iterable[str]) -> list[Recording]:
    """Return the recordings that a question is about."""
    shelf = Shelf.TRASH if query.trashed else Shelf.LIVE
    found = []
    for item in recordings:
        at = getattr(item, query.period.field.value)
        is_in = at is not None and query.period.gte <= at < query.period.lt
        if is_in and item.account_id in account_ids and item.shelf is shelf and matches(query.where, item.to_row()):
            found.append(item)
    return found


def grouped(recordings: Iterable[Recording], query: StatsQuery) -> Naive:
    """Return the recordings by the start of their bucket and their group."""
    zone, period = ZoneInfo(query.time_zone), query.period
    edges = [period.gte] if query.bucket is None else bucket_edges(zone, query.bucket, period.gte, period.lt)
    groups: Naive = {}
    for item in recordings:
        start = max(edge for edge in edges if edge <= getattr(item, period.field.value))
        row: Any = item.to_row()
        key = (iso_in_zone(zone, start), *(row[dimension.value] for dimension in query.group_by))
        groups.setdefault(key, []).append(item)
    return groups


def assert_figures(figures: Figures, recordings: list[Recording], *, percentiles: bool = True) -> None:
    """Compare figures with those of the recordings."""
    durations = sorted(item.duration_ms for item in recordings if item.duration_ms is not None)
    assert figures.count == len(recordings)
    assert figures.measured == len(durations)
    assert figures.audio_ms == sum(durations)
    assert figures.bytes == sum(item.media.length for item in recordings if item.media is not None)
    assert figures.failed == sum(item.state in FAILED or item.trashed_from in FAILED for item in recordings)
    assert figures.shortest_ms == (durations[0] if durations else None)
    assert figures.longest_ms == (durations[-1] if durations else None)
    for percent in PERCENTS if durations and percentiles else ():
        exact = durations[max(1, math.ceil(percent / 100 * len(durations))) - 1]
        found = figures.duration_ms(percent)
        assert found is not None
        # Half a millisecond for the rounding.
        assert abs(found - exact) <= exact * 0.01 + 0.5, (percent, found, exact)


def assert_result(
    result: StatsResult, recordings: Iterable[Recording], query: StatsQuery, account_ids: Iterable[str]
) -> None:
    """Compare a result without `top` and `fill` with the recordings."""
    wanted = selected(recordings, query, account_ids)
    groups = grouped(wanted, query)
    names = [Dimension(dimension).value for dimension in query.group_by]
    found = {(row.bucket_start, *(getattr(row, name) for name in names)): row for row in result.rows}
    assert found.keys() == groups.keys()
    assert len(found) == len(result.rows)
    for key, row in found.items():
        assert_figures(row, groups[key], percentiles=query.histograms)
    assert_figures(result.total, wanted, percentiles=query.histograms)
