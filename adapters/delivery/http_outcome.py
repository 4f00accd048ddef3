"""What a receiver's answer means: it has it, later, or never; with no I/O."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import unquote, urlsplit

from recordings.model.instants import HOUR, SECOND, Millis
from recordings.ports.courier import Receipt, Sent

SHOWN: Final = 300
"""Characters of an answer that are kept."""
LONGEST_WAIT: Final = 24 * HOUR
_HOPELESS: Final = frozenset({303, 400, 405, 406, 410, 411, 413, 414, 415, 422, 431, 451, 501, 505})
"""Answers that the same request gets again. 401, 403 and 404 are none: somebody may put them right in time."""


def receipt_of(status: int, headers: Mapping[str, str], text: str, now: datetime) -> Receipt:
    """What came of an attempt, by the answer to it. 200 to 299 is success (`docs/v2_contract.md`, section 7.1)."""
    if 200 <= status < 300:  # noqa: PLR2004 - the class of success
        return Receipt(Sent.DELIVERED)
    said = f"the server answered {status}" + (f": {text}" if text else "")
    if status in _HOPELESS:
        return Receipt(Sent.NEVER, said)
    return Receipt(Sent.AGAIN, said, retry_after(headers.get("Retry-After"), now))


def retry_after(value: str | None, now: datetime) -> Millis | None:
    """How long a `Retry-After` (RFC 9110, 10.2.3) asks to wait: seconds or a date, a day at most."""
    if not value:
        return None
    plain = value.strip()
    if plain.isascii() and plain.isdigit():
        return min(int(plain[:9]) * SECOND, LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(plain)
    except (ValueError, OverflowError):
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    wait = round((aware - now).total_seconds() * SECOND)
    return min(max(wait, 0), LONGEST_WAIT)


def shown_text(body: bytes, url: str) -> str:
    """The beginning of an answer as one line of text, without what the URL keeps secret."""
    text = " ".join("".join(c if c.isprintable() else " " for c in body.decode("utf-8", "replace")).split())
    for secret in _secrets(url):
        text = text.replace(secret, "***")
    return text[:SHOWN]


def _secrets(url: str) -> list[str]:
    """The password and the query of a caller's URL, as servers like to show them, longest first."""
    parts = urlsplit(url)
    values = [value for pair in parts.query.split("&") if len(value := pair.partition("=")[2]) > 3]  # noqa: PLR2004
    found = {form for value in (parts.password, parts.query, *values) if value for form in (value, unquote(value))}
    return sorted(found, key=len, reverse=True)
