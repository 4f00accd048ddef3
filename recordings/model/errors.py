"""Everything a use case may refuse, as exceptions that a front can show.

Each carries a stable `code`, a message for a human and the `path` of the input that caused it. Whatever is not one
of these is a fault of ours: fronts log it with its request id and mask it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final


class Refused(Exception):  # noqa: N818 - a refusal is an answer, not an error of the program
    """A request that cannot be granted. Nothing was changed."""

    code: ClassVar[str] = "REFUSED"

    def __init__(self, message: str, *, path: Sequence[str] = (), recording_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = tuple(path)
        self.recording_id = recording_id


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an input.

    `rule` uses the words of JSON schema (`type`, `enum`, `minimum`, `maximum`, `maxLength`, `pattern`, `required`,
    `readOnly`), which is what the v2 contract shows (section 5).
    """

    path: tuple[str, ...]
    rule: str
    message: str
    given: object
    allowed: str


class InvalidInput(Refused):
    """One or more values are out of bounds; says which, what was given and what is allowed."""

    code = "INVALID_INPUT"

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        super().__init__("; ".join(problem.message for problem in problems), path=first.path)
        self.problems = tuple(problems)

    @classmethod
    def of(cls, path: Sequence[str], rule: str, given: object, allowed: str) -> "InvalidInput":
        """The refusal of a single value."""
        return cls([problem(path, rule, given, allowed)])


_SHOWN: Final = 80


def shorten(text: str) -> str:
    """A text cut to what fits into a message."""
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def problem(path: Sequence[str], rule: str, given: object, allowed: str) -> Problem:
    """A `Problem` whose message names the field, what is allowed and what was given (cut at 80 characters)."""
    shown = "null" if given is None else shorten(repr(given))
    return Problem(tuple(path), rule, f"{'.'.join(path)} must be {allowed}, not {shown}", given, allowed)


class InvalidCursor(InvalidInput):
    """A cursor that is not ours, was changed, or belongs to another order."""

    code = "INVALID_CURSOR"


class Unauthenticated(Refused):
    """No credentials, or credentials that are unknown, expired or revoked."""

    code = "UNAUTHENTICATED"


class Forbidden(Refused):
    """The credentials lack the scope that the action needs."""

    code = "FORBIDDEN"


class NotFound(Refused):
    """There is no such thing, or not for these credentials: the two cannot be told apart from outside."""

    code = "NOT_FOUND"


class CallNotFound(NotFound):
    """No recorder knows a live call of that id in that account."""

    code = "CALL_NOT_FOUND"


class AlreadyRecording(Refused):
    """The call is being recorded already; `recording_id` says by which recording."""

    code = "ALREADY_RECORDING"


class NotRecording(Refused):
    """The recording is not in progress (any more), so it cannot be stopped, paused or masked."""

    code = "NOT_RECORDING"


class InvalidState(Refused):
    """The recording is in a state in which this cannot be done."""

    code = "INVALID_STATE"


class RecordingInProgress(Refused):
    """A recording in progress cannot be deleted: stop it first."""

    code = "RECORDING_IN_PROGRESS"


class OnHold(Refused):
    """A legal hold is on the recording: nothing deletes it until the hold is released."""

    code = "ON_HOLD"


class NotDeliverable(Refused):
    """The recording has no `url` to be sent to, or no stored audio to send."""

    code = "NOT_DELIVERABLE"


class NotTrashed(Refused):
    """Only a deleted recording, inside its window, can be restored."""

    code = "NOT_TRASHED"


class MediaUnavailable(Refused):
    """The recording has no audio that can be played (yet, or any more)."""

    code = "MEDIA_UNAVAILABLE"


class Busy(Refused):
    """Too much is being converted already; nothing was done, and trying again in a while is safe."""

    code = "BUSY"


class IdempotencyKeyReused(Refused):
    """The same idempotency key came with another input."""

    code = "IDEMPOTENCY_KEY_REUSED"


class UnsupportedByRecorder(Refused):
    """The recorder of this call cannot do that; known before the switch was touched."""

    code = "UNSUPPORTED_BY_RECORDER"


class RecorderFailed(Refused):
    """The recorder was asked and could not."""

    code = "RECORDER_FAILED"


class Conflict(Refused):
    """The recording kept changing under us; nothing was done, and trying again is safe."""

    code = "CONFLICT"
