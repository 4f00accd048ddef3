"""The errors that a use case may raise for a client.

Each has a stable `code`, a message for a human, and the `path` of the input that caused it. Any other exception is a
fault of this service: the interfaces log it with the request id and return a masked error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final


class Refused(Exception):  # noqa: N818 - it is a reply to the client, not a fault
    """A request that is refused. It changed nothing, unless the subclass says otherwise."""

    code: ClassVar[str] = "REFUSED"

    def __init__(self, message: str, *, path: Sequence[str] = (), recording_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = tuple(path)
        self.recording_id = recording_id


@dataclass(frozen=True, slots=True)
class Problem:
    """One invalid value of an input.

    `rule` is a JSON Schema keyword (`type`, `enum`, `minimum`, `maximum`, `maxLength`, `pattern`, `required`,
    `readOnly`), as in docs/v2_contract.md, section 5.
    """

    path: tuple[str, ...]
    rule: str
    message: str
    given: object
    allowed: str


class InvalidInput(Refused):
    """One or more values are invalid. The message has each value and its allowed values."""

    code = "INVALID_INPUT"

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        super().__init__("; ".join(problem.message for problem in problems), path=first.path)
        self.problems = tuple(problems)

    @classmethod
    def of(cls, path: Sequence[str], rule: str, given: object, allowed: str) -> "InvalidInput":
        """Return the error for a single value."""
        return cls([problem(path, rule, given, allowed)])


_MAX_SHOWN: Final = 80


def shorten(text: str) -> str:
    """Return a text, cut to fit into a message."""
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."


def problem(path: Sequence[str], rule: str, given: object, allowed: str) -> Problem:
    """Return a `Problem`. Its message has the field, the allowed values and the given value (80 characters)."""
    shown = "null" if given is None else shorten(repr(given))
    return Problem(tuple(path), rule, f"{'.'.join(path)} must be {allowed}, not {shown}", given, allowed)


class InvalidCursor(InvalidInput):
    """The cursor was not made by this service, was changed, or belongs to another order."""

    code = "INVALID_CURSOR"


class Unauthenticated(Refused):
    """The credentials are missing, unknown, expired or revoked."""

    code = "UNAUTHENTICATED"


class Forbidden(Refused):
    """The credentials do not have the scope that the action needs."""

    code = "FORBIDDEN"


class ForbiddenByPolicy(Refused):
    """A lock of the account forbids to record the call, or to end its recording."""

    code = "FORBIDDEN_BY_POLICY"


class QuotaExceeded(Refused):
    """A quota of the account is used up."""

    code = "QUOTA_EXCEEDED"

    def __init__(self, kind: str, used: int, limit: int) -> None:
        super().__init__(f"the quota `{kind}` of the account is used up: {used} of {limit}")
        self.kind = kind
        self.used = used
        self.limit = limit


class NotFound(Refused):
    """The object does not exist, or the credentials may not access it. A client cannot distinguish the two."""

    code = "NOT_FOUND"


class CallNotFound(NotFound):
    """No recorder has a live call with this id in the account."""

    code = "CALL_NOT_FOUND"


class AlreadyRecording(Refused):
    """The call is being recorded already. `recording_id` is that recording."""

    code = "ALREADY_RECORDING"


class NotRecording(Refused):
    """The recording is not in progress, so it cannot be stopped, paused or masked."""

    code = "NOT_RECORDING"


class InvalidState(Refused):
    """The action is not allowed in the recording's state."""

    code = "INVALID_STATE"


class RecordingInProgress(Refused):
    """A recording in progress cannot be deleted. Stop it first."""

    code = "RECORDING_IN_PROGRESS"


class OnHold(Refused):
    """The recording has a legal hold. It cannot be deleted until the hold is released."""

    code = "ON_HOLD"


class NotDeliverable(Refused):
    """The recording has no `url` to deliver to, or no stored audio."""

    code = "NOT_DELIVERABLE"


class NotTrashed(Refused):
    """The recording is not in the trash, so it cannot be restored."""

    code = "NOT_TRASHED"


class MediaUnavailable(Refused):
    """The recording has no audio that can be played now."""

    code = "MEDIA_UNAVAILABLE"


class Busy(Refused):
    """Too many conversions are running. Nothing was done; a later retry is safe."""

    code = "BUSY"


class IdempotencyKeyReused(Refused):
    """The idempotency key was used before with another input."""

    code = "IDEMPOTENCY_KEY_REUSED"


class UnsupportedByRecorder(Refused):
    """The recorder of this call does not support the action. No command was sent to the switch."""

    code = "UNSUPPORTED_BY_RECORDER"


class RecorderFailed(Refused):
    """The recorder failed to do the action. A recording that could not start is kept as `FAILED`."""

    code = "RECORDER_FAILED"

    def __init__(
        self,
        message: str,
        *,
        path: Sequence[str] = (),
        recording_id: str | None = None,
        is_unreachable: bool = False,
    ) -> None:
        super().__init__(message, path=path, recording_id=recording_id)
        self.is_unreachable = is_unreachable
        """The server that has the take does not answer. A later retry may succeed."""


class Conflict(Refused):
    """Other requests kept changing the recording. Nothing was done; a retry is safe."""

    code = "CONFLICT"


class QueryTooBroad(Refused):
    """No index or rollup serves the request, and it would have to examine more rows than a query may.

    `examined` is that number of rows.
    """

    code = "QUERY_TOO_BROAD"

    def __init__(self, message: str, examined: int) -> None:
        super().__init__(message, path=("filter",))
        self.examined = examined


class TooManyQueries(Refused):
    """The account has other slow queries, and this one got no turn in time. A later retry is safe."""

    code = "TOO_MANY_QUERIES"

    def __init__(self) -> None:
        super().__init__(
            "the account sends too many slow queries at once: send the next one when the one before has its response, "
            "or add conditions that few recordings meet",
            path=("filter",),
        )
