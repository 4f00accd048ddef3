"""The error types of mutations. A client sees in the schema which errors a mutation can return."""

import json
from collections.abc import Mapping
from typing import Annotated, Final, cast

import strawberry

from graph.schema.camel_case import camel_path, explain, translated
from graph.schema.enums import Scope
from graph.schema.field_info import Info
from graph.schema.node_types import Recording
from graph.schema.projection import row_fields
from recordings.model.errors import (
    AlreadyRecording,
    CallNotFound,
    Conflict,
    Forbidden,
    ForbiddenByPolicy,
    IdempotencyKeyReused,
    InvalidInput,
    InvalidState,
    NotDeliverable,
    NotFound,
    NotRecording,
    NotTrashed,
    OnHold,
    Problem,
    QuotaExceeded,
    RecorderFailed,
    RecordingInProgress,
    Refused,
    UnsupportedByRecorder,
    shorten,
)


@strawberry.interface(
    description="An error of a mutation. The mutation changed nothing, unless the type of the error says otherwise."
)
class UserError:
    code: str = strawberry.field(description="A code that never changes, such as `NOT_FOUND`.")
    message: str = strawberry.field(description="The error as text for a person.")
    path: list[str] = strawberry.field(
        description='The path of the input that caused the error, such as `["input", "callId"]`. Empty if the error is '
        "not about an input."
    )


async def _resolve_recording(error: strawberry.Parent["RefusedWithRecording"], info: Info) -> Recording | None:
    principal = info.context.principal
    if error.recording_id is None or Scope.READ not in principal.scopes:
        return None
    row = await info.context.recordings.find(principal, error.recording_id, row_fields(info))
    return cast("Recording | None", row)


class RefusedWithRecording:
    """An error about a recording. The recording is read only if the client selects it."""

    recording_id: strawberry.Private[str | None]


@strawberry.type(description="A value is invalid. The payload has one such error for each invalid value.")
class InvalidInputError(UserError):
    given: str = strawberry.field(description="The given value as JSON, cut after 80 characters.")
    allowed: str = strawberry.field(description="The allowed values.")


@strawberry.type(description="The credentials lack the scope that this mutation needs.")
class ForbiddenError(UserError):
    pass


@strawberry.type(description="A lock of the account forbids this: to record the call, or to stop its recording.")
class ForbiddenByPolicyError(UserError):
    pass


@strawberry.type(description="A quota of the account is used up. `Account.quota` and `Account.usage` have the numbers.")
class QuotaExceededError(UserError):
    pass


@strawberry.type(description="The object does not exist, or the credentials cannot access it.")
class NotFoundError(UserError):
    pass


@strawberry.type(
    description="The account has no call in progress with this id, or the credentials cannot access the call."
)
class CallNotFoundError(UserError):
    pass


@strawberry.type(
    description="The call is already being recorded. A call has at most one recording in progress at a time."
)
class AlreadyRecordingError(UserError, RefusedWithRecording):
    recording: Recording | None = strawberry.field(
        resolver=_resolve_recording,
        description="The recording in progress. Null if the credentials cannot read it.",
    )


@strawberry.type(description="The recording is not in progress: it has not started, or it has ended.")
class NotRecordingError(UserError):
    pass


@strawberry.type(
    description="The state of the object does not allow this. Example: a masked recording cannot be resumed."
)
class InvalidStateError(UserError):
    pass


@strawberry.type(
    description="The recording is in progress or being finalized, so it cannot be deleted. Stop it and wait until "
    "it is stored."
)
class RecordingInProgressError(UserError):
    pass


@strawberry.type(
    description="The recording is not in the trash. Only a deleted recording can be restored, until its `purgeAt`."
)
class NotTrashedError(UserError):
    pass


@strawberry.type(description="The recording has a legal hold, so it cannot be deleted until the hold is released.")
class OnHoldError(UserError):
    pass


@strawberry.type(description="The recording cannot be sent: it has no `url`, or no stored audio.")
class NotDeliverableError(UserError):
    pass


@strawberry.type(description="The idempotency key was already used for a different request.")
class IdempotencyKeyReusedError(UserError):
    pass


@strawberry.type(
    description="The recorder of this call does not support this. A recorder is the part of the service that is "
    "connected to a switch. The service checked this before it sent anything to the switch."
)
class UnsupportedByRecorderError(UserError):
    pass


@strawberry.type(
    description="The recorder reported an error. A recording that could not start is kept with the state FAILED."
)
class RecorderFailedError(UserError, RefusedWithRecording):
    recording: Recording | None = strawberry.field(
        resolver=_resolve_recording,
        description="The recording that the mutation was about. Null if the credentials cannot read it.",
    )


