"""Read the values of an imported document.

Programs in other languages write numbers as texts, integers as floats, and an empty object as an empty array. Such a
value is read if its meaning is plain. Every other value of a wrong type is an error.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, Final

from adapters.rest_v2.gregorian import OFFSET, from_gregorian
from recordings.model.instants import LATEST, SECOND, Millis
from recordings.model.query import MAX_TEXT, is_storable

INTEGERS: Final = range(-(2**63), 2**63)
"""The integers that every store can keep."""
_NUMBER: Final = re.compile(r"[+-]?\d{1,18}(\.\d{1,18})?", re.ASCII)
_MAX_DURATION: Final = 2**53
_UNIX_SECONDS: Final = range(100_000_000, 10_000_000_000)
_UNIX_MILLIS: Final = range(100_000_000_000, 10_000_000_000_000)
_MONTH: Final = re.compile(r"(?P<year>(19|20)\d\d)(?P<month>0[1-9]|1[0-2])-", re.ASCII)


class BadDocumentError(ValueError):
    """The document is not a call recording, or cannot be stored unchanged. The message says why."""


def check_value(path: str, value: Any) -> None:
    """Raise `BadDocumentError` for a value that a store cannot keep unchanged."""
    if isinstance(value, dict):
        for name, item in value.items():
            check_value(path, name)
            check_value(f"{path}.{name}", item)
    elif isinstance(value, list):
        for item in value:
            check_value(path, item)
    elif isinstance(value, str) and not is_storable(value):
        message = f"{path} has characters that cannot be stored"
        raise BadDocumentError(message)
    elif isinstance(value, int) and value not in INTEGERS:
        message = f"{path} must be an integer of at most 64 bits"
        raise BadDocumentError(message)
    elif isinstance(value, float) and not isfinite(value):
        # `1e999` is read as infinity, which JSON cannot represent.
        message = f"{path} has a number that cannot be stored"
        raise BadDocumentError(message)


def text(document: Mapping[str, Any], name: str) -> str | None:
    """Return a text. A number counts as its digits."""
    value = document.get(name)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(int(value)) if value == int(value) else str(value)
    raise _wrong(name, "a text", value)


def short_text(document: Mapping[str, Any], name: str) -> str | None:
    """Return a text of a field that can be searched and sorted. Its value is part of a cursor, so it is short."""
    found = text(document, name)
    if found is not None and len(found) > MAX_TEXT:
        message = f"{name} must be a text of at most {MAX_TEXT} characters, not of {len(found)}"
        raise BadDocumentError(message)
    return found


def object_of(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an object. An empty array counts as an empty object: PHP writes it so."""
    value = document.get(name)
    if value is None or value == []:
        return {}
    if isinstance(value, dict):
        return dict(value)
    raise _wrong(name, "an object", value)


def is_true(value: Any) -> bool:
    """Return true for `true`, also if it was written as a text or as 1."""
    return value is True or value == 1 or (isinstance(value, str) and value.strip().lower() in {"true", "1"})


def instant(document: Mapping[str, Any], name: str) -> Millis | None:
    """Return a time in Gregorian seconds as an instant."""
    seconds = _number(document, name, "a time in Gregorian seconds")
    if seconds is None:
        return None
    with suppress(ValueError):
        if (millis := from_gregorian(seconds)) >= 0:
            return millis
    message = f"{name} must be a time in Gregorian seconds from 1970 to 9999, not {seconds:.17g}: {_likely(seconds)}"
    raise BadDocumentError(message)


def duration(document: Mapping[str, Any]) -> Millis | None:
    """Return the duration of a document in milliseconds: `duration_ms`, or else `duration` in seconds."""
    found: list[Millis] = []
    for name, factor in (("duration_ms", 1), ("duration", SECOND)):
        value = _number(document, name, "a length")
        if value is None:
            continue
        millis = round(value * factor)
        if not 0 <= millis < _MAX_DURATION:
            message = f"{name} must be a length, not {value:.17g}"
            raise BadDocumentError(message)
        found.append(millis)
    return found[0] if found else None


def month_in(recording_id: str) -> Millis | None:
    """Return the first instant of the month with which an id begins."""
    found = _MONTH.match(recording_id)
    if found is None:
        return None
    return int(datetime(int(found["year"]), int(found["month"]), 1, tzinfo=UTC).timestamp()) * SECOND


def _number(document: Mapping[str, Any], name: str, words: str) -> float | None:
    value = document.get(name)
    if isinstance(value, str):
        plain = value.strip()
        if not plain:
            return None
        if _NUMBER.fullmatch(plain):
            return float(plain) if "." in plain else int(plain)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise _wrong(name, words, value)


def _likely(seconds: float) -> str:
    """Return what such a number probably is, and what to do."""
    whole = int(seconds)
    if whole in _UNIX_SECONDS:
        year = (datetime(1, 1, 1, tzinfo=UTC) + timedelta(days=whole // 86_400 - 366)).year
        return f"this is Unix seconds (it would be in the year {year}); add {OFFSET}"
    if whole in _UNIX_MILLIS:
        return f"this is Unix milliseconds; divide it by 1000 and add {OFFSET}"
    if OFFSET <= whole // SECOND <= OFFSET + LATEST // SECOND:
        return "this is Gregorian milliseconds; divide it by 1000"
    return f"Gregorian seconds are Unix seconds + {OFFSET}"


def _wrong(name: str, words: str, value: Any) -> BadDocumentError:
    message = f"{name} must be {words}, not {value!r}"
    return BadDocumentError(message[:200])
