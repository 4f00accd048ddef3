"""Playing stored audio over HTTP: ranges, conditions, and a stream that is let go of when its listener leaves."""

from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from adapters.http.audio_types import format_of
from adapters.http.byte_ranges import Part, UnsatisfiableRangeError, choose_part
from adapters.http.conditional_requests import Validators, Verdict, allows_range, judge
from adapters.http.download_name import content_disposition, download_name
from adapters.http.error_body import error_response
from adapters.http.streaming_response import Streamed, resumed
from recordings.model.recording import Media, Recording
from recordings.ports.audio import MediaMissing

Read = Callable[[str, int, int | None], AsyncIterator[bytes]]
"""`MediaStore.read`."""

_SAFE: Final = {
    "accept-ranges": "bytes",
    "x-content-type-options": "nosniff",
    # A browser may keep it, and has to ask each time whether it may still be heard: without a word on that, an old
    # recording would be played for days after it was deleted (RFC 9111, section 4.2.2).
    "cache-control": "private, no-cache, no-transform",
}


async def play(request: Request, recording: Recording, read: Read, *, inline: bool = False) -> Response:
    """The response to a `GET` or `HEAD` of a recording's audio.

    The first bytes are read before anything is answered, so that what is missing is not announced.

    Raises:
        MediaMissing: the store does not have those bytes.
        ValueError: the recording has no media.
    """
    if (media := recording.media) is None:
        message = f"recording {recording.id} has no media"
        raise ValueError(message)
    validators = Validators(media.sha256, media.stored_at)
    headers = _SAFE | {"etag": validators.etag, "last-modified": validators.last_modified}
    if (verdict := judge(request.method, request.headers, validators)) is not Verdict.GO_ON:
        return _conditional(verdict, headers)
    try:
        part = _part(request, media, validators)
    except UnsatisfiableRangeError:
        headers["content-range"] = f"bytes */{media.length}"
        return error_response(416, "RANGE_NOT_SATISFIABLE", f"the audio has {media.length} bytes", headers)
    headers |= _description(recording, media, part, inline=inline)
    return await _stream(request.method, media, part, headers, read)


def _conditional(verdict: Verdict, headers: dict[str, str]) -> Response:
    if verdict is Verdict.NOT_MODIFIED:
        return Response(status_code=304, headers=headers)
    return error_response(412, "PRECONDITION_FAILED", "the audio is not the one that was asked for", headers)


def _part(request: Request, media: Media, validators: Validators) -> Part | None:
    """The part asked for. Ranges are defined for `GET` alone (RFC 9110, 14.2)."""
    if request.method != "GET" or not allows_range(request.headers.get("if-range"), validators):
        return None
    return choose_part(request.headers.get("range"), media.length)


def _description(recording: Recording, media: Media, part: Part | None, *, inline: bool) -> dict[str, str]:
    size = media.length if part is None else part.end - part.start
    name = download_name(recording.name, recording.id, format_of(media.content_type))
    described = {
        "content-length": str(size),
        "content-type": media.content_type,
        "content-disposition": content_disposition(name, inline=inline),
        # Of the whole, also beside a part (RFC 9530, section 3.1).
        "repr-digest": f"sha-256=:{b64encode(bytes.fromhex(media.sha256)).decode()}:",
    }
    return described if part is None else described | {"content-range": part.content_range(media.length)}


async def _stream(method: str, media: Media, part: Part | None, headers: dict[str, str], read: Read) -> Response:
    status = 200 if part is None else 206
    if method == "HEAD" or not media.length:
        return Response(status_code=status, headers=headers)
    start, end = (0, media.length) if part is None else (part.start, part.end)
    chunks = read(media.url, start, end)
    first = await anext(chunks, None)
    if first is None:
        raise MediaMissing(media.url)
    return Streamed(resumed(first, chunks), status, headers)
