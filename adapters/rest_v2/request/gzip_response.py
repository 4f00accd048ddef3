"""Answers in gzip, for clients that take it (contract section 5).

JSON and tables: audio does not get smaller. What is streamed is compressed piece by piece, and each piece goes out as
soon as it is read. The token in an envelope is not given away by the length: no page can have a browser send it, as it
could with a cookie.
"""

import re
import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.responses import Response

from adapters.http.streaming_response import Streamed
from adapters.rest_v2.request.request_context import JSON_TYPE

LEAST: Final = 300
"""Bytes up to which it is not worth it."""
_LEVEL: Final = 1
"""A page of 50 in a tenth of a millisecond, to a sixth of its size; higher levels win little."""
_GZIP: Final = 31
_TYPES: Final = frozenset({JSON_TYPE, "text/csv"})
_ZERO: Final = re.compile(r"q\s*=\s*0(\.0*)?")


def _library() -> Any:
    """The faster library, where the extra `compression` is installed: ten times zlib's speed, at the same size."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    return isal_zlib


_zlib: Final = _library()


def compress(response: Response, asked: Headers) -> None:
    """Put an answer into gzip where it may be."""
    streamed = isinstance(response, Streamed)
    is_large = streamed or len(response.body) > LEAST
    if not is_large or response.headers.get("content-type") not in _TYPES:
        return
    response.headers["vary"] += ", accept-encoding"
    if not takes_gzip(asked.get("accept-encoding", "")):
        return
    response.headers["content-encoding"] = "gzip"
    if isinstance(response, Streamed):
        response.pass_through(packed)
    else:
        response.body = _zlib.compress(response.body, _LEVEL, wbits=_GZIP)
        response.headers["content-length"] = str(len(response.body))


async def packed(body: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """A body in gzip, of which no more is held than a piece. One that breaks off has no end."""
    packing = _zlib.compressobj(_LEVEL, _zlib.DEFLATED, _GZIP)
    async with aclosing(body):
        async for piece in body:
            yield packing.compress(piece) + packing.flush(_zlib.Z_SYNC_FLUSH)
    yield packing.flush()


def takes_gzip(header: str) -> bool:
    """Whether an `Accept-Encoding` names gzip (or all), with a quality that is not zero."""
    taken = {}
    for part in header.lower().split(","):
        name, _, quality = (text.strip() for text in part.partition(";"))
        taken[name] = not _ZERO.fullmatch(quality)
    return taken.get("gzip", taken.get("*", False))
