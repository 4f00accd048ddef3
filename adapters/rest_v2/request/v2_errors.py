"""Every refusal of v2: its status, its message and its data, word for word (contract sections 2.4, 4.5 and 5)."""

from collections.abc import Mapping
from typing import Any, Final

from recordings.model.errors import (
    AlreadyRecording,
    Busy,
    CallNotFound,
    Conflict,
    Forbidden,
    IdempotencyKeyReused,
    InvalidInput,
    InvalidState,
    MediaUnavailable,
    NotFound,
    NotRecording,
    NotTrashed,
    OnHold,
    Problem,
    RecorderFailed,
    RecordingInProgress,
    Refused,
    Unauthenticated,
    UnsupportedByRecorder,
    shorten,
)
from recordings.model.options import PARAMETERS

_TYPES: Final = {bool: "boolean", int: "integer", str: "string"}


class Fault(Exception):  # noqa: N818 - an answer, not an error of the program
    """An answer other than success. `bare` ones have no body; `headers` go beside it."""

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


def slug(status: int, message: str, **more: Any) -> Fault:
    """A fault whose data says its message in words."""
    return Fault(status, message, {"message": message.replace("_", " "), **more})


# Section 5, "Validation error".


def invalid(path: str, rule: str, message: str, **more: Any) -> Fault:
    """400: one value is not valid."""
    return Fault(400, "validation error", {path: {rule: {"message": message, **more}}})


def required(path: str) -> Fault:
    """400: a value is missing."""
    return invalid(path, "required", "Field is required but missing")


def wrong_type(path: str, types: str, value: Any) -> Fault:
    """400: a value is of a wrong type."""
    return invalid(path, "type", f"Value did not match type(s): {types}", target=types, value=_shown(value))


def not_listed(path: str, choices: tuple[Any, ...], value: Any) -> Fault:
    """400: a value is none of those that there are."""
    return invalid(
        path, "enum", "Value not found in enumerated list of values", target=list(choices), value=_shown(value)
    )


def invalid_input(refused: InvalidInput, prefix: tuple[str, ...] = ()) -> Fault:
    """400: what the domain says is wrong, one entry a value. Nested paths are one dotted key."""
    data: dict[str, dict[str, Any]] = {}
    for problem in refused.problems:
        key = ".".join(part.replace(".", "%2E") for part in (*prefix, *problem.path))
        data.setdefault(key, {})[problem.rule] = _broken(problem)
    return Fault(400, "validation error", data)


def _broken(problem: Problem) -> dict[str, Any]:
    message, target = _words(problem)
    return {"message": message, "target": target, "value": _shown(problem.given)}


def _words(problem: Problem) -> tuple[str, Any]:
    parameter = PARAMETERS.get(problem.path[-1]) if problem.path else None
    if parameter is not None and problem.rule == "enum":
        return "Value not found in enumerated list of values", list(parameter.choices)
    if parameter is not None and problem.rule == "type":
        return f"Value did not match type(s): {_TYPES[parameter.type]}", _TYPES[parameter.type]
    if parameter is not None and problem.rule == "minimum":
        return f"Value must be at least {parameter.minimum}", parameter.minimum
    if parameter is not None and problem.rule == "maximum":
        return f"Value must be at most {parameter.maximum}", parameter.maximum
    return problem.message, problem.allowed


def _shown(value: Any) -> Any:
    return shorten(value) if isinstance(value, str) else value


# Sections 2.4 and 4.5.


def bad_identifier(cause: str) -> Fault:
    """404: a well-formed id of nothing."""
    return slug(404, "bad_identifier", cause=cause)


def no_audio(recording_id: str) -> Fault:
    """404: a recording without (or not yet with) audio was asked to play."""
    return slug(404, "bad_identifier", details=recording_id)


def unknown_identifier(text: str) -> Fault:
    """404: something that is no id, or an unknown channel or key. Its data is an array, and its message has a space."""
    return Fault(404, "bad identifier", [text])


def not_account_id(text: str) -> Fault:
    """404: something that is no account's id."""
    return Fault(404, "bad identifier", {"message": f"invalid account_id '{text}'"})


def not_found() -> Fault:
    """404: no such path."""
    return slug(404, "not_found")


def faulty_request(reason: str) -> Fault:
    """404, of all things: a page size or chunk size that is none."""
    return Fault(404, "faulty_request", {"message": reason})


def not_allowed(methods: str) -> Fault:
    """405. `Allow` is not in the reference, and HTTP wants it (RFC 9110, 15.5.6)."""
    return Fault(405, "invalid_method", {"message": "method not allowed"}, headers={"allow": methods})


def not_authenticated() -> Fault:
    """401: no token, or one that is not valid."""
    return slug(401, "invalid_credentials")


def expired() -> Fault:
    """401: a well-formed token whose time is over. Its message has a space, and its data is empty."""
    return Fault(401, "invalid credentials")


def forbidden(cause: str | None = None) -> Fault:
    """403: another account, or (with a cause) outside of what the token may do."""
    return slug(403, "forbidden", **({} if cause is None else {"cause": cause}))


def not_acceptable() -> Fault:
    """406, with no body."""
    return Fault(406, bare=True)


def too_large_range() -> Fault:
    """416: more than is given out unpaged (section 1.4)."""
    return Fault(416, "range not satisfiable")


def too_many_requests() -> Fault:
    """429."""
    return slug(429, "too_many_requests")


def conflict(**more: Any) -> Fault:
    """409."""
    return Fault(409, "datastore_conflict", {"message": "conflicting documents", **more})


def gone() -> Fault:
    """410: everything under `/v1`."""
    return slug(410, "gone")


def datastore_fault(cause: str) -> Fault:
    """500: the provider that has the audio could not give it."""
    return Fault(500, "datastore_fault", {"message": "unknown failure", "cause": cause})


def busy() -> Fault:
    """503: too much is being converted. The reference converts nothing; this is its form of "not now"."""
    return Fault(503, "datastore_unreachable", {"message": "datastore timeout"}, headers={"retry-after": "10"})


def store_away() -> Fault:
    """503: the metadata store, or the switch, does not answer in time."""
    return Fault(503, "datastore_unreachable", {"message": "datastore timeout"})


def unspecified() -> Fault:
    """500: a fault of ours, masked."""
    return Fault(500, "unspecified_fault", {"message": "unspecified fault"})


def of_refusal(refused: Refused) -> Fault:
    """What v2 says where the domain refused."""
    if isinstance(refused, InvalidInput):
        return invalid_input(refused)
    fault: Fault = next(make(refused) for kind, make in _REFUSALS if isinstance(refused, kind))
    return fault


_REFUSALS: Final[Any] = (
    (Unauthenticated, lambda _: not_authenticated()),
    (Forbidden, lambda _: forbidden("access denied by token restrictions")),
    (CallNotFound, lambda refused: unknown_identifier(refused.message)),
    (NotFound, lambda refused: bad_identifier(refused.message)),
    (MediaUnavailable, lambda refused: no_audio(refused.recording_id or "")),
    (UnsupportedByRecorder, lambda refused: invalid("data.action", "error", refused.message)),
    (Busy, lambda _: busy()),
    (RecorderFailed, lambda _: store_away()),
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
    (Refused, lambda refused: Fault(400, "invalid data", {"message": refused.message})),
)
