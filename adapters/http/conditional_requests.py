"""Conditional requests (RFC 9110, section 13), with no I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from enum import Enum, auto
from typing import Final

from recordings.model.instants import SECOND, Millis

_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_ONE: Final = re.compile(_TAG)
_LIST: Final = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})


class Precondition(Enum):
    """The result of a request's preconditions."""

    PASSED = auto()
    NOT_MODIFIED = auto()
    """The response is 304."""
    FAILED = auto()
    """The response is 412."""


@dataclass(frozen=True, slots=True)
class Validators:
    """The values that identify one version of a representation.

    `sha256`, in hexadecimal, is the strong entity tag. `modified` is in milliseconds.
    """

    sha256: str
    modified: Millis

    @property
    def etag(self) -> str:
        """The value of `ETag` (RFC 9110, section 8.8.3)."""
        return f'"{self.sha256}"'

    @property
    def last_modified(self) -> str:
        """The value of `Last-Modified` (RFC 9110, section 8.8.2), in whole seconds."""
        return formatdate(self.modified // SECOND, usegmt=True)

    def is_newer_than(self, moment: datetime) -> bool:
        """Return true if the version is newer than a moment. Compares whole seconds."""
        return self.modified // SECOND > moment.timestamp()


def check_preconditions(method: str, headers: Mapping[str, str], validators: Validators) -> Precondition:
    """Check the preconditions in the order of RFC 9110, section 13.2.2. `headers` must have names in lower case."""
    if "if-match" in headers:
        if not _matches(headers["if-match"], validators.etag, strong=True):
            return Precondition.FAILED
    elif (moment := parse_date(headers.get("if-unmodified-since"))) and validators.is_newer_than(moment):
        return Precondition.FAILED
    if "if-none-match" in headers:
        if _matches(headers["if-none-match"], validators.etag, strong=False):
            return Precondition.NOT_MODIFIED if method in _SAFE_METHODS else Precondition.FAILED
    elif method in _SAFE_METHODS and (moment := parse_date(headers.get("if-modified-since"))):
        return Precondition.PASSED if validators.is_newer_than(moment) else Precondition.NOT_MODIFIED
    return Precondition.PASSED


def allows_range(if_range: str | None, validators: Validators) -> bool:
    """Return true if `If-Range` allows a `Range` (RFC 9110, section 13.1.5).

    It must hold the same strong tag or exactly the same date, or be absent.
    """
    if if_range is None:
        return True
    text = if_range.strip(" \t")
    if text.startswith(('"', "W/")):
        return text == validators.etag
    moment = parse_date(text)
    return moment is not None and moment.timestamp() == validators.modified // SECOND


def parse_date(text: str | None) -> datetime | None:
    """Return an HTTP date (RFC 9110, section 5.6.7); `None` for any other text, which a recipient ignores."""
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _matches(field: str, etag: str, *, strong: bool) -> bool:
    """Return true if a list of tags, or `*`, contains a strong tag. A malformed list contains no tag."""
    text = field.strip(" \t")
    if text == "*":
        return True
    tags = _ONE.findall(text) if _LIST.fullmatch(text) else ()
    return any((tag if strong else tag.removeprefix("W/")) == etag for tag in tags)
