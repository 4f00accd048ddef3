"""The time range, the order and the paging of a list (`docs/v2_contract.md`, sections 1.3 to 1.5 and 1.8)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from adapters.rest_v2.gregorian import OFFSET, to_gregorian
from adapters.rest_v2.listing.list_filters import integer
from adapters.rest_v2.listing.start_key import HIGH, BadKeyError, Element, High, decode, encode
from adapters.rest_v2.request.parameters import Parameters
from adapters.rest_v2.request.v2_errors import V2Error, faulty_request, invalid
from recordings.model.fields import RecordingRow
from recordings.model.instants import EARLIEST, LATEST, SECOND, Millis
from recordings.model.query import Order, OrderField, Position, Range

MAX_RANGE: Final = 2_682_000
"""Seconds: 31 days and an hour."""
PAGE_SIZE: Final = 50
MAX_CHUNK: Final = 50
_BEFORE_ALL: Final = ""
_AFTER_ALL: Final = "\U0010ffff"
_KEY_LENGTHS: Final = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A range of Gregorian seconds, including both ends."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """The query of a list. Without paging `page_size` is `None`. The keys of a user's list begin with `owner`."""

    time_range: TimeRange
    descending: bool
    page_size: int | None
    chunked: bool
    chunk_size: int
    start_key: str
    after: Position | None
    owner: str | None

    @property
    def order(self) -> Order:
        """The order of the rows."""
        return Order(OrderField.ENDED, descending=self.descending)

    @property
    def ended(self) -> Range:
        """The time range as a condition for the store (`docs/v2_contract.md`, section 1.3)."""
        return Range("ended", _millis(self.time_range.first), _millis(self.time_range.last + 1))

    def key_of(self, row: RecordingRow) -> str:
        """Return the start key of a page that begins with this row."""
        ended = cast("Millis", row["ended"])
        seconds, millis = to_gregorian(ended), ended % SECOND
        # Kazoo's keys end with the id. Recordings of this service have milliseconds, which are part of the order.
        milliseconds: tuple[Element, ...] = (millis,) if millis else ()
        return encode((*_prefix(self.owner), seconds, row["id"], *milliseconds))


def read_list_query(parameters: Parameters, now: Millis, owner: str | None = None) -> ListQuery:
    """Return the query of a list. `owner` is given for a user's list.

    Raises:
        V2Error: the page size, the chunk size, the time range or the start key is invalid.
    """
    page_size = read_page_size(parameters)
    chunk_size = _chunk_size(parameters)
    time_range = read_time_range(parameters, now)
    descending = _is_descending(parameters)
    start_key = parameters.find("start_key")
    first: tuple[Element, ...] = (time_range.last, HIGH) if descending else (time_range.first,)
    return ListQuery(
        time_range=time_range,
        descending=descending,
        page_size=page_size,
        chunked=parameters.find("is_chunked") == "true",
        chunk_size=chunk_size,
        start_key=start_key or encode((*_prefix(owner), *first)),
        after=_after(start_key, owner, descending=descending) if start_key else None,
        owner=owner,
    )


def _prefix(owner: str | None) -> tuple[Element, ...]:
    return () if owner is None else (owner,)


def _is_descending(parameters: Parameters) -> bool:
    ascending = parameters.find("ascending")
    return ascending is None or ascending == "false" or parameters.find("descending") == "true"


def read_page_size(parameters: Parameters) -> int | None:
    """Return the page size, or `None` without paging (`docs/v2_contract.md`, section 1.4). Raises `V2Error`."""
    if parameters.find("paginate") not in {None, "true"}:
        return None
    return _size(parameters, "page_size", "page size", PAGE_SIZE)


def _chunk_size(parameters: Parameters) -> int:
    size = _size(parameters, "chunk_size", "chunk size", MAX_CHUNK)
    if size > MAX_CHUNK:
        raise faulty_request(f"chunk size must be lower than {MAX_CHUNK}")
    return size


def _size(parameters: Parameters, name: str, words: str, default: int) -> int:
    text = parameters.find(name)
    if text is None:
        return default
    size = integer(text)
    if size is None:
        raise faulty_request(f"invalid {words}")
    if size < 1:
        raise faulty_request(f"{words} must be at least 1")
    return size


def read_time_range(parameters: Parameters, now: Millis) -> TimeRange:
    """Return the time range (`docs/v2_contract.md`, section 1.5). Raises `V2Error`."""
    last = _time(parameters, "created_to", lambda: to_gregorian(now))
    first = _time(parameters, "created_from", lambda: last - MAX_RANGE)
    if last < first:
        message = f"created_to {last} is prior to created_from {first}"
        raise invalid("created_from", "date_range", message, cause=first)
    if last - first > MAX_RANGE:
        message = f"created_to {last} is more than {MAX_RANGE} seconds from created_from {first}"
        raise invalid("created_from", "date_range", message, cause=last)
    return TimeRange(first, last)


def _time(parameters: Parameters, name: str, default: Callable[[], int]) -> int:
    seconds = integer(parameters.find(name) or "")
    return seconds if seconds is not None and seconds > 0 else default()


def _millis(seconds: int) -> Millis:
    """Return the first instant of a Gregorian second, within the times that the domain allows."""
    return min(max((seconds - OFFSET) * SECOND, EARLIEST), LATEST + 1)


def _after(key: str, owner: str | None, *, descending: bool) -> Position:
    elements = _elements(key, owner)
    seconds, identity, millis = (*elements, None, None)[:3]
    if not isinstance(seconds, int):
        raise _bad_key(key)
    at = _millis(seconds) + (millis if isinstance(millis, int) else 0)
    if isinstance(identity, str) and identity:
        # The page begins with the row of the key, so the position is right before that row.
        return Position(at, f"{identity}\x01" if descending else just_below(identity))
    if isinstance(identity, High):
        return Position(at + SECOND - 1, _AFTER_ALL)
    return Position(at, _BEFORE_ALL)


def _elements(key: str, owner: str | None) -> list[Element]:
    try:
        elements = decode(key)
    except BadKeyError as error:
        raise _bad_key(key) from error
    if owner is not None:
        if not elements or elements[0] != owner:
            raise _bad_key(key)
        elements = elements[1:]
    if len(elements) not in _KEY_LENGTHS:
        raise _bad_key(key)
    return elements


def _bad_key(key: str) -> V2Error:
    message = "not a start key of this list"
    return invalid("start_key", "invalid", message, value=key[:80])


def just_below(identity: str) -> str:
    """Return a text that is lower than this one, so that no id lies between the two."""
    last = ord(identity[-1])
    if last == 0:
        return identity[:-1]
    # Surrogates are not characters.
    lower = "\ud7ff" if last == 0xE000 else chr(last - 1)  # noqa: PLR2004 - the first code point after them
    return identity[:-1] + lower + _AFTER_ALL * 4
