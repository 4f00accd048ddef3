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
_READING: Final = frozenset({"GET", "HEAD"})


class Verdict(Enum):
    """What a request's conditions come to."""

    GO_ON = auto()
    NOT_MODIFIED = auto()
    """304."""
    FAILED = auto()
    """412."""


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one version of a representation from another. `sha256` in hexadecimal makes the strong entity tag."""

    sha256: str
    modified: Millis

    @property
    def etag(self) -> str:
        """The value of `ETag` (section 8.8.3)."""
        return f'"{self.sha256}"'

    @property
    def last_modified(self) -> str:
        """The value of `Last-Modified` (section 8.8.2): whole seconds."""
        return formatdate(self.modified // SECOND, usegmt=True)

    def is_newer_than(self, moment: datetime) -> bool:
        """Whether it was modified after a moment, as far as whole seconds show."""
        return self.modified // SECOND > moment.timestamp()


def judge(method: str, headers: Mapping[str, str], validators: Validators) -> Verdict:
    """Weigh the conditions in the order of section 13.2.2. `headers` must be looked up in lower case."""
    if "if-match" in headers:
        if not _names(headers["if-match"], validators.etag, strong=True):
            return Verdict.FAILED
    elif (moment := parse_date(headers.get("if-unmodified-since"))) and validators.is_newer_than(moment):
        return Verdict.FAILED
    if "if-none-match" in headers:
        if _names(headers["if-none-match"], validators.etag, strong=False):
            return Verdict.NOT_MODIFIED if method in _READING else Verdict.FAILED
    elif method in _READING and (moment := parse_date(headers.get("if-modified-since"))):
        return Verdict.GO_ON if validators.is_newer_than(moment) else Verdict.NOT_MODIFIED
    return Verdict.GO_ON


def allows_range(if_range: str | None, validators: Validators) -> bool:
    """Whether a `Range` counts beside this `If-Range` (section 13.1.5): the same strong tag, or exactly that date."""
    if if_range is None:
        return True
    given = if_range.strip(" \t")
    if given.startswith(('"', "W/")):
        return given == validators.etag
    moment = parse_date(given)
    return moment is not None and moment.timestamp() == validators.modified // SECOND


def parse_date(text: str | None) -> datetime | None:
    """An HTTP date (section 5.6.7); `None` for what is none, which a recipient ignores."""
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _names(field: str, etag: str, *, strong: bool) -> bool:
    """Whether a list of tags (or `*`) names a strong tag. A malformed list names nothing."""
    given = field.strip(" \t")
    if given == "*":
        return True
    tags = _ONE.findall(given) if _LIST.fullmatch(given) else ()
    return any((tag if strong else tag.removeprefix("W/")) == etag for tag in tags)
