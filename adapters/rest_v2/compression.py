"""Answers in gzip, for clients that take it (contract section 5).

Only whole answers of JSON: audio does not get smaller, and what is streamed goes out as soon as it is read. The token
in an envelope is not given away by the length: no page can have a browser send it, as it could with a cookie.
"""

import re
import zlib
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response

from adapters.rest_v2.exchange import JSON_TYPE

LEAST: Final = 300
"""Bytes up to which it is not worth it."""
_LEVEL: Final = 1
"""A page of 50 in a tenth of a millisecond, to a sixth of its size; higher levels win little."""
_GZIP: Final = 31
_ZERO: Final = re.compile(r"q\s*=\s*0(\.0*)?")


def compress(response: Response, asked: Headers) -> None:
    """Put an answer into gzip where it may be. Streamed ones have no body yet, and stay as they are."""
    body = getattr(response, "body", b"")
    if len(body) <= LEAST or response.headers.get("content-type") != JSON_TYPE:
        return
    response.headers["vary"] += ", accept-encoding"
    if takes_gzip(asked.get("accept-encoding", "")):
        response.body = zlib.compress(body, _LEVEL, wbits=_GZIP)
        response.headers["content-encoding"] = "gzip"
        response.headers["content-length"] = str(len(response.body))


def takes_gzip(header: str) -> bool:
    """Whether an `Accept-Encoding` names gzip (or all), with a quality that is not zero."""
    taken = {}
    for part in header.lower().split(","):
        name, _, quality = (text.strip() for text in part.partition(";"))
        taken[name] = not _ZERO.fullmatch(quality)
    return taken.get("gzip", taken.get("*", False))
