"""Every error of v2 with its exact status, message and data (`docs/v2_contract.md`, sections 2.4, 4.5 and 5)."""

from collections.abc import Mapping
from typing import Any, Final

from recordings.model.errors import (
    AlreadyRecording,
    Busy,
    CallNotFound,
    Conflict,
    Forbidden,
    ForbiddenByPolicy,
    IdempotencyKeyReused,
    InvalidInput,
    InvalidState,
    MediaUnavailable,
    NotFound,
    NotRecording,
    NotTrashed,
    OnHold,
    Problem,
    QuotaExceeded,
    RecorderFailed,
    RecordingInProgress,
    Refused,
    TooManyQueries,
    Unauthenticated,
    UnsupportedByRecorder,
    shorten,
)
from recordings.model.options import PARAMETERS, Parameter
from recordings.model.recording_policy import CALL_RECORDING

_TYPES: Final = {bool: "boolean", int: "integer", str: "string"}


class V2Error(Exception):
    """An error response. With `bare` it has no body. `headers` are additional headers."""

    def __init__(
        self,
        status: int,
        message: str = "",
        data: Any = None,
        *,
        bare: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message
        self.data = {} if data is None else data
        self.bare = bare
        self.headers = dict(headers or {})


def message_error(status: int, message: str, **more: Any) -> V2Error:
    """Return an error with its message, as words, in its data."""
    return V2Error(status, message, {"message": message.replace("_", " "), **more})


# Validation errors: `docs/v2_contract.md`, section 5.3.


def invalid(path: str, rule: str, message: str, **more: Any) -> V2Error:
    """400: a value is invalid."""
    return V2Error(400, "validation error", {path: {rule: {"message": message, **more}}})


def escaped(name: str) -> str:
    """Return a name as a part of a path: a dot in it is `%2E`."""
    return name.replace(".", "%2E")


def required(path: str) -> V2Error:
    """400: a value is missing."""
    return invalid(path, "required", "Field is required but missing")


def wrong_type(path: str, types: str, value: Any) -> V2Error:
    """400: a value has a wrong type."""
    return invalid(path, "type", f"Value did not match type(s): {types}", target=types, value=_shortened(value))


def not_in_enum(path: str, choices: tuple[Any, ...], value: Any) -> V2Error:
    """400: a value is not in the list of allowed values."""
    return invalid(
        path, "enum", "Value not found in enumerated list of values", target=list(choices), value=_shortened(value)
    )


def invalid_input(refused: InvalidInput, prefix: tuple[str, ...] = ()) -> V2Error:
    """400: the domain rejected values. Each has an entry. A nested path is one key with dots."""
    data: dict[str, dict[str, Any]] = {}
    for problem in refused.problems:
        key = ".".join(map(escaped, (*prefix, *problem.path)))
        data.setdefault(key, {})[problem.rule] = _broken_rule(problem)
    return V2Error(400, "validation error", data)


def _broken_rule(problem: Problem) -> dict[str, Any]:
    if problem.rule == "additionalProperties":
        message = "Strict checking of data is enabled; only include schema-defined properties"
        return {"message": message, "value": problem.given}
    if problem.rule == "wrong_format":
        message = "Field is not in the correct format"
        return {"message": message, "value": _shortened(problem.given), "format": "uri"}
    message, target = _rule_text(problem)
    return {"message": message, "target": target, "value": _shortened(problem.given)}


def _rule_text(problem: Problem) -> tuple[str, Any]:
    parameter = PARAMETERS.get(problem.path[-1]) if problem.path else None
    if parameter is not None and problem.rule == "enum":
        return "Value not found in enumerated list of values", list(parameter.choices)
    if problem.rule == "type" and (wanted := _type_name(problem, parameter)) is not None:
        return f"Value did not match type(s): {wanted}", wanted
    if parameter is not None and problem.rule == "minimum":
        return f"Value must be at least {parameter.minimum}", parameter.minimum
    if parameter is not None and problem.rule == "maximum":
        return f"Value must be at most {parameter.maximum}", parameter.maximum
    return problem.message, problem.allowed


def _type_name(problem: Problem, parameter: Parameter | None) -> str | None:
    if parameter is not None:
        return _TYPES[parameter.type]
    if CALL_RECORDING not in problem.path:
        return None
    return "boolean" if problem.path[-1] == "enabled" else "object"


def _shortened(value: Any) -> Any:
    return shorten(value) if isinstance(value, str) else value


# Other errors: `docs/v2_contract.md`, sections 2.4 and 4.5.


def bad_identifier(cause: str) -> V2Error:
    """404: nothing has this well-formed id."""
    return message_error(404, "bad_identifier", cause=cause)


def no_audio(recording_id: str) -> V2Error:
    """404: the recording has no audio, or not yet."""
    return message_error(404, "bad_identifier", details=recording_id)


def unknown_identifier(text: str) -> V2Error:
    """404: a text that is not an id, an unknown channel, or an unknown key. Its data is an array."""
    return V2Error(404, "bad identifier", [text])


def not_account_id(text: str) -> V2Error:
    """404: a text that is not an account id."""
    return V2Error(404, "bad identifier", {"message": f"invalid account_id '{text}'"})


def not_found() -> V2Error:
    """404: the path does not exist."""
    return message_error(404, "not_found")


def faulty_request(reason: str) -> V2Error:
    """404: an invalid page size or chunk size. Kazoo uses 404 here, not 400."""
    return V2Error(404, "faulty_request", {"message": reason})


def not_allowed(methods: str) -> V2Error:
    """405. Kazoo does not send `Allow`, but HTTP requires it (RFC 9110, section 15.5.6)."""
    return V2Error(405, "invalid_method", {"message": "method not allowed"}, headers={"allow": methods})


def not_authenticated() -> V2Error:
    """401: no token, or an invalid token."""
    return message_error(401, "invalid_credentials")


def expired() -> V2Error:
    """401: a well-formed token has expired. The message has a space, and the data is empty."""
    return V2Error(401, "invalid credentials")


def forbidden(cause: str | None = None) -> V2Error:
    """403: no access to the account, or (with a cause) outside the scopes of the token."""
    return message_error(403, "forbidden", **({} if cause is None else {"cause": cause}))


def not_acceptable() -> V2Error:
    """406, without a body."""
    return V2Error(406, bare=True)


def unpaged_too_large() -> V2Error:
    """416: an unpaged response would be too large (`docs/v2_contract.md`, section 1.4)."""
    return V2Error(416, "range not satisfiable")


def too_many_requests(wait: int | None = None) -> V2Error:
    """429. Kazoo does not say how many seconds to wait. For logins, this service does."""
    error = message_error(429, "too_many_requests")
    if wait is not None:
        error.headers["retry-after"] = str(wait)
    return error


def conflict(**more: Any) -> V2Error:
    """409."""
    return V2Error(409, "datastore_conflict", {"message": "conflicting documents", **more})


def datastore_fault(cause: str) -> V2Error:
    """500: the media store failed."""
    return V2Error(500, "datastore_fault", {"message": "unknown failure", "cause": cause})


def conversions_busy() -> V2Error:
    """503: too many conversions are running. Kazoo converts nothing, so this uses its error for a timeout."""
    return V2Error(503, "datastore_unreachable", {"message": "datastore timeout"}, headers={"retry-after": "10"})


def store_unavailable() -> V2Error:
    """503: the metadata store or the switch does not answer."""
    return V2Error(503, "datastore_unreachable", {"message": "datastore timeout"}, headers={"retry-after": "10"})


def recorder_unreachable(cause: str) -> V2Error:
    """503: the server that records the call does not answer."""
    data = {"message": "recorder unreachable", "cause": cause}
    return V2Error(503, "recorder_unreachable", data, headers={"retry-after": "10"})


def unspecified() -> V2Error:
    """500: an error of this service, without details."""
    return V2Error(500, "unspecified_fault", {"message": "unspecified fault"})


def from_refusal(refused: Refused) -> V2Error:
    """Return the v2 error for a refusal of the domain."""
    if isinstance(refused, InvalidInput):
        return invalid_input(refused)
    error: V2Error = next(make(refused) for kind, make in _REFUSALS if isinstance(refused, kind))
    return error


_REFUSALS: Final[Any] = (
    (Unauthenticated, lambda _: not_authenticated()),
    (Forbidden, lambda _: forbidden("access denied by token restrictions")),
    (ForbiddenByPolicy, lambda refused: forbidden(refused.message)),
    (QuotaExceeded, lambda refused: message_error(429, refused.message)),
    (CallNotFound, lambda refused: unknown_identifier(refused.message)),
    (NotFound, lambda refused: bad_identifier(refused.message)),
    (MediaUnavailable, lambda refused: no_audio(refused.recording_id or "")),
    (UnsupportedByRecorder, lambda refused: invalid("data.action", "error", refused.message)),
    (TooManyQueries, lambda refused: message_error(429, refused.message)),
    (Busy, lambda _: conversions_busy()),
    (
        RecorderFailed,
        lambda refused: recorder_unreachable(refused.message) if refused.is_unreachable else store_unavailable(),
    ),
    (
        (
            AlreadyRecording,
            NotRecording,
            InvalidState,
            RecordingInProgress,
            NotTrashed,
            OnHold,
            IdempotencyKeyReused,
            Conflict,
        ),
        lambda refused: conflict(cause=refused.message),
    ),
    (Refused, lambda refused: V2Error(400, "invalid data", {"message": refused.message})),
)
