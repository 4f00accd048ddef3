"""Which rows a listing is asked for, in which order and how many (contract sections 1.3 to 1.5 and 1.8)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from adapters.rest_v2.gregorian import OFFSET, to_gregorian
from adapters.rest_v2.listing.list_filters import integer
from adapters.rest_v2.listing.start_key import HIGH, BadKeyError, Element, High, decode, encode
from adapters.rest_v2.request.parameters import Parameters
from adapters.rest_v2.request.v2_errors import Fault, faulty_request, invalid
from recordings.model.instants import EARLIEST, LATEST, SECOND, Millis
from recordings.model.query import Order, OrderField, Position, Range
from recordings.model.recording import Row

MAX_SPAN: Final = 2_682_000
"""Seconds: 31 days and an hour."""
PAGE_SIZE: Final = 50
MAX_CHUNK: Final = 50
_BEFORE_ALL: Final = ""
_BEHIND_ALL: Final = "\U0010ffff"
_KEY_LENGTHS: Final = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class Span:
    """Gregorian seconds, both ends within."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a listing does. `page_size` is `None` where it is not paged; `owner` begins the keys of a user's list."""

    span: Span
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
    def written(self) -> Range:
        """The span as the store knows it: a document is written when its recording is over (section 1.3)."""
        return Range("ended", _millis(self.span.first), _millis(self.span.last + 1))

    def key_of(self, row: Row) -> str:
        """The start key of a page that begins with this row."""
        seconds, millis = to_gregorian(row["ended"]), row["ended"] % SECOND
        # The reference's keys end here. What was recorded here has milliseconds, and they are a part of the order.
        finer: tuple[Element, ...] = (millis,) if millis else ()
        return encode((*_prefix(self.owner), seconds, row["id"], *finer))


def read_plan(parameters: Parameters, now: Millis, owner: str | None = None) -> Plan:
    """The plan of a listing; `owner` for a user's.

    Raises:
        Fault: a page size, chunk size, span or start key that is none.
    """
    page_size = page_size_of(parameters)
    chunk_size = _chunk_size(parameters)
    span = _span(parameters, to_gregorian(now))
    descending = _is_descending(parameters)
    given = parameters.find("start_key")
    first: tuple[Element, ...] = (span.last, HIGH) if descending else (span.first,)
    return Plan(
        span=span,
        descending=descending,
        page_size=page_size,
        chunked=parameters.find("is_chunked") == "true",
        chunk_size=chunk_size,
        start_key=given or encode((*_prefix(owner), *first)),
        after=_after(given, owner, descending=descending) if given else None,
        owner=owner,
    )


def _prefix(owner: str | None) -> tuple[Element, ...]:
    return () if owner is None else (owner,)


def _is_descending(parameters: Parameters) -> bool:
    ascending = parameters.find("ascending")
    return ascending is None or ascending == "false" or parameters.find("descending") == "true"


def page_size_of(parameters: Parameters) -> int | None:
    """How many items a page has; `None` where a list is not paged (section 1.4). Raises `Fault`."""
    if parameters.find("paginate") not in {None, "true"}:
        return None
    return _size(parameters, "page_size", "page size", PAGE_SIZE)


def _chunk_size(parameters: Parameters) -> int:
    size = _size(parameters, "chunk_size", "chunk size", MAX_CHUNK)
    if size > MAX_CHUNK:
        raise faulty_request(f"chunk size must be lower than {MAX_CHUNK}")
    return size


def _size(parameters: Parameters, name: str, words: str, default: int) -> int:
    given = parameters.find(name)
    if given is None:
        return default
    size = integer(given)
    if size is None:
        raise faulty_request(f"invalid {words}")
    if size < 1:
        raise faulty_request(f"{words} must be at least 1")
    return size


def _span(parameters: Parameters, now: int) -> Span:
    last = _time(parameters, "created_to", lambda: now)
    first = _time(parameters, "created_from", lambda: last - MAX_SPAN)
    if last < first:
        message = f"created_to {last} is prior to created_from {first}"
        raise invalid("created_from", "date_range", message, cause=first)
    if last - first > MAX_SPAN:
        message = f"created_to {last} is more than {MAX_SPAN} seconds from created_from {first}"
        raise invalid("created_from", "date_range", message, cause=last)
    return Span(first, last)


def _time(parameters: Parameters, name: str, default: Callable[[], int]) -> int:
    given = integer(parameters.find(name) or "")
    return given if given is not None and given > 0 else default()


def _millis(seconds: int) -> Millis:
    """A second's first instant, as near as the domain's time goes."""
    return min(max((seconds - OFFSET) * SECOND, EARLIEST), LATEST + 1)


def _after(key: str, owner: str | None, *, descending: bool) -> Position:
    elements = _elements(key, owner)
    seconds, identity, millis = (*elements, None, None)[:3]
    if not isinstance(seconds, int):
        raise _bad_key(key)
    at = _millis(seconds) + (millis if isinstance(millis, int) else 0)
    if isinstance(identity, str) and identity:
        # The row that the key names comes first: the place is just before it, in the direction of the order.
        return Position(at, f"{identity}\x01" if descending else just_below(identity))
    if isinstance(identity, High):
        return Position(at + SECOND - 1, _BEHIND_ALL)
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


def _bad_key(key: str) -> Fault:
    message = "not a start key of this list"
    return invalid("start_key", "invalid", message, value=key[:80])


def just_below(identity: str) -> str:
    """A text below this one with no id between the two."""
    last = ord(identity[-1])
    if last == 0:
        return identity[:-1]
    # Surrogates are no characters.
    lower = "\ud7ff" if last == 0xE000 else chr(last - 1)  # noqa: PLR2004 - the first one behind them
    return identity[:-1] + lower + _BEHIND_ALL * 4
