"""A recording's audio as an answer: what of it, under which name and type (contract section 2.3)."""

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from adapters.http.audio_response import part_headers, requested_part, stream_part, unsatisfied_range
from adapters.http.byte_ranges import UnsatisfiableRangeError
from adapters.http.conditional_requests import Validators
from adapters.http.download_name import content_disposition, download_name
from adapters.rest_v2.dependencies import Read
from adapters.rest_v2.request.v2_errors import Fault
from recordings.model.recording import Recording
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
    try:
        part = requested_part(request.headers, media, validators)
    except UnsatisfiableRangeError as error:
        raise Fault(416, "range not satisfiable", headers={"content-range": unsatisfied_range(media)}) from error
    headers = part_headers(media, part) | {
        "content-disposition": disposition(recording, inline=request.query_params.get("inline") == "true"),
        "etag": validators.etag,
    }
    if "range" in request.headers:
        headers["accept-ranges"] = "bytes"
    return await stream_part(media, part, headers, read)


def disposition(recording: Recording, *, inline: bool) -> str:
    """The name of the download, quoted only where it has to be: clients cut it out of the header."""
    name = download_name(recording.name, recording.id, recording.format)
    if _TOKEN.fullmatch(name):
        return f"{'inline' if inline else 'attachment'}; filename={name}"
    return content_disposition(name, inline=inline)
