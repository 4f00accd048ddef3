"""Refusals as types: a client sees in the schema what an action can answer, and need not parse a message."""

import json
from collections.abc import Mapping
from typing import Annotated, Final, cast

import strawberry

from graph.schema.camel_case import camel, explain, translated
from graph.schema.field_info import Info
from graph.schema.projection import row_fields
from graph.schema.recording_type import Recording
from recordings.model.account import Scope
from recordings.model.errors import (
    AlreadyRecording,
    CallNotFound,
    Conflict,
    Forbidden,
    IdempotencyKeyReused,
    InvalidInput,
    InvalidState,
    NotDeliverable,
    NotFound,
    NotRecording,
    NotTrashed,
    OnHold,
    Problem,
    RecorderFailed,
    RecordingInProgress,
    Refused,
    UnsupportedByRecorder,
    shorten,
)


@strawberry.interface(description="Why an action was refused. Nothing was changed, unless the type says otherwise.")
class UserError:
    code: str = strawberry.field(description="A code that never changes, such as `NOT_FOUND`.")
    message: str = strawberry.field(description="The reason, for a human.")
    path: list[str] = strawberry.field(
        description="The way to the input that caused it, such as `input`, `callId`; empty where none did."
    )


async def _resolve_recording(error: strawberry.Parent["RefusedWithRecording"], info: Info) -> Recording | None:
    principal = info.context.principal
    if error.recording_id is None or Scope.READ not in principal.scopes:
        return None
    row = await info.context.recordings.find(principal, error.recording_id, row_fields(info))
    return cast("Recording | None", row)


class RefusedWithRecording:
    """An error that leads to a recording, which is looked up when it is asked for."""

    recording_id: strawberry.Private[str | None]


@strawberry.type(description="A value is out of bounds. There is one of these for each such value.")
class InvalidInputError(UserError):
    given: str = strawberry.field(description="What was given, as JSON, cut at 80 characters.")
    allowed: str = strawberry.field(description="What is allowed.")


@strawberry.type(description="The credentials lack the scope that the action needs.")
class ForbiddenError(UserError):
    pass


@strawberry.type(description="There is no such thing, or not for these credentials: the two look the same.")
class NotFoundError(UserError):
    pass


@strawberry.type(description="There is no live call of that id in that account, or not for these credentials.")
class CallNotFoundError(UserError):
    pass


@strawberry.type(description="The call is being recorded already. A call has one recording in progress at most.")
class AlreadyRecordingError(UserError, RefusedWithRecording):
    recording: Recording | None = strawberry.field(
        resolver=_resolve_recording, description="The recording in progress, where it is in reach."
    )


@strawberry.type(description="The recording is not in progress (any more).")
class NotRecordingError(UserError):
    pass


@strawberry.type(
    description="The recording is in a state in which this cannot be done, such as resuming one that is masked."
)
class InvalidStateError(UserError):
    pass


@strawberry.type(description="A recording that is in progress or being finalized cannot be deleted: stop it, wait.")
class RecordingInProgressError(UserError):
    pass


@strawberry.type(description="Only a deleted recording can be restored, until its `purgeAt`.")
class NotTrashedError(UserError):
    pass


@strawberry.type(description="A legal hold is on the recording: nothing deletes it until the hold is released.")
class OnHoldError(UserError):
    pass


@strawberry.type(description="The recording has no `url` to be sent to, or no stored audio to send.")
class NotDeliverableError(UserError):
    pass


@strawberry.type(description="The idempotency key was used for something else.")
class IdempotencyKeyReusedError(UserError):
    pass


@strawberry.type(description="The recorder of this call cannot do that. Known before the switch was touched.")
class UnsupportedByRecorderError(UserError):
    pass


@strawberry.type(description="The recorder was asked and could not. What could not begin is kept as FAILED.")
class RecorderFailedError(UserError, RefusedWithRecording):
    recording: Recording | None = strawberry.field(
        resolver=_resolve_recording, description="The recording that it was about, where it is in reach."
    )


@strawberry.type(description="The recording kept changing. Trying again is safe.")
class ConflictError(UserError):
    pass


TYPES: Final[Mapping[type[Refused], type[UserError]]] = {
    Forbidden: ForbiddenError,
    NotFound: NotFoundError,
    CallNotFound: CallNotFoundError,
    AlreadyRecording: AlreadyRecordingError,
    NotRecording: NotRecordingError,
    InvalidState: InvalidStateError,
    RecordingInProgress: RecordingInProgressError,
    NotTrashed: NotTrashedError,
    OnHold: OnHoldError,
    NotDeliverable: NotDeliverableError,
    IdempotencyKeyReused: IdempotencyKeyReusedError,
    UnsupportedByRecorder: UnsupportedByRecorderError,
    RecorderFailed: RecorderFailedError,
    Conflict: ConflictError,
}
"""The type that shows each refusal; `InvalidInputError` is made from an `InvalidInput`'s problems."""

_COMMON = InvalidInputError | ForbiddenError | NotFoundError | IdempotencyKeyReusedError | ConflictError

StartRecordingError = Annotated[
    _COMMON | CallNotFoundError | AlreadyRecordingError | UnsupportedByRecorderError | RecorderFailedError,
    strawberry.union("StartRecordingError", description="Why no recording was started."),
]
StopRecordingError = Annotated[
    _COMMON | NotRecordingError | RecorderFailedError,
    strawberry.union("StopRecordingError", description="Why the recording was not stopped."),
]
ControlRecordingError = Annotated[
    _COMMON | NotRecordingError | InvalidStateError | UnsupportedByRecorderError | RecorderFailedError,
    strawberry.union(
        "ControlRecordingError", description="Why the recording was not paused, resumed, masked or unmasked."
    ),
]
DeleteRecordingError = Annotated[
    _COMMON | RecordingInProgressError | OnHoldError,
    strawberry.union("DeleteRecordingError", description="Why the recording was not deleted."),
]
RestoreRecordingError = Annotated[
    _COMMON | NotTrashedError,
    strawberry.union("RestoreRecordingError", description="Why the recording was not restored."),
]
HoldRecordingError = Annotated[
    _COMMON,
    strawberry.union("HoldRecordingError", description="Why the legal hold was not laid on or lifted."),
]
RedeliverRecordingError = Annotated[
    _COMMON | NotDeliverableError,
    strawberry.union("RedeliverRecordingError", description="Why the recording is not sent again."),
]


def user_errors(refused: Refused) -> list[UserError]:
    """A refusal as the errors of a payload; raises it again if it is none that an action can answer."""
    if isinstance(refused, InvalidInput):
        return [_invalid(found, refused.code) for found in refused.problems]
    shown = TYPES.get(type(refused))
    if shown is None:
        raise refused
    message, path = explain(refused)
    error = shown(code=refused.code, message=message, path=_into(path))
    if isinstance(error, RefusedWithRecording):
        error.recording_id = refused.recording_id
    return [error]


def _invalid(found: Problem, code: str) -> UserError:
    given = shorten(json.dumps(found.given, ensure_ascii=False, default=str))
    message = translated(found).message
    return InvalidInputError(
        code=code, message=message, path=_into(camel(found.path)), given=given, allowed=found.allowed
    )


def _into(path: list[str]) -> list[str]:
    return ["input", *path] if path else []
