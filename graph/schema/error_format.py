"""The form of errors in a GraphQL response.

- A refusal by the domain (`Refused`) shows its code, and the path into the arguments that caused it.
- An error in the document is shown as graphql-core reports it.
- Any other exception is logged. The response shows only the request id, and whether a retry may help: it may if the
  metadata store is unavailable.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import structlog
from graphql import GraphQLEnumType, GraphQLError, GraphQLSchema

from graph.schema.camel_case import explain, translated
from recordings.model.errors import InvalidInput, Refused
from recordings.ports.audio import MediaStoreUnavailableError
from recordings.ports.recording_store import StoreFullError, StoreUnavailableError

_log: Final = structlog.get_logger("graphql")
BAD_REQUEST: Final = "BAD_REQUEST"
INTERNAL: Final = "INTERNAL"
UNAVAILABLE: Final = "UNAVAILABLE"
_ENUM_ERROR: Final = re.compile(r"(?:does not exist in|Enum) '(\w+)' (?:enum|cannot represent)")
"""In messages of graphql-core: the enumeration that does not have a value."""


def allowed_values(schema: GraphQLSchema) -> Mapping[str, str]:
    """Return the values of each enumeration as one text."""
    types = schema.type_map.values()
    return {each.name: ", ".join(each.values) for each in types if isinstance(each, GraphQLEnumType)}


def format_error(error: GraphQLError, request_id: str, allowed: Mapping[str, str]) -> dict[str, Any]:
    """Return an error as the response shows it. Log it if it is unexpected.

    `allowed` has the values of the enumerations, which the message of a wrong value names.
    """
    cause = _cause(error)
    if isinstance(cause, Refused):
        return _position(error) | format_refusal(cause)
    if _is_of_the_document(error, cause):
        shown: dict[str, Any] = {"extensions": {"code": BAD_REQUEST}, **error.formatted}
        enum = _ENUM_ERROR.search(error.message)
        if enum is not None and enum[1] in allowed:
            shown["message"] += f" Allowed: {allowed[enum[1]]}."
        return shown
    log_error(cause, "GraphQL field failed", request_id=request_id, path=error.path)
    return _position(error) | format_unexpected(request_id, cause)


def log_error(error: Exception, event: str, **details: Any) -> None:
    """Log an unexpected exception.

    An unavailable store gets one line without a traceback: its message is enough, and many requests fail at once.
    """
    if isinstance(error, StoreUnavailableError | MediaStoreUnavailableError):
        store = "metadata" if isinstance(error, StoreUnavailableError) else "media"
        _log.error(f"{store} store unavailable", why=str(error), **details)
    else:
        _log.error(event, exc_info=error, **details)


def format_refusal(refused: Refused) -> dict[str, Any]:
    """Return the message and the extensions of a refusal."""
    message, path = explain(refused)
    extensions: dict[str, Any] = {"code": refused.code, "path": path}
    if isinstance(refused, InvalidInput):
        problems = [translated(found) for found in refused.problems]
        extensions["problems"] = [{"path": found.path, "allowed": found.allowed} for found in problems]
    return {"message": message, "extensions": extensions}


def format_unexpected(request_id: str, error: Exception) -> dict[str, Any]:
    """Return the message and the extensions of an unexpected exception, without its details."""
    if isinstance(error, StoreFullError):
        message, code = "the disk of this service is full: try again later", UNAVAILABLE
    elif isinstance(error, StoreUnavailableError | MediaStoreUnavailableError):
        message, code = "the service is temporarily unavailable: try again later", UNAVAILABLE
    else:
        message, code = "internal error: the log has the details under this request id", INTERNAL
    return {"message": message, "extensions": {"code": code, "requestId": request_id}}


def _cause(error: GraphQLError) -> Exception:
    cause: Exception = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _is_of_the_document(error: GraphQLError, cause: Exception) -> bool:
    # An error before a field is resolved has no path. Later only the arguments can still be an error of the document.
    return error.path is None or (isinstance(cause, GraphQLError) and cause.message.startswith("Argument '"))


def _position(error: GraphQLError) -> dict[str, Any]:
    formatted: Any = error.formatted
    return {name: formatted[name] for name in ("locations", "path") if name in formatted}
