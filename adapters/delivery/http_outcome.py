"""The meaning of a receiver's HTTP response: delivered, retry later, or rejected. No I/O."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import unquote, urlsplit

from adapters.http.conditional_requests import parse_date
from recordings.model.instants import HOUR, SECOND, Millis
from recordings.ports.courier import DeliveryOutcome, DeliveryResult

MAX_TEXT: Final = 300
"""Characters of a response that are stored."""
MAX_WAIT: Final = 24 * HOUR
_PERMANENT: Final = frozenset({303, 400, 405, 406, 410, 411, 413, 414, 415, 422, 431, 451, 501, 505})
"""Statuses that the same request would get again. 401, 403 and 404 are not permanent: the receiver may fix them."""


def result_of_response(status: int, headers: Mapping[str, str], text: str, now: datetime) -> DeliveryResult:
    """Return the result of an attempt that got a response. 200 to 299 is success (docs/v2_contract.md, section 7.1)."""
    if 200 <= status < 300:  # noqa: PLR2004 - the class of success
        return DeliveryResult(DeliveryOutcome.DELIVERED)
    error = f"the server answered {status}" + (f": {text}" if text else "")
    if status in _PERMANENT:
        return DeliveryResult(DeliveryOutcome.REJECTED, error)
    return DeliveryResult(DeliveryOutcome.RETRY, error, retry_after(headers.get("Retry-After"), now))


def retry_after(value: str | None, now: datetime) -> Millis | None:
    """Return the wait of a `Retry-After` in milliseconds (RFC 9110, section 10.2.3): at most a day."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]) * SECOND, MAX_WAIT)
    moment = parse_date(text)
    if moment is None:
        return None
    wait = round((moment - now).total_seconds() * SECOND)
    return min(max(wait, 0), MAX_WAIT)


def printable_text(body: bytes, url: str, max_text: int = MAX_TEXT) -> str:
    """Return the beginning of a response body as one line of text, without the secrets of the URL."""
    text = " ".join("".join(c if c.isprintable() else " " for c in body.decode("utf-8", "replace")).split())
    for secret in _secrets(url):
        text = text.replace(secret, "***")
    return text[:max_text]


def _secrets(url: str) -> list[str]:
    """Return the password and the query of a URL in each form that a server may print, longest first."""
    parts = urlsplit(url)
    values = [value for pair in parts.query.split("&") if len(value := pair.partition("=")[2]) > 3]  # noqa: PLR2004
    found = {form for value in (parts.password, parts.query, *values) if value for form in (value, unquote(value))}
    return sorted(found, key=len, reverse=True)
