"""`GET /media/{id}`: playing a recording, with credentials or with a signed address."""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.http.audio_response import play
from adapters.http.error_body import RETRY, error_response
from graph.media.convert import Rendering
from graph.media.wanted_format import wanted_format
from recordings.model.account import Principal
from recordings.model.errors import Busy, Forbidden, MediaUnavailable, NotFound, Refused, Unauthenticated
from recordings.model.recording import Recording
from recordings.ports.audio import MediaMissing, MediaStore
from recordings.ports.process import Clock
from recordings.rules.media_grants import Grant, Grants

Authenticate = Callable[[Request], Awaitable[Principal]]
"""Who asks, by the request's credentials. Raises `Unauthenticated`."""

_STATUSES: Final[tuple[tuple[type[Refused], int], ...]] = (
    (Unauthenticated, 401),
    (Busy, 503),
    (Forbidden, 403),
    (NotFound, 404),
    (MediaUnavailable, 404),
)
_PRIVATE: Final = {"cache-control": "no-store"}
_BESIDE: Final = {401: {"www-authenticate": "Bearer"}, 503: RETRY}
_LONGEST_NUMBER: Final = 18


class Listening(Protocol):
    """The use cases of `recordings.use_cases.recordings` that this needs."""

    async def listen(self, principal: Principal, recording_id: str) -> Recording:
        """A recording with media, for somebody. Raises `Refused`."""

    async def listen_with_grant(self, grant: Grant) -> Recording:
        """A recording with media, for whoever holds a grant. Raises `Refused`."""


class MediaEndpoint:
    """Plays recordings. `inline=true` asks a browser to play instead of to save.

    With `rendering`, `format=opus` (or `Accept`) asks for it in another format; see `graph.media.wanted_format`.
    """

    def __init__(
        self,
        *,
        service: Listening,
        media: MediaStore,
        grants: Grants,
        clock: Clock,
        authenticate: Authenticate,
        rendering: Rendering | None = None,
    ) -> None:
        self._service = service
        self._media = media
        self._grants = grants
        self._clock = clock
        self._authenticate = authenticate
        self._rendering = rendering

    def route(self, path: str = "/media/{id}") -> Route:
        """The route that it answers."""
        return Route(path, self.respond, methods=["GET", "HEAD"], name="media")

    async def respond(self, request: Request) -> Response:
        """Play, or say why not."""
        try:
            return await self._play(request, await self._recording(request))
        except Refused as refused:
            return _refusal(refused)
        except MediaMissing:
            return error_response(404, MediaUnavailable.code, "the audio is not where it was stored", _PRIVATE)

    async def _play(self, request: Request, recording: Recording) -> Response:
        inline = request.query_params.get("inline") == "true"
        if self._rendering is None or recording.media is None:
            return await play(request, recording, self._media.read, inline=inline)
        asked = request.query_params.get("format")
        # A player that can set no header says it in the address, as on the v2 paths.
        accept = request.query_params.get("accept") or request.headers.get("accept")
        wanted = wanted_format(asked, accept, recording.media.content_type)
        converted = await self._rendering.convert(recording, wanted) if wanted is not None else None
        if converted is None:
            answer = await play(request, recording, self._media.read, inline=inline)
        else:
            answer = await play(request, converted.recording, converted.read, inline=inline)
        if asked is None:
            # What is kept of it on the way is not for everybody who asks for this address.
            answer.headers["vary"] = "Accept"
        return answer

    async def _recording(self, request: Request) -> Recording:
        recording_id: str = request.path_params["id"]
        signature = request.query_params.get("signature")
        if signature is None:
            return await self._service.listen(await self._authenticate(request), recording_id)
        expires = _instant(request.query_params.get("expires", ""))
        grant = self._grants.check(recording_id, expires, signature, self._clock.now())
        return await self._service.listen_with_grant(grant)


def _instant(text: str) -> int:
    """The instant of a signed address. One that nobody signed cannot have a valid signature."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER else 0


def _refusal(refused: Refused) -> Response:
    status = next((status for kind, status in _STATUSES if isinstance(refused, kind)), 400)
    return error_response(status, refused.code, refused.message, _PRIVATE | _BESIDE.get(status, {}))
