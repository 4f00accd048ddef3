"""What a web server's answer means for a reader of a part, with no I/O (RFC 9110, sections 14 and 15)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from adapters.media.store_errors import AccessRefusedError, MediaFaultError
from adapters.net import redact_url
from recordings.ports.audio import MediaMissing

_CONTENT_RANGE: Final = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)", re.ASCII)
_OK, _PARTIAL, _UNSATISFIABLE = 200, 206, 416
_GONE: Final = frozenset({404, 410})
_DENIED: Final = frozenset({401, 403, 407})


class Answer(Protocol):
    """The part of a response that tells what its body is."""

    @property
    def status(self) -> int:
        """The status code."""

    @property
    def content_length(self) -> int | None:
        """Bytes of the body, if announced."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, by name in any case."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What of a body to take: leave out `skip` bytes, then `wanted` (`None`: all). `total` is the whole object's.

    `length` is the body's own; where it is `None`, a body may end before `wanted` bytes came.
    """

    length: int | None
    skip: int
    wanted: int | None
    total: int | None


def check_status(url: str, answer: Answer) -> None:
    """Raise what a status other than 2xx means."""
    if answer.status in _GONE:
        raise MediaMissing(url)
    if answer.status in _DENIED:
        raise AccessRefusedError(f"the server answers {answer.status} for {redact_url(url)}")
    if not 200 <= answer.status < 300:  # noqa: PLR2004 - the class of success
        raise MediaFaultError(f"the server answers {answer.status} for {redact_url(url)}")


def announced(url: str, answer: Answer, start: int, end: int | None) -> Announced:
    """What the answer to a `GET` of a part holds.

    Raises:
        MediaMissing: there is nothing.
        MediaFaultError: it is something else than what was asked for.
    """
    if answer.status == _UNSATISFIABLE:
        return _nothing(answer, start)
    check_status(url, answer)
    if answer.headers.get("Content-Encoding", "identity").lower() not in {"", "identity"}:
        raise MediaFaultError("the server compresses what it sends")
    if answer.status == _PARTIAL:
        return _part(answer, start, end)
    if answer.status != _OK:
        raise MediaFaultError(f"the server answers {answer.status} without a body")
    # It does not know ranges, and sends all.
    total = answer.content_length
    stop = end if total is None else total if end is None else min(end, total)
    return Announced(total, start, None if stop is None else max(0, stop - start), total)


def _part(answer: Answer, start: int, end: int | None) -> Announced:
    found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if found is None or found[1] is None or int(found[1]) != start:
        raise MediaFaultError("the server sent another part than was asked for")
    total = None if found[3] == "*" else int(found[3])
    length = int(found[2]) + 1 - start
    stop = end if total is None else total if end is None else min(end, total)
    if (stop is not None and length != stop - start) or answer.content_length not in {None, length}:
        raise MediaFaultError(f"the server sent {length} bytes of a part of another length")
    return Announced(length, 0, length, total)


def _nothing(answer: Answer, start: int) -> Announced:
    """A part behind the end. `bytes */0` is how an empty object looks."""
    found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    total = int(found[3]) if found and found[3] != "*" else None
    if total is not None and start < total:
        raise MediaFaultError("the server does not have a part that it has")
    return Announced(0, 0, 0, total)
