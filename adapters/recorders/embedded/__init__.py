"""The embedded recorder: senders send calls and files directly to this process, without a telephone switch.

Assemble it in the event loop:

    recorder = EmbeddedRecorder(spool=spool, clock=clock, limits=limits)
    uploads = Uploads(ingest=ingest, spool=spool, limits=limits)
    routes = ingest_routes(
        authenticate=authenticate, uploads=uploads, sockets=MediaSockets(recorder, clock), clock=clock
    )

Serve it with uvicorn and `http=HttpProtocol, ws=WebSocketProtocol, ws_max_size=65_536, ws_ping_timeout=None`. The ping
timeout must be off: a stream that is slowed down answers no ping. The recorder itself closes silent streams.
"""

from adapters.recorders.embedded.audiosocket_calls import AudioSocketCalls
from adapters.recorders.embedded.audiosocket_server import AudioSocketServer
from adapters.recorders.embedded.embedded_recorder import EmbeddedRecorder
from adapters.recorders.embedded.ingest_responses import Authenticate
from adapters.recorders.embedded.ingest_routes import ingest_routes
from adapters.recorders.embedded.recorder_limits import Limits
from adapters.recorders.embedded.stream_signature import StreamSignatures
from adapters.recorders.embedded.stream_sockets import MediaSockets
from adapters.recorders.embedded.uploads import Uploads
from adapters.recorders.embedded.uvicorn_protocols import DIRECT_MESSAGES, HttpProtocol, WebSocketProtocol

__all__ = [
    "DIRECT_MESSAGES",
    "AudioSocketCalls",
    "AudioSocketServer",
    "Authenticate",
    "EmbeddedRecorder",
    "HttpProtocol",
    "Limits",
    "MediaSockets",
    "StreamSignatures",
    "Uploads",
    "WebSocketProtocol",
    "ingest_routes",
]
