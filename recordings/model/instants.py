"""Instants: whole milliseconds since 1970-01-01T00:00:00Z, as a plain `int`.

The domain, the stores and all interfaces use the same representation. It has no time zone, it can be sorted, and
reading a page of rows builds no objects for it.
"""

import re
from datetime import UTC, date, datetime
from typing import Final

Millis = int
"""An instant (since the Unix epoch, in UTC) or a duration, in milliseconds."""

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

CLOCK_TOLERANCE: Final[Millis] = 30 * SECOND
"""The clocks of two servers may differ by this much."""

EARLIEST: Final = -62_135_596_800_000
"""0001-01-01T00:00:00.000Z, the first instant that ISO 8601 can express with a four-digit year."""
LATEST: Final = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z, the last such instant."""
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def month_of(at: Millis) -> str:
    """Return the month of an instant, in UTC, as `YYYYMM`."""
    return datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y%m")


def to_iso(at: Millis) -> str:
    """Return an instant as RFC 3339 text with milliseconds and `Z`: `2026-11-22T08:19:00.123Z`."""
    seconds, millis = divmod(at, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03d}Z".rjust(24, "0")


def from_iso(text: str) -> Millis:
    """Read RFC 3339 text with an offset. Digits after the milliseconds are ignored.

    Raises:
        ValueError: the text is not an RFC 3339 date and time, or it has no offset (`Z` or `+hh:mm`).
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        message = f"{text!r} has no time zone: write an offset such as Z or +02:00"
        raise ValueError(message)
    return to_millis(moment)


def date_from_iso(text: str) -> date | None:
    """Return the date of a text such as 2026-11-01. Return `None` if the text has another form.

    Raises:
        ValueError: the calendar has no such date.
    """
    return date.fromisoformat(text) if _DATE.fullmatch(text) else None


def to_millis(moment: datetime) -> Millis:
    """Return an aware `datetime` as exact milliseconds, computed without floats."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds // 1_000
