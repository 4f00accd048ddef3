"""The embedded recorder: calls and files are sent to this process itself, with no telephony in between.

Put together like this, in the event loop:

    recorder = EmbeddedRecorder(spool=spool, clock=clock, limits=limits)
    uploads = Uploads(receiving=receiving, spool=spool, limits=limits)
    routes = ingest_routes(
        authenticate=authenticate, uploads=uploads, sockets=MediaSockets(recorder, clock), clock=clock
    )

and served by uvicorn with `http=HttpProtocol, ws=WebSocketProtocol, ws_max_size=65_536, ws_ping_timeout=None`: a stream
that is slowed down answers no ping, and the recorder itself closes those that fell silent.
"""

from adapters.recorders.embedded.embedded_recorder import EmbeddedRecorder
from adapters.recorders.embedded.ingest_routes import Authenticate, ingest_routes
from adapters.recorders.embedded.recorder_limits import Limits
from adapters.recorders.embedded.redact_ingest_paths import IngestSecrets
from adapters.recorders.embedded.stream_sockets import MediaSockets
from adapters.recorders.embedded.uploads import Uploads
from adapters.recorders.embedded.uvicorn_protocols import HttpProtocol, WebSocketProtocol

__all__ = [
    "Authenticate",
    "EmbeddedRecorder",
    "HttpProtocol",
    "IngestSecrets",
    "Limits",
    "MediaSockets",
    "Uploads",
    "WebSocketProtocol",
    "ingest_routes",
]
