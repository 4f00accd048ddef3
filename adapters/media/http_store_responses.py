"""Interpret a web server's response to a range request, without I/O (RFC 9110, sections 14 and 15)."""

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


class Response(Protocol):
    """The parts of an HTTP response that describe its body."""

    @property
    def status(self) -> int:
        """The status code."""

    @property
    def content_length(self) -> int | None:
        """The length of the body in bytes, if the server sent it."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers. Their names are case-insensitive."""


@dataclass(frozen=True, slots=True)
class BodyPart:
    """The part of a response body to use: skip `skip` bytes, then read `wanted` bytes (`None`: all).

    `total` is the length of the whole object. `length` is the length of the body. If `length` is `None`, the body may
    end before `wanted` bytes.
    """

    length: int | None
    skip: int
    wanted: int | None
    total: int | None


def check_status(url: str, response: Response) -> None:
    """Raise the error for a status other than 2xx."""
    if response.status in _GONE:
        raise MediaMissing(url)
    if response.status in _DENIED:
        raise AccessRefusedError(f"the server answers {response.status} for {redact_url(url)}")
    if not 200 <= response.status < 300:  # noqa: PLR2004 - the class of success
        raise MediaFaultError(f"the server answers {response.status} for {redact_url(url)}")


def body_part(url: str, response: Response, start: int, end: int | None) -> BodyPart:
    """Return the part to use of the response to a ranged `GET`.

    Raises:
        MediaMissing: there is no object.
        MediaFaultError: the response is not the requested range.
    """
    if response.status == _UNSATISFIABLE:
        return _empty_part(response, start)
    check_status(url, response)
    if response.headers.get("Content-Encoding", "identity").lower() not in {"", "identity"}:
        raise MediaFaultError("the server compresses the response although no compression was requested")
    if response.status == _PARTIAL:
        return _range_part(response, start, end)
    if response.status != _OK:
        raise MediaFaultError(f"the server answers {response.status} without a body")
    # The server does not support ranges, and sends the whole object.
    total = response.content_length
    stop = end if total is None else total if end is None else min(end, total)
    return BodyPart(total, start, None if stop is None else max(0, stop - start), total)


def _range_part(response: Response, start: int, end: int | None) -> BodyPart:
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if found is None or found[1] is None or int(found[1]) != start:
        raise MediaFaultError(f"the server did not send the requested range, which starts at byte {start}")
    total = None if found[3] == "*" else int(found[3])
    length = int(found[2]) + 1 - start
    stop = end if total is None else total if end is None else min(end, total)
    if (stop is not None and length != stop - start) or response.content_length not in {None, length}:
        raise MediaFaultError(f"the server sent a range of {length} bytes, which is not the requested length")
    return BodyPart(length, 0, length, total)


def _empty_part(response: Response, start: int) -> BodyPart:
    """Return the empty part of a 416 response. `bytes */0` stands for an empty object."""
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    total = int(found[3]) if found and found[3] != "*" else None
    if total is not None and start < total:
        raise MediaFaultError(f"the server rejects a range from byte {start} of an object with {total} bytes")
    return BodyPart(0, 0, 0, total)
