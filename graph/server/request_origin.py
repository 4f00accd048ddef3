"""Where the current request comes from: its way, the client's address, the user agent and the request id."""

from contextvars import ContextVar
from dataclasses import replace
from typing import Final

from starlette.types import Scope

from recordings.model.audit_entry import Origin, Way

_MAX_TEXT: Final = 200
_GRAPHQL: Final = "/graphql"
_origin: ContextVar["Origin | RequestScope"] = ContextVar("origin")
_SYSTEM: Final = Origin()


class RequestScope:
    """The scope of a request. Its headers are read only if an entry of the audit trail needs them."""

    __slots__ = ("_origin", "_request_id", "_scope")

    def __init__(self, scope: Scope, request_id: str) -> None:
        self._scope = scope
        self._request_id = request_id
        self._origin: Origin | None = None

    @property
    def origin(self) -> Origin:
        """The origin of the request."""
        if self._origin is None:
            client = self._scope.get("client")
            agent = next((value for name, value in self._scope["headers"] if name == b"user-agent"), b"")
            way = Way.GRAPHQL if self._scope["path"] == _GRAPHQL else Way.REST
            self._origin = Origin(
                way, shown(client[0]) if client else None, shown(agent.decode("latin-1")), self._request_id
            )
        return self._origin


def begin_request(scope: Scope, request_id: str) -> None:
    """Set the origin for the task that serves a request."""
    _origin.set(RequestScope(scope, request_id))


def begin_command() -> None:
    """Set the origin for a command on the server's own machine. Call it in the task that runs the command."""
    _origin.set(replace(_SYSTEM, way=Way.CLI))


def current_origin() -> Origin:
    """Return the origin of the current task; that of the service itself outside of requests."""
    found = _origin.get(_SYSTEM)
    return found.origin if isinstance(found, RequestScope) else found


def shown(text: str) -> str | None:
    """Return a text of a client for an entry: printable, and not longer than an entry allows."""
    text = text[:_MAX_TEXT]
    return (text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)) or None
