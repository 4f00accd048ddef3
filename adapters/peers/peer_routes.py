"""Where this server takes commands of others, for its own calls.

POST /internal/commands, with the command as a bearer token and no body:

    200   done
    401   no command of this installation's for this server, or one that came before; nothing was done
    409   the recorder could not
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from adapters.http.error_body import error_response
from adapters.peers.signed_commands import PATH, Command, Commands, Done, Forged, Verb
from recordings.model.errors import RecorderFailed
from recordings.model.events import Begun
from recordings.model.recording import State
from recordings.ports.recorder import Recorder, Take, TakeRefused
from recordings.ports.recording_store import RecordingStore


def peer_routes(*, commands: Commands, recorder: Recorder, recordings: RecordingStore, node: str) -> list[BaseRoute]:
    """The route, for the app's router. `recorder` is this server's own."""
    takes = _Takes(recorder, recordings, node)

    async def obey(request: Request) -> Response:
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        try:
            command = commands.read(text if scheme.lower() == "bearer" else "")
        except Forged:
            return error_response(
                401, "UNAUTHENTICATED", "no command of this installation", {"www-authenticate": "Bearer"}
            )
        try:
            done = await takes.obey(command)
        except TakeRefused as refused:
            return error_response(409, RecorderFailed.code, str(refused))
        return Response(msgspec.json.encode(done), media_type="application/json")

    return [Route(PATH, obey, methods=["POST"])]


class _Takes:
    """The takes of this server's calls."""

    def __init__(self, recorder: Recorder, recordings: RecordingStore, node: str) -> None:
        self._recorder = recorder
        self._recordings = recordings
        self._node = node

    async def obey(self, command: Command) -> Done:
        """Do to a take what a command says. Raises `TakeRefused`."""
        recorder, name = self._recorder, command.recording_id
        match command.verb:
            case Verb.START:
                event = await recorder.start(await self._wanted(name))
                return Done(begun=event.at) if isinstance(event, Begun) else Done(armed=event.at)
            case Verb.STOP:
                await recorder.stop(name)
            case Verb.PAUSE:
                return Done(at_ms=await recorder.pause(name))
            case Verb.RESUME:
                await recorder.resume(name)
            case Verb.MASK:
                return Done(at_ms=await recorder.mask(name))
            case Verb.UNMASK:
                await recorder.unmask(name)
        return Done()

    async def _wanted(self, recording_id: str) -> Take:
        # What is to be recorded stands in the store, and there alone. One that has moved on is over: a start that was
        # long on its way opens nothing.
        recording = await self._recordings.load(recording_id)
        if recording is None or recording.node != self._node or recording.state is not State.REQUESTED:
            raise TakeRefused("nobody waits for this recording here")
        return Take(recording.id, recording.account_id, recording.call_id, recording.options)
