"""How an error of an execution is shown.

A refusal shows its code, and the path into the arguments that caused it. What is wrong with the document itself is
GraphQL's own to tell. Everything else is a fault of ours: it is logged, and shown with nothing but its request's id and
whether it may be over soon, which is so where the metadata store is away.
"""

from typing import Any, Final

import structlog
from graphql import GraphQLError

from graph.schema.camel_case import explain, translated
from recordings.model.errors import InvalidInput, Refused
from recordings.ports.recording_store import StoreUnavailableError

_log: Final = structlog.get_logger("graphql")
BAD_REQUEST: Final = "BAD_REQUEST"
INTERNAL: Final = "INTERNAL"
UNAVAILABLE: Final = "UNAVAILABLE"


def show(error: GraphQLError, request_id: str) -> dict[str, Any]:
    """An error as it goes into a response."""
    cause = _cause(error)
    if isinstance(cause, Refused):
        return _place(error) | refusal(cause)
    if _is_of_the_document(error, cause):
        return {"extensions": {"code": BAD_REQUEST}, **error.formatted}
    log(cause, "a field could not be resolved", request_id=request_id, path=error.path)
    return _place(error) | fault(request_id, cause)


def log(error: Exception, what: str, **details: Any) -> None:
    """Log a fault of ours. What a store that is away raises says it all in a line, and many are told at once."""
    if isinstance(error, StoreUnavailableError):
        _log.error("the metadata store is away", why=str(error), **details)
    else:
        _log.error(what, exc_info=error, **details)


def refusal(refused: Refused) -> dict[str, Any]:
    """The message and the extensions of a refusal."""
    message, path = explain(refused)
    extensions: dict[str, Any] = {"code": refused.code, "path": path}
    if isinstance(refused, InvalidInput):
        problems = [translated(found) for found in refused.problems]
        extensions["problems"] = [{"path": found.path, "allowed": found.allowed} for found in problems]
    return {"message": message, "extensions": extensions}


def fault(request_id: str, error: Exception | None = None) -> dict[str, Any]:
    """All that is told of a fault of ours."""
    if isinstance(error, StoreUnavailableError):
        return {"message": "try again later", "extensions": {"code": UNAVAILABLE, "requestId": request_id}}
    return {"message": "internal error", "extensions": {"code": INTERNAL, "requestId": request_id}}


def _cause(error: GraphQLError) -> Exception:
    cause: Exception = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _is_of_the_document(error: GraphQLError, cause: Exception) -> bool:
    # Before a field is resolved there is no path. After that, only its arguments can still be the document's fault.
    return error.path is None or (isinstance(cause, GraphQLError) and cause.message.startswith("Argument '"))


def _place(error: GraphQLError) -> dict[str, Any]:
    formatted: Any = error.formatted
    return {name: formatted[name] for name in ("locations", "path") if name in formatted}
