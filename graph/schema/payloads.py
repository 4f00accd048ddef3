"""What the mutations answer: the recording as it is afterwards, or why not."""

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
from graph.schema.recording_type import Recording


def _recording() -> Any:
    return strawberry.field(
        description="The recording as it is now, which whoever may do this is shown; null if it was refused."
    )


def _errors() -> Any:
    return strawberry.field(description="Why the action was refused; empty if it was granted.")


@strawberry.type(description="What came of starting a recording.")
class StartRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[StartRecordingError] = _errors()


@strawberry.type(description="What came of stopping a recording.")
class StopRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[StopRecordingError] = _errors()


@strawberry.type(description="What came of pausing a recording.")
class PauseRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[ControlRecordingError] = _errors()


@strawberry.type(description="What came of resuming a recording.")
class ResumeRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[ControlRecordingError] = _errors()


@strawberry.type(description="What came of masking a recording.")
class MaskRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[ControlRecordingError] = _errors()


@strawberry.type(description="What came of unmasking a recording.")
class UnmaskRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[ControlRecordingError] = _errors()


@strawberry.type(description="What came of deleting a recording.")
class DeleteRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[DeleteRecordingError] = _errors()


@strawberry.type(description="What came of holding a recording.")
class HoldRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[HoldRecordingError] = _errors()


@strawberry.type(description="What came of releasing a recording.")
class ReleaseRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[HoldRecordingError] = _errors()


@strawberry.type(description="What came of sending a recording again.")
class RedeliverRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[RedeliverRecordingError] = _errors()


@strawberry.type(description="What came of restoring a recording.")
class RestoreRecordingPayload:
    recording: Recording | None = _recording()
    errors: list[RestoreRecordingError] = _errors()
