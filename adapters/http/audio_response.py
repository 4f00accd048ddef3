"""Responses that play stored audio: byte ranges, conditional requests and streams.

`play` is the response of all routes except v2. v2 has its own headers and errors, and shares the functions below.
"""

from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from adapters.http.byte_ranges import Part, UnsatisfiableRangeError, choose_part
from adapters.http.conditional_requests import Precondition, Validators, allows_range, check_preconditions
from adapters.http.download_name import content_disposition, download_name
from adapters.http.error_body import error_response
from adapters.http.streaming_response import StreamedResponse, prepend
from adapters.http.verified_body import verified
from recordings.model.recording import Media, Recording
from recordings.ports.audio import Chunk, MediaMissing

Read = Callable[[str, int, int | None], AsyncIterator[Chunk]]
"""`MediaStore.read`, or the same with parts of files if the server can send them."""

_COMMON_HEADERS: Final = {
    "accept-ranges": "bytes",
    "x-content-type-options": "nosniff",
    # A browser may store the audio but must revalidate it on each use. Without this header it may play a recording for
    # days after the recording was deleted (RFC 9111, section 4.2.2).
    "cache-control": "private, no-cache, no-transform",
}
_PLAYERS: Final = frozenset({"audio", "video"})
"""Values of `Sec-Fetch-Dest` of a media element."""


async def play(request: Request, recording: Recording, read: Read, *, inline: bool = False) -> Response:
    """Return the response to a `GET` or `HEAD` of a recording's audio.

    The first bytes are read before the response starts, so a missing file becomes an error response.

    Raises:
        MediaMissing: the store does not have those bytes.
        ValueError: the recording has no media.
    """
    if (media := recording.media) is None:
        raise ValueError(f"recording {recording.id} has no media")
    validators = Validators(media.sha256, media.stored_at)
    headers = _COMMON_HEADERS | {"etag": validators.etag, "last-modified": validators.last_modified}
    match check_preconditions(request.method, request.headers, validators):
        case Precondition.NOT_MODIFIED:
            return Response(status_code=304, headers=headers)
        case Precondition.FAILED:
            return error_response(412, "PRECONDITION_FAILED", "the audio differs from the version you named", headers)
    try:
        # Only GET has ranges (RFC 9110, section 14.2).
        part = requested_part(request.headers, media, validators) if request.method == "GET" else None
    except UnsatisfiableRangeError:
        headers["content-range"] = unsatisfied_range(media)
        return error_response(416, "RANGE_NOT_SATISFIABLE", f"the audio has {media.length} bytes", headers)
    name = download_name(recording.name, recording.id, media.content_type)
    headers |= part_headers(media, part)
    headers["content-disposition"] = content_disposition(name, inline=inline)
    # The digest of the whole audio, also in the response to a range (RFC 9530, section 3.1).
    headers["repr-digest"] = f"sha-256=:{b64encode(bytes.fromhex(media.sha256)).decode()}:"
    if request.method == "HEAD":
        return Response(status_code=200, headers=headers)
    return await stream_part(media, part, headers, read)


def is_download(request: Request, *, inline: bool) -> bool:
    """Return true if the client saves the audio. A player asks for a range, or a browser names its destination."""
    return not inline and "range" not in request.headers and request.headers.get("sec-fetch-dest") not in _PLAYERS


def requested_part(headers: Mapping[str, str], media: Media, validators: Validators) -> Part | None:
    """Return the part that `Range` and `If-Range` request; `None` for the whole audio.

    Raises:
        UnsatisfiableRangeError: the part is beyond the end of the audio.
    """
    if not allows_range(headers.get("if-range"), validators):
        return None
    return choose_part(headers.get("range"), media.length)


def unsatisfied_range(media: Media) -> str:
    """Return the `Content-Range` of a 416 response."""
    return f"bytes */{media.length}"


def part_headers(media: Media, part: Part | None) -> dict[str, str]:
    """Return the headers that describe the body: its type, its length and its range."""
    size = media.length if part is None else part.end - part.start
    headers = {"content-length": str(size), "content-type": media.content_type}
    return headers if part is None else headers | {"content-range": part.content_range(media.length)}


async def stream_part(media: Media, part: Part | None, headers: Mapping[str, str], read: Read) -> Response:
    """Return a response that streams a part, or the whole audio. Reads the first bytes before it returns.

    Raises:
        MediaMissing: the store does not have those bytes, or has other ones.
    """
    status = 200 if part is None else 206
    if not media.length:
        return Response(status_code=status, headers=headers)
    start, end = (0, media.length) if part is None else (part.start, part.end)
    chunks = aiter(read(media.url, start, end))
    if (start, end) == (0, media.length):
        chunks = await verified(chunks, media)
    first = await anext(chunks, None)
    if first is None:
        raise MediaMissing(media.url)
    return StreamedResponse(prepend(first, chunks), status, headers)