@strawberry.type(
    description="The recording was changed by other requests at the same time. It is safe to send the request again."
)
class ConflictError(UserError):
    pass


TYPES: Final[Mapping[type[Refused], type[UserError]]] = {
    Forbidden: ForbiddenError,
    ForbiddenByPolicy: ForbiddenByPolicyError,
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
    QuotaExceeded: QuotaExceededError,
}
"""The error type of each refusal. An `InvalidInput` is one `InvalidInputError` for each of its problems."""

_COMMON = InvalidInputError | ForbiddenError | NotFoundError | IdempotencyKeyReusedError | ConflictError

StartRecordingError = Annotated[
    _COMMON
    | CallNotFoundError
    | AlreadyRecordingError
    | UnsupportedByRecorderError
    | RecorderFailedError
    | ForbiddenByPolicyError
    | QuotaExceededError,
    strawberry.union("StartRecordingError", description="An error of `startRecording`."),
]
StopRecordingError = Annotated[
    _COMMON | NotRecordingError | RecorderFailedError | ForbiddenByPolicyError,
    strawberry.union("StopRecordingError", description="An error of `stopRecording`."),
]
ControlRecordingError = Annotated[
    _COMMON | NotRecordingError | InvalidStateError | UnsupportedByRecorderError | RecorderFailedError,
    strawberry.union(
        "ControlRecordingError",
        description="An error of `answerConsent`, or of `pauseRecording`, `resumeRecording`, `maskRecording` or "
        "`unmaskRecording`.",
    ),
]
DeleteRecordingError = Annotated[
    _COMMON | RecordingInProgressError | OnHoldError,
    strawberry.union("DeleteRecordingError", description="An error of `deleteRecording` or `deleteRecordings`."),
]
RestoreRecordingError = Annotated[
    _COMMON | NotTrashedError,
    strawberry.union("RestoreRecordingError", description="An error of `restoreRecording` or `restoreRecordings`."),
]
UpdateRecordingError = Annotated[
    _COMMON | InvalidStateError,
    strawberry.union("UpdateRecordingError", description="An error of `updateRecording`."),
]
HoldRecordingError = Annotated[
    _COMMON,
    strawberry.union(
        "HoldRecordingError", description="An error of `holdRecording`, `holdRecordings` or `releaseRecording`."
    ),
]
RedeliverRecordingError = Annotated[
    _COMMON | NotDeliverableError,
    strawberry.union("RedeliverRecordingError", description="An error of `redeliverRecording`."),
]


SetRecordingPolicyError = Annotated[
    InvalidInputError | ForbiddenError | NotFoundError | ConflictError,
    strawberry.union("SetRecordingPolicyError", description="An error of `setRecordingPolicy`."),
]
DeliverySecretError = Annotated[
    InvalidInputError | ForbiddenError | NotFoundError | ConflictError,
    strawberry.union("DeliverySecretError", description="An error of `rotateDeliverySecret` or `clearDeliverySecret`."),
]
WebhookError = Annotated[
    InvalidInputError | ForbiddenError | NotFoundError | ConflictError | InvalidStateError | IdempotencyKeyReusedError,
    strawberry.union("WebhookError", description="An error of a mutation of webhooks."),
]


ManageAccountError = Annotated[
    InvalidInputError | ForbiddenError | NotFoundError | ConflictError | InvalidStateError,
    strawberry.union(
        "ManageAccountError", description="An error of a mutation with which an administrator manages an account."
    ),
]


def user_errors(refused: Refused) -> list[UserError]:
    """Return the errors of a payload for a refusal.

    Raises:
        Refused: the refusal has no error type, so it becomes a top-level error of the response.
    """
    if isinstance(refused, InvalidInput):
        return [_invalid_input(found, refused.code) for found in refused.problems]
    error_type = TYPES.get(type(refused))
    if error_type is None:
        raise refused
    message, path = explain(refused)
    error = error_type(code=refused.code, message=message, path=_input_path(path))
    if isinstance(error, RefusedWithRecording):
        error.recording_id = refused.recording_id
    return [error]


def _invalid_input(found: Problem, code: str) -> UserError:
    given = shorten(json.dumps(found.given, ensure_ascii=False, default=str))
    message = translated(found).message
    return InvalidInputError(
        code=code, message=message, path=_input_path(camel_path(found.path)), given=given, allowed=found.allowed
    )


def _input_path(path: list[str]) -> list[str]:
    return ["input", *path] if path else []
