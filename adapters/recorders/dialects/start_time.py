"""Read the start of a call as switches and their customers write it."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from recordings.model.instants import DAY, SECOND, Millis

GREGORIAN: Final = 62_167_219_200
"""Seconds from the year 0, where Kazoo's timestamps start, to 1970."""
EARLIEST_START: Final = 631_152_000 * SECOND
"""The year 1990. An earlier start is a mistake."""
_MIN_MILLISECONDS: Final = 10**12
"""Unix milliseconds have 13 digits, since 2001."""
_NUMBER: Final = re.compile(r"(?P<whole>[0-9]{1,13})(?:\.[0-9]{1,9})?")
_ZONE_AFTER_SPACE: Final = re.compile(r"(?<=[0-9]) (?= ?[0-9]{2}:?[0-9]{2}$)")
_MAIL_DATE: Final = re.compile(r"[A-Z][a-z]{2}, .*")


def read_start(text: str, now: Millis) -> Millis | None:
    """Return an instant; `None` if the text is not a plausible start.

    The text is in Gregorian seconds (Kazoo), Unix seconds or Unix milliseconds, in ISO 8601 form, or as in an e-mail
    (Twilio). Their ranges do not overlap. A time without a zone is in UTC.
    """
    if (number := _NUMBER.fullmatch(text)) is not None:
        count = int(number["whole"])
        candidates = [(count - GREGORIAN) * SECOND, count * SECOND, count if count >= _MIN_MILLISECONDS else 0]
    else:
        instant = _read_date(text)
        candidates = [] if instant is None else [instant]
    return next((start for start in candidates if EARLIEST_START <= start < now + DAY), None)


def _read_date(text: str) -> Millis | None:
    # In a query, the plus of a zone is a space unless the sender escaped it.
    text = _ZONE_AFTER_SPACE.sub("+", text, count=1).replace("+ ", " +")
    try:
        read = parsedate_to_datetime(text) if _MAIL_DATE.fullmatch(text) else datetime.fromisoformat(text)
        return round((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * SECOND)
    except (ValueError, OverflowError):
        return None
