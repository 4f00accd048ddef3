"""The parameters of `GET /stats`: the arguments of `recordingStats`, as text."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from graphql import GraphQLError

from graph.schema.global_id import ACCOUNT, plain
from graph.schema.json_filter import condition_of
from graph.schema.scalars import parse_date_time
from recordings.model.errors import InvalidInput
from recordings.model.instants import EARLIEST, LATEST, Millis, date_from_iso
from recordings.model.stats import Bucket, Dimension, Measure, Period, PeriodField, StatsOrder, StatsQuery
from recordings.rules.time_buckets import start_of, zone_of

NAMES: Final = (
    "account",
    "field",
    "gte",
    "lt",
    "bucket",
    "timeZone",
    "groupBy",
    "filter",
    "descendants",
    "trashed",
    "fill",
    "orderBy",
    "top",
    "percentiles",
    "format",
)
"""All parameters, in the order of the documentation."""
FORMATS: Final = ("json", "csv")
MAX_PERCENTILES: Final = 5
DEFAULT_ZONE: Final = "UTC"
_DIGITS: Final = 15
_TIME: Final = "a time such as 2026-11-22T08:19:00Z, a date such as 2026-11-22, or the milliseconds since 1970"
Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class WantedStats:
    """A question, and the form of its rows."""

    query: StatsQuery
    percentiles: tuple[str, ...]
    """The percentiles to return, as the client wrote them: they are in the names of the columns."""
    format: str


def read_parameters(parameters: Iterable[tuple[str, str]]) -> WantedStats:
    """Return the question of a request.

    Raises:
        InvalidInput: a parameter is unknown, occurs twice, is missing, or has a value that is not allowed.
    """
    given: dict[str, str] = {}
    for name, text in parameters:
        if name not in NAMES:
            raise InvalidInput.of((name,), "enum", text, f"left out: the parameters are {', '.join(NAMES)}")
        if name in given:
            raise InvalidInput.of((name,), "maxItems", text, "given once")
        given[name] = text
    percentiles = tuple(_listed(given.get("percentiles")))
    if len(percentiles) > MAX_PERCENTILES:
        raise InvalidInput.of(("percentiles",), "maxItems", len(percentiles), f"at most {MAX_PERCENTILES} numbers")
    for text in percentiles:
        _percentile(text)
    if (wanted_format := given.get("format", "json")) not in FORMATS:
        raise InvalidInput.of(("format",), "enum", wanted_format, " or ".join(FORMATS))
    return WantedStats(_query(given, needs_histograms=bool(percentiles)), percentiles, wanted_format)


def _query(given: Mapping[str, str], *, needs_histograms: bool) -> StatsQuery:
    account = given.get("account")
    bucket = given.get("bucket")
    return StatsQuery(
        period=Period(
            _time(given, "gte"), _time(given, "lt"), _choice("field", given.get("field", "START"), PeriodField)
        ),
        account_id=None if account is None else plain(account, ACCOUNT),
        bucket=None if bucket is None else _choice("bucket", bucket, Bucket),
        time_zone=given.get("timeZone", DEFAULT_ZONE),
        group_by=tuple(_choice("groupBy", text, Dimension) for text in _listed(given.get("groupBy"))),
        where=condition_of(given.get("filter")),
        descendants=_truth(given, "descendants"),
        trashed=_truth(given, "trashed"),
        fill=_truth(given, "fill"),
        order=_order(given.get("orderBy")),
        top=_whole_number(given, "top"),
        histograms=needs_histograms,
    )


def _listed(text: str | None) -> list[str]:
    return [each.strip() for each in text.split(",")] if text else []


def _choice(name: str, text: str, kind: type[Choice]) -> Choice:
    try:
        return kind[text]
    except KeyError:
        raise InvalidInput.of((name,), "enum", text, f"one of {', '.join(kind.__members__)}") from None


def _time(given: Mapping[str, str], name: str) -> Millis:
    text = given.get(name)
    if text is None:
        raise InvalidInput.of((name,), "required", None, _TIME)
    if text.isascii() and text.removeprefix("-").isdigit() and len(text) <= _DIGITS:
        at = int(text)
        if not EARLIEST <= at <= LATEST:
            raise InvalidInput.of((name,), "maximum", text, f"{_TIME} (not microseconds)")
        return at
    try:
        if (day := date_from_iso(text)) is not None:
            return start_of(zone_of(given.get("timeZone", DEFAULT_ZONE)), day)
        # A plus sign that the client did not encode is a space.
        return parse_date_time(text.replace(" ", "+"))
    except (GraphQLError, ValueError, OverflowError):
        raise InvalidInput.of((name,), "type", text, _TIME) from None


def _truth(given: Mapping[str, str], name: str) -> bool:
    text = given.get(name, "false")
    if text not in {"true", "false"}:
        raise InvalidInput.of((name,), "enum", text, "true or false")
    return text == "true"


def _order(text: str | None) -> StatsOrder:
    if text is None:
        return StatsOrder()
    field, _, direction = text.partition(":")
    if direction not in {"", "ASC", "DESC"}:
        raise InvalidInput.of(("orderBy",), "pattern", text, "a field, or a field and :ASC or :DESC")
    return StatsOrder(_choice("orderBy", field, Measure), direction == "DESC")


def _whole_number(given: Mapping[str, str], name: str) -> int | None:
    return _number(name, given[name], int, "an integer") if name in given else None


def _percentile(text: str) -> float:
    number = _number("percentiles", text, float, "numbers from 0 to 100")
    if not 0 <= number <= 100:  # noqa: PLR2004 - percent
        raise InvalidInput.of(("percentiles",), "maximum", text, "numbers from 0 to 100")
    return number


Number = TypeVar("Number", int, float)


def _number(name: str, text: str, kind: Callable[[str], Number], allowed: str) -> Number:
    try:
        # Python reads 1_0 as 10.
        if text.isascii() and "_" not in text and len(text) <= _DIGITS:
            return kind(text)
    except ValueError:
        pass
    raise InvalidInput.of((name,), "type", text, allowed)
