"""The embedded recorder: calls and files are sent to this process itself, with no telephony in between.

Put together like this, in the event loop:

    recorder = EmbeddedRecorder(spool=spool, clock=clock, limits=limits)
    uploads = Uploads(receiving=receiving, spool=spool, limits=limits)
    routes = ingest_routes(
        authenticate=authenticate, uploads=uploads, sockets=MediaSockets(recorder, clock), clock=clock
    )
"""

from adapters.recorders.embedded.limits import Limits
from adapters.recorders.embedded.recorder import EmbeddedRecorder
from adapters.recorders.embedded.routes import Authenticate, ingest_routes
from adapters.recorders.embedded.secrets_in_logs import IngestSecrets
from adapters.recorders.embedded.sockets import MediaSockets
from adapters.recorders.embedded.uploads import Uploads

__all__ = [
    "Authenticate",
    "EmbeddedRecorder",
    "IngestSecrets",
    "Limits",
    "MediaSockets",
    "Uploads",
    "ingest_routes",
]
