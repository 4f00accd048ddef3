"""The response with the audio of a recording (`docs/v2_contract.md`, section 2.3)."""

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from adapters.http.audio_response import part_headers, requested_part, stream_part, unsatisfied_range
from adapters.http.byte_ranges import UnsatisfiableRangeError
from adapters.http.conditional_requests import Validators
from adapters.http.download_name import content_disposition, download_name
from adapters.rest_v2.adapter_functions import Read
from adapters.rest_v2.request.v2_errors import V2Error
from recordings.model.recording import Recording
from recordings.ports.audio import MediaMissing

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z@-]+")


async def play(request: Request, recording: Recording, validators: Validators, read: Read) -> Response:
    """Return the audio or the requested range. The first bytes are read before the response starts.

    Raises:
        MediaMissing: the store does not have the audio.
        V2Error: 416, the range begins after the end.
    """
    if (media := recording.media) is None:
        raise MediaMissing(recording.id)
    try:
        part = requested_part(request.headers, media, validators)
    except UnsatisfiableRangeError as error:
        raise V2Error(416, "range not satisfiable", headers={"content-range": unsatisfied_range(media)}) from error
    headers = part_headers(media, part) | {
        "content-disposition": disposition(
            recording, media.content_type, inline=request.query_params.get("inline") == "true"
        ),
        "etag": validators.etag,
    }
    if "range" in request.headers:
        headers["accept-ranges"] = "bytes"
    return await stream_part(media, part, headers, read)


def disposition(recording: Recording, content_type: str, *, inline: bool) -> str:
    """Return the `Content-Disposition`. The name is quoted only if necessary: clients do not expect quotes."""
    name = download_name(recording.name, recording.id, content_type)
    if _TOKEN.fullmatch(name):
        return f"{'inline' if inline else 'attachment'}; filename={name}"
    return content_disposition(name, inline=inline)
