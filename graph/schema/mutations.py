"""What can be done: each mutation calls its use case and shows what came of it."""

from collections.abc import Awaitable
from typing import Annotated, Any, TypeVar

import strawberry

from graph.schema import mutation_inputs as inputs
from graph.schema import payloads
from graph.schema.error_types import user_errors
from graph.schema.field_info import Info
from graph.schema.global_id import RECORDING, plain
from graph.schema.presign import presign
from graph.schema.projection import is_selected
from recordings.model.account import Principal
from recordings.model.errors import Refused
from recordings.model.recording import Recording
from recordings.use_cases.recordings import Recordings

Payload = TypeVar("Payload")
_input = strawberry.argument(name="input", description="What to do.")


async def _answer(info: Info, payload: type[Payload], action: Awaitable[Recording]) -> Payload:
    make: Any = payload
    try:
        recording = await action
    except Refused as refused:
        answer: Payload = make(recording=None, errors=user_errors(refused))
    else:
        row = recording.to_row()
        if is_selected(info, "recording", "media"):
            await presign(info.context, [row])
        answer = make(recording=row, errors=[])
    return answer


def _parts(info: Info, given: inputs.OneRecording) -> tuple[Principal, str, str | None]:
    return info.context.principal, plain(given.id, RECORDING), given.idempotency_key


async def _start_recording(info: Info, given: inputs.StartRecordingInput) -> Recording:
    use = info.context.recordings
    return await use.start(info.context.principal, given.request(use.places))


def _use(info: Info) -> Recordings:
    return info.context.recordings


async def _start(info: Info, given: Annotated[inputs.StartRecordingInput, _input]) -> payloads.StartRecordingPayload:
    return await _answer(info, payloads.StartRecordingPayload, _start_recording(info, given))


async def _stop(info: Info, given: Annotated[inputs.StopRecordingInput, _input]) -> payloads.StopRecordingPayload:
    return await _answer(info, payloads.StopRecordingPayload, _use(info).stop(*_parts(info, given)))


async def _pause(info: Info, given: Annotated[inputs.PauseRecordingInput, _input]) -> payloads.PauseRecordingPayload:
    return await _answer(info, payloads.PauseRecordingPayload, _use(info).pause(*_parts(info, given)))


async def _resume(info: Info, given: Annotated[inputs.ResumeRecordingInput, _input]) -> payloads.ResumeRecordingPayload:
    return await _answer(info, payloads.ResumeRecordingPayload, _use(info).resume(*_parts(info, given)))


async def _mask(info: Info, given: Annotated[inputs.MaskRecordingInput, _input]) -> payloads.MaskRecordingPayload:
    return await _answer(info, payloads.MaskRecordingPayload, _use(info).mask(*_parts(info, given)))


async def _unmask(info: Info, given: Annotated[inputs.UnmaskRecordingInput, _input]) -> payloads.UnmaskRecordingPayload:
    return await _answer(info, payloads.UnmaskRecordingPayload, _use(info).unmask(*_parts(info, given)))


async def _delete(info: Info, given: Annotated[inputs.DeleteRecordingInput, _input]) -> payloads.DeleteRecordingPayload:
    return await _answer(
        info, payloads.DeleteRecordingPayload, _use(info).delete(*_parts(info, given), reason=given.reason)
    )


async def _restore(
    info: Info, given: Annotated[inputs.RestoreRecordingInput, _input]
) -> payloads.RestoreRecordingPayload:
    return await _answer(info, payloads.RestoreRecordingPayload, _use(info).restore(*_parts(info, given)))


async def _hold(info: Info, given: Annotated[inputs.HoldRecordingInput, _input]) -> payloads.HoldRecordingPayload:
    principal, recording_id, key = _parts(info, given)
    return await _answer(
        info, payloads.HoldRecordingPayload, _use(info).hold(principal, recording_id, given.reason, key)
    )


async def _release(
    info: Info, given: Annotated[inputs.ReleaseRecordingInput, _input]
) -> payloads.ReleaseRecordingPayload:
    return await _answer(info, payloads.ReleaseRecordingPayload, _use(info).release(*_parts(info, given)))


async def _redeliver(
    info: Info, given: Annotated[inputs.RedeliverRecordingInput, _input]
) -> payloads.RedeliverRecordingPayload:
    return await _answer(info, payloads.RedeliverRecordingPayload, _use(info).redeliver(*_parts(info, given)))


@strawberry.type(description="What can be done. What is refused is in the payload; nothing is thrown.")
class Mutation:
    start_recording: payloads.StartRecordingPayload = strawberry.mutation(
        resolver=_start,
        description=(
            "Record a live call from now on, or from its answer or bridge on. A call that is being recorded "
            "already is not recorded twice: the answer is `AlreadyRecordingError`, with the recording."
        ),
    )
    stop_recording: payloads.StopRecordingPayload = strawberry.mutation(
        resolver=_stop,
        description=(
            "End a recording in progress; what it has is then finalized. One that is not in progress (any "
            "more) is answered with `NotRecordingError`."
        ),
    )
    pause_recording: payloads.PauseRecordingPayload = strawberry.mutation(
        resolver=_pause,
        description="Cut out what follows, until the recording is resumed. Pausing a paused one changes nothing.",
    )
    resume_recording: payloads.ResumeRecordingPayload = strawberry.mutation(
        resolver=_resume,
        description="Go on after a pause. Resuming one that is recording changes nothing.",
    )
    mask_recording: payloads.MaskRecordingPayload = strawberry.mutation(
        resolver=_mask,
        description=(
            "Record silence for what follows, until the recording is unmasked. Masking a masked one changes nothing."
        ),
    )
    unmask_recording: payloads.UnmaskRecordingPayload = strawberry.mutation(
        resolver=_unmask,
        description="Record again what is said, after a mask. Unmasking one that is recording changes nothing.",
    )
    delete_recording: payloads.DeleteRecordingPayload = strawberry.mutation(
        resolver=_delete,
        description=(
            "Put a recording into the trash, where it can be restored from until its `purgeAt`. One in "
            "progress, or being finalized, is answered with `RecordingInProgressError`; deleting a deleted one changes "
            "nothing."
        ),
    )
    restore_recording: payloads.RestoreRecordingPayload = strawberry.mutation(
        resolver=_restore,
        description=(
            "Take a recording out of the trash, back to the state that it had. One that is not there is "
            "answered with `NotTrashedError`."
        ),
    )
    hold_recording: payloads.HoldRecordingPayload = strawberry.mutation(
        resolver=_hold,
        description=(
            "Lay a legal hold on a recording: until it is released, nothing and nobody deletes it. Needs the scope "
            "ADMIN. Holding a held one changes nothing."
        ),
    )
    release_recording: payloads.ReleaseRecordingPayload = strawberry.mutation(
        resolver=_release,
        description="Lift a legal hold. Needs the scope ADMIN. Releasing one that is not held changes nothing.",
    )
    redeliver_recording: payloads.RedeliverRecordingPayload = strawberry.mutation(
        resolver=_redeliver,
        description=(
            "Send a stored recording to its `url` again, under a delivery id of its own. One without a `url` is "
            "answered with `NotDeliverableError`."
        ),
    )
