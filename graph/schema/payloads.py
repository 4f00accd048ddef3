"""The payloads of mutations: the changed recording, or the errors."""

from typing import Any

import strawberry

from graph.schema.error_types import (
    ControlRecordingError,
    DeleteRecordingError,
    HoldRecordingError,
    RedeliverRecordingError,
    RestoreRecordingError,
    StartRecordingError,
    StopRecordingError,
    UpdateRecordingError,
)
from graph.schema.node_types import Recording


def _recording() -> Any:
    return strawberry.field(
        description="The recording after the change. Null if there are errors. The scope READ is not needed for it."
    )


def _errors() -> Any:
    return strawberry.field(description="The errors. Empty if the mutation succeeded.")


def _results() -> Any:
    return strawberry.field(
        description="The result for each of the `ids`, in their order. An error of one recording does not stop the "
        "others. Empty if the whole request is rejected."
    )


def _request_errors() -> Any:
    return strawberry.field(
        description="The errors of the whole request, such as a missing scope. Then no recording was changed. Errors "
        "of single recordings are in `results`."
    )


@strawberry.type(description="The result of `startRecording`.")
class StartRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[StartRecordingError] = _errors()


@strawberry.type(description="The result of `stopRecording`.")
class StopRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[StopRecordingError] = _errors()


@strawberry.type(description="The result of `answerConsent`.")
class AnswerConsentPayload:
    recording: Recording | None = _recording()
    errors: list[ControlRecordingError] = _errors()


@strawberry.type(description="The result of `pauseRecording`.")
class PauseRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[ControlRecordingError] = _errors()


@strawberry.type(description="The result of `resumeRecording`.")
class ResumeRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[ControlRecordingError] = _errors()


@strawberry.type(description="The result of `maskRecording`.")
class MaskRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[ControlRecordingError] = _errors()


@strawberry.type(description="The result of `unmaskRecording`.")
class UnmaskRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[ControlRecordingError] = _errors()


@strawberry.type(description="The result of `deleteRecording`.")
class DeleteRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[DeleteRecordingError] = _errors()


@strawberry.type(description="The result of `updateRecording`.")
class UpdateRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[UpdateRecordingError] = _errors()


@strawberry.type(description="The result of `holdRecording`.")
class HoldRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[HoldRecordingError] = _errors()


@strawberry.type(description="The result of `releaseRecording`.")
class ReleaseRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[HoldRecordingError] = _errors()


@strawberry.type(description="The result of `redeliverRecording`.")
class RedeliverRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[RedeliverRecordingError] = _errors()


@strawberry.type(description="The result of `restoreRecording`.")
class RestoreRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[RestoreRecordingError] = _errors()


@strawberry.type(description="The results of `deleteRecordings`.")
class DeleteRecordingsPayload:
    results: list[DeleteRecordingPayload] = _results()
    errors: list[DeleteRecordingError] = _request_errors()


@strawberry.type(description="The results of `restoreRecordings`.")
class RestoreRecordingsPayload:
    results: list[RestoreRecordingPayload] = _results()
    errors: list[RestoreRecordingError] = _request_errors()


@strawberry.type(description="The results of `holdRecordings`.")
class HoldRecordingsPayload:
    results: list[HoldRecordingPayload] = _results()
    errors: list[HoldRecordingError] = _request_errors()
