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
)
from graph.schema.node_types import Recording


def _recording() -> Any:
    return strawberry.field(
        description="The recording after the change. Null if there are errors. The scope READ is not needed for it."
    )


def _errors() -> Any:
    return strawberry.field(description="The errors. Empty if the mutation succeeded.")


@strawberry.type(description="The result of `startRecording`.")
class StartRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[StartRecordingError] = _errors()


@strawberry.type(description="The result of `stopRecording`.")
class StopRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[StopRecordingError] = _errors()


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
