"""`GET /media/{id}`: play a recording, with credentials or with a signed URL."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.http.audio_response import is_download, play
from adapters.http.error_body import RETRY, error_response
from adapters.http.streaming_response import sends_files
from graph.media.convert import Converter
from graph.media.wanted_format import wanted_format
from recordings.model.account import Principal
from recordings.model.errors import Busy, Forbidden, MediaUnavailable, NotFound, Refused, Unauthenticated
from recordings.model.instants import Millis
from recordings.ports.audio import Chunk, MediaMissing
from recordings.ports.clock import Clock
from recordings.rules.media_grants import Grant, Grants
from recordings.use_cases.playback import Playback

Authenticate = Callable[[Request], Awaitable[Principal]]
"""Returns the principal of a request's credentials. Raises `Unauthenticated`."""

_STATUSES: Final[tuple[tuple[type[Refused], int], ...]] = (
    (Unauthenticated, 401),
    (Busy, 503),
    (Forbidden, 403),
    (NotFound, 404),
    (MediaUnavailable, 404),
)
_PRIVATE: Final = {"cache-control": "no-store"}
_HEADERS_BY_STATUS: Final = {401: {"www-authenticate": "Bearer"}, 503: RETRY}
_MAX_DIGITS: Final = 18
_MAX_REQUESTER: Final = 2_048


class PlayUseCases(Protocol):
    """The use cases of `recordings.use_cases.playback` that the endpoint needs."""

    async def listen(self, principal: Principal, recording_id: str) -> Playback:
        """Return a recording with media for a principal. Raises `Refused`."""

    async def listen_with_grant(self, grant: Grant, now: Millis) -> Playback:
        """Return a recording with media for the holder of a grant. Raises `Refused`."""

    def refuse_signature(self, refused: Unauthenticated) -> None:
        """Note a URL whose signature is not valid."""


class PlayedMedia(Protocol):
    """The media stores of an installation, with the methods that playing needs."""

    def read(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """As `MediaStore.read`."""

    def parts(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[Chunk]:
        """As `read`, but parts of open files instead of bytes where the store can do that."""


class MediaEndpoint:
    """Plays recordings. With `inline=true` a browser plays the file instead of saving it.

    With a `converter`, `format=opus` (or `Accept`) selects another format; see `graph.media.wanted_format`.
    """

    def __init__(
        self,
        *,
        service: PlayUseCases,
        media: PlayedMedia,
        grants: Grants,
        clock: Clock,
        authenticate: Authenticate,
        converter: Converter | None = None,
    ) -> None:
        self._service = service
        self._media = media
        self._grants = grants
        self._clock = clock
        self._authenticate = authenticate
        self._converter = converter

    def route(self, path: str = "/media/{id}") -> Route:
        """Return the route of the endpoint."""
        return Route(path, self.respond, methods=["GET", "HEAD"], name="media")

    async def respond(self, request: Request) -> Response:
        """Return the audio, or an error response."""
        try:
            return await self._play(request, await self._playback(request))
        except Refused as refused:
            return _refused_response(refused)
        except MediaMissing as missing:
            return error_response(404, MediaUnavailable.code, missing.message, _PRIVATE)

    async def _play(self, request: Request, playback: Playback) -> Response:
        recording = playback.recording
        inline = request.query_params.get("inline") == "true"
        saves = is_download(request, inline=inline)
        stored = self._media.parts if sends_files(request) else self._media.read
        read = playback.audio(stored, download=saves)
        if self._converter is None or recording.media is None:
            return await play(request, recording, read, inline=inline)
        format_parameter = request.query_params.get("format")
        # A player that cannot set headers uses the query parameter, as on the v2 paths.
        accept = request.query_params.get("accept") or request.headers.get("accept")
        wanted = wanted_format(format_parameter, accept, recording.media.content_type)
        converted = await self._converter.convert(recording, wanted) if wanted is not None else None
        if converted is None:
            response = await play(request, recording, read, inline=inline)
        else:
            copied = playback.audio(converted.read, recording=converted.recording, download=saves)
            response = await play(request, converted.recording, copied, inline=inline)
        if format_parameter is None:
            # Caches must keep a separate response for each Accept header.
            response.headers["vary"] = "Accept"
        return response

    async def _playback(self, request: Request) -> Playback:
        recording_id: str = request.path_params["id"]
        signature = request.query_params.get("signature")
        if signature is None:
            return await self._service.listen(await self._authenticate(request), recording_id)
        expires = _expiry(request.query_params.get("expires", ""))
        requester = request.query_params.get("by", "")[:_MAX_REQUESTER]
        try:
            grant = self._grants.check(recording_id, expires, requester, signature)
        except Unauthenticated as error:
            self._service.refuse_signature(error)
            raise
        return await self._service.listen_with_grant(grant, self._clock.now())


def _expiry(text: str) -> int:
    """Return the expiry time of a signed URL; 0 for an invalid one, for which no signature is valid."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else 0


def _refused_response(refused: Refused) -> Response:
    status = next((status for kind, status in _STATUSES if isinstance(refused, kind)), 400)
    return error_response(status, refused.code, refused.message, _PRIVATE | _HEADERS_BY_STATUS.get(status, {}))
