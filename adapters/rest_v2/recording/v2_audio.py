"""A recording's audio as an answer: what of it, under which name and type (contract section 2.3)."""

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from adapters.http.byte_ranges import Part, UnsatisfiableRangeError, choose_part
from adapters.http.conditional_requests import Validators, allows_range
from adapters.http.download_name import content_disposition, download_name
from adapters.http.streaming_response import Streamed, resumed
from adapters.rest_v2.dependencies import Read
from adapters.rest_v2.request.v2_errors import Fault
from recordings.model.recording import Media, Recording
from recordings.ports.audio import MediaMissing

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z@-]+")


async def play(request: Request, recording: Recording, validators: Validators, read: Read) -> Response:
    """The audio, or the asked-for part of it. Its first bytes are read before anything is answered.

    Raises:
        MediaMissing: the store does not have it.
        Fault: 416, the part lies behind its end.
    """
    if (media := recording.media) is None:
        raise MediaMissing(recording.id)
    ranged = request.headers.get("range")
    part = _part(request, media, validators)
    start, end = (part.start, part.end) if part else (0, media.length)
    headers = {
        "content-type": media.content_type,
        "content-length": str(end - start),
        "content-disposition": disposition(recording, inline=request.query_params.get("inline") == "true"),
        "etag": validators.etag,
    }
    if ranged is not None:
        headers["accept-ranges"] = "bytes"
    if part:
        headers["content-range"] = part.content_range(media.length)
    chunks = aiter(read(media.url, start, end))
    first = await anext(chunks, b"")
    return Streamed(resumed(first, chunks), 206 if part else 200, headers)


def disposition(recording: Recording, *, inline: bool) -> str:
    """The name of the download, quoted only where it has to be: clients cut it out of the header."""
    name = download_name(recording.name, recording.id, recording.format)
    if _TOKEN.fullmatch(name):
        return f"{'inline' if inline else 'attachment'}; filename={name}"
    return content_disposition(name, inline=inline)


def _part(request: Request, media: Media, validators: Validators) -> Part | None:
    if not allows_range(request.headers.get("if-range"), validators):
        return None
    try:
        return choose_part(request.headers.get("range"), media.length)
    except UnsatisfiableRangeError as error:
        headers = {"content-range": f"bytes */{media.length}"}
        raise Fault(416, "range not satisfiable", headers=headers) from error
