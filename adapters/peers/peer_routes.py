"""The route on which this server receives commands of other servers for its own calls.

POST /internal/commands, with the command as a bearer token and no body:

    200   executed
    401   not a valid command of this installation for this server, or a repeated command; nothing was executed
    409   the recorder refused
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from adapters.http.error_body import error_response
from adapters.peers.peer_client import PeerClient
from adapters.peers.signed_commands import PATH, Command, CommandResult, CommandSigner, InvalidCommandError, Verb
from recordings.model.errors import RecorderFailed
from recordings.model.events import Begun
from recordings.model.recording import State
from recordings.ports.recorder import Recorder, Take, TakeRefused
from recordings.ports.recording_store import RecordingStore
from recordings.use_cases.start import take_of


def peer_routes(
    *,
    signer: CommandSigner,
    recorder: Recorder,
    recordings: RecordingStore,
    node: str,
    client: PeerClient | None = None,
) -> list[BaseRoute]:
    """Return the route, for the app's router. `recorder` is this server's own recorder.

    `client` passes commands to the other workers of this machine.
    """
    executor = _CommandExecutor(recorder, recordings, node)

    async def execute(request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token if scheme.lower() == "bearer" else ""
        if client is not None and (relayed := await client.relay(token)) is not None:
            status, body = relayed
            return Response(body, status, media_type="application/json")
        try:
            command = signer.verify(token)
        except InvalidCommandError as error:
            return error_response(401, "UNAUTHENTICATED", str(error), {"www-authenticate": "Bearer"})
        try:
            result = await executor.execute(command)
        except TakeRefused as refused:
            return error_response(409, RecorderFailed.code, str(refused))
        return Response(msgspec.json.encode(result), media_type="application/json")

    return [Route(PATH, execute, methods=["POST"])]


class _CommandExecutor:
    """Executes commands on the takes of this server's calls."""

    def __init__(self, recorder: Recorder, recordings: RecordingStore, node: str) -> None:
        self._recorder = recorder
        self._recordings = recordings
        self._node = node

    async def execute(self, command: Command) -> CommandResult:  # noqa: PLR0911 - one return for each verb
        """Execute a command. Raises `TakeRefused`."""
        recorder, recording_id = self._recorder, command.recording_id
        match command.verb:
            case Verb.START:
                event = await recorder.start(await self._take(recording_id))
                return CommandResult(begun=event.at) if isinstance(event, Begun) else CommandResult(armed=event.at)
            case Verb.STOP:
                await recorder.stop(recording_id)
            case Verb.PAUSE:
                return CommandResult(at_ms=await recorder.pause(recording_id))
            case Verb.RESUME:
                return CommandResult(length_ms=await recorder.resume(recording_id))
            case Verb.MASK:
                return CommandResult(at_ms=await recorder.mask(recording_id))
            case Verb.UNMASK:
                return CommandResult(length_ms=await recorder.unmask(recording_id))
            case Verb.YIELD_CALL:
                account_id, _, call_id = recording_id.partition("/")
                return CommandResult(has_call=not await recorder.yield_call(account_id, call_id))
        return CommandResult()

    async def _take(self, recording_id: str) -> Take:
        # Only the store says what to record. If the recording has left REQUESTED, a late start opens nothing.
        recording = await self._recordings.load(recording_id)
        if recording is None or recording.node != self._node or recording.state is not State.REQUESTED:
            raise TakeRefused("this recording does not wait for a start on this server")
        return take_of(recording)
