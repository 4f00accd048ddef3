"""The rows of a result, from the figures of each bucket and group: `top`, `other`, `fill`, order and limit."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

from recordings.model.errors import InvalidInput
from recordings.model.histogram import add_all
from recordings.model.instants import Millis, to_iso
from recordings.model.rollup import Key
from recordings.model.stats import (
    MAX_GROUP_BY,
    MAX_ROWS,
    MAX_TOP,
    Bucket,
    Dimension,
    Figures,
    Measure,
    StatsOrder,
    StatsQuery,
    StatsRow,
)
from recordings.rules.time_buckets import (
    EARLIEST_EDGE,
    LATEST_EDGE,
    bucket_count,
    bucket_edges,
    iso_in_zone,
    zone_of,
)

Groups = Mapping[tuple[Millis, Key], Figures]
"""The figures by the start of the bucket and the values of the group."""
_Entry = tuple[Millis, int, Key, Figures]
"""The start of the bucket, the rank of the group among the groups, the group, and its figures."""
OTHER: Final[Key] = ()
"""The key of the groups that `top` left out. Every other group has at least one value."""
_MOST: Final = StatsOrder(Measure.COUNT, descending=True)


def check_query(query: StatsQuery) -> ZoneInfo:
    """Check a question, and return its time zone.

    Raises:
        InvalidInput: a value is not allowed.
    """
    zone = zone_of(query.time_zone)
    for name, at in (("gte", query.period.gte), ("lt", query.period.lt)):
        if not EARLIEST_EDGE <= at <= LATEST_EDGE:
            raise InvalidInput.of(("period", name), "minimum", to_iso(at), "from 1900-01-01 to 2200-01-01")
    if query.period.gte >= query.period.lt:
        raise InvalidInput.of(("period", "lt"), "minimum", to_iso(query.period.lt), "later than gte")
    names = [dimension.name for dimension in query.group_by]
    if len(names) > MAX_GROUP_BY:
        raise InvalidInput.of(("group_by",), "maxItems", len(names), f"at most {MAX_GROUP_BY} dimensions")
    if len(set(names)) < len(names):
        raise InvalidInput.of(("group_by",), "uniqueItems", ", ".join(names), "different dimensions")
    if query.top is not None and not 1 <= query.top <= MAX_TOP:
        raise InvalidInput.of(("top",), "maximum", query.top, f"an integer from 1 to {MAX_TOP}")
    if query.top is not None and not names:
        raise InvalidInput.of(("top",), "oneOf", query.top, "left out without groupBy")
    return zone


def edges_of(query: StatsQuery, zone: ZoneInfo) -> list[Millis]:
    """Return the edges of the buckets of a question. Without a bucket, they are the ends of its period.

    Raises:
        InvalidInput: there are more than `MAX_ROWS` buckets.
    """
    period = query.period
    if query.bucket is None:
        return [period.gte, period.lt]
    count = bucket_count(query.bucket, period.gte, period.lt)
    if count <= 2 * MAX_ROWS:
        edges = bucket_edges(zone, query.bucket, period.gte, period.lt)
        count = len(edges) - 1
        if count <= MAX_ROWS:
            return edges
    raise _too_many_rows(query, zone, count, lambda edges: len(edges) - 1)


def _too_many_rows(
    query: StatsQuery, zone: ZoneInfo, count: int, count_with: Callable[[Sequence[Millis]], int]
) -> InvalidInput:
    """Return the error for too many rows. It names the shortest bucket that fits.

    `count_with` returns the number of rows with the edges of another bucket.
    """
    period, buckets = query.period, list(Bucket)
    for bucket in buckets[buckets.index(query.bucket) + 1 :] if query.bucket else ():
        few = bucket_count(bucket, period.gte, period.lt) <= 2 * MAX_ROWS
        if few and count_with(bucket_edges(zone, bucket, period.gte, period.lt)) <= MAX_ROWS:
            allowed = f"{bucket.value} or longer (at most {MAX_ROWS} rows are possible, and this has {count})"
            return InvalidInput.of(("bucket",), "maximum", query.bucket and query.bucket.value, allowed)
    allowed = f"fewer dimensions, or a shorter period, or used with top (at most {MAX_ROWS} rows are possible)"
    return InvalidInput.of(("group_by",), "maximum", f"{count} rows", allowed)


@dataclass(frozen=True, slots=True)
class StatsTable:
    """Makes the rows of a question. `edges` are those of its buckets."""

    query: StatsQuery
    zone: ZoneInfo
    edges: Sequence[Millis]

    def rows(self, groups: Groups) -> list[StatsRow]:
        """Return the rows, in their order.

        Raises:
            InvalidInput: there are more than `MAX_ROWS` rows.
        """
        chosen = groups if self.query.top is None else self._top(groups)
        keys = {key for _, key in chosen}
        if self.query.fill and not keys:
            keys = {(None,) * len(self.query.group_by)}
        count = (len(self.edges) - 1) * len(keys) if self.query.fill else len(chosen)
        if count > MAX_ROWS:
            raise _too_many_rows(self.query, self.zone, count, lambda edges: self._count(chosen, keys, edges))
        wanted: Iterable[tuple[Millis, Key]] = chosen
        if self.query.fill:
            wanted = [(edge, key) for edge in self.edges[:-1] for key in keys]
        texts = [iso_in_zone(self.zone, edge) for edge in self.edges]
        ends = dict(zip(self.edges, pairwise(texts), strict=False))
        ranks = {key: rank for rank, key in enumerate(sorted(keys, key=_sortable))}
        entries = self._sorted([(at, ranks[key], key, chosen.get((at, key)) or Figures()) for at, key in wanted])
        dimensions = {key: self._dimensions(key) for key in keys}
        return [
            # By position: a result may have thousands of rows, and names take twice as long.
            StatsRow(*figures.values(), figures.histogram, *ends[at], *dimensions[key])
            for at, _, key, figures in entries
        ]

    def _count(self, groups: Groups, keys: set[Key], edges: Sequence[Millis]) -> int:
        if self.query.fill:
            return (len(edges) - 1) * len(keys)
        return len({(bisect_right(edges, at), key) for at, key in groups})

    def _top(self, groups: Groups) -> Groups:
        totals: dict[Key, Figures] = {}
        for (_, key), figures in groups.items():
            add_figures(totals.setdefault(key, Figures()), figures)
        order = _MOST if self.query.order.measure is Measure.BUCKET else self.query.order
        ranked = sorted(totals, key=_sortable)
        ranked.sort(key=lambda key: _value(totals[key], order.measure), reverse=order.descending)
        kept = frozenset(ranked[: self.query.top])
        found: dict[tuple[Millis, Key], Figures] = {}
        for (at, key), figures in groups.items():
            add_figures(found.setdefault((at, key if key in kept else OTHER), Figures()), figures)
        return found

    def _sorted(self, entries: list[_Entry]) -> list[_Entry]:
        order = self.query.order
        # No two entries have the same bucket and rank, so nothing else is compared.
        entries.sort()
        if order.measure is not Measure.BUCKET:
            entries.sort(key=lambda entry: _value(entry[3], order.measure), reverse=order.descending)
        elif order.descending:
            entries.sort(key=lambda entry: entry[0], reverse=True)
        return entries

    def _dimensions(self, key: Key) -> tuple[Any, ...]:
        """Return `other` and the dimensions of the rows of a group, in the order of `StatsRow`."""
        names = [dimension.value for dimension in self.query.group_by]
        values = dict(zip(names, key, strict=False))
        return (self.query.top is not None and key == OTHER, *(values.get(each.value) for each in Dimension))


def add_figures(into: Figures, figures: Figures) -> None:
    """Add the figures of other recordings, with their histogram."""
    into.add(*figures.values())
    if figures.histogram:
        add_all(into.histogram, figures.histogram)


def _value(figures: Any, measure: Measure) -> tuple[bool, Any]:
    # A missing value is the smallest.
    value = getattr(figures, measure.value)
    return (value is not None, value or 0)


def _sortable(key: Key) -> tuple[bool, tuple[tuple[bool, str], ...]]:
    return key == OTHER, tuple((value is None, value or "") for value in key)
