"""The parameters of `GET /events`, for HTTP and for the command line."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

import strawberry

from graph.schema.event_connection import RecordingEventFilter, cursor_of, selection_of
from graph.schema.json_filter import filter_of
from graph.schema.resolver_context import Context
from recordings.model.errors import InvalidInput
from recordings.model.feed_event import EventCursor, EventInclude, EventSelection, EventType
from recordings.use_cases.event_feed import MAX_EVENTS

NAMES: Final = ("account", "descendants", "types", "recording", "filter", "include", "since", "limit", "wait")
MAX_WAIT: Final = 30
"""The longest `wait`, in seconds: shorter than the timeouts of usual proxies."""
DEFAULT_LIMIT: Final = 100
_FLAGS: Final = {"true": True, "false": False}
Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class WantedEvents:
    """A request: which events, in which form, from where, how many, and how long to wait (seconds) for the first."""

    selection: EventSelection
    include: tuple[EventInclude, ...]
    cursor: EventCursor
    limit: int
    wait: int


async def read_parameters(context: Context, parameters: Iterable[tuple[str, str]]) -> WantedEvents:
    """Return what a request asks for.

    Raises:
        InvalidInput: a parameter is unknown, occurs twice, or has a value that is not allowed.
        InvalidCursor: this installation did not make the cursor.
    """
    given: dict[str, str] = {}
    for name, text in parameters:
        if name not in NAMES:
            raise InvalidInput.of((name,), "enum", text[:100], f"left out: the parameters are {', '.join(NAMES)}")
        if name in given:
            raise InvalidInput.of((name,), "maxItems", text[:100], "given once")
        given[name] = text
    if (descendants := given.get("descendants", "false")) not in _FLAGS:
        raise InvalidInput.of(("descendants",), "enum", descendants[:100], "true or false")
    types, recording = _choices(given, "types", EventType), given.get("recording")
    filter = RecordingEventFilter(
        types=list(types) if "types" in given else None,
        recording_id=None if recording is None else strawberry.ID(recording),
        recording=filter_of(given["filter"]) if "filter" in given else None,
    )
    return WantedEvents(
        selection_of(context, filter, given.get("account"), descendants=_FLAGS[descendants]),
        _choices(given, "include", EventInclude),
        # A plus sign that the client did not encode is a space.
        await cursor_of(context, given["since"].replace(" ", "+") if "since" in given else None),
        _whole_number(given, "limit", DEFAULT_LIMIT, 1, MAX_EVENTS),
        _whole_number(given, "wait", 0, 0, MAX_WAIT),
    )


def _choices(given: dict[str, str], name: str, kind: type[Choice]) -> tuple[Choice, ...]:
    found: dict[Choice, None] = {}
    for text in given[name].split(",") if given.get(name) else ():
        try:
            found[kind(text.strip())] = None
        except ValueError:
            raise InvalidInput.of((name,), "enum", text[:100], f"one of {', '.join(kind)}") from None
    return tuple(found)


def _whole_number(given: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    text = given.get(name, str(default))
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(most)) else -1
    if not least <= number <= most:
        raise InvalidInput.of((name,), "maximum", text[:100], f"an integer from {least} to {most}")
    return number
