"""The mutations. Each one calls its use case and returns a payload."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar, cast

import strawberry

from graph.schema import delivery_secret, payloads
from graph.schema import mutation_inputs as inputs
from graph.schema import webhook_fields as webhooks
from graph.schema.admin_mutations import AdminMutations
from graph.schema.error_types import user_errors
from graph.schema.field_info import Info
from graph.schema.global_id import RECORDING, plain
from graph.schema.policy_fields import SetRecordingPolicyPayload, set_policy
from graph.schema.presign import presign
from graph.schema.projection import is_selected
from recordings.model.account import Principal
from recordings.model.errors import InvalidInput, Refused
from recordings.model.recording import Recording
from recordings.use_cases.bulk_actions import Result
from recordings.use_cases.recordings import Recordings

Payload = TypeVar("Payload")
_input = strawberry.argument(description="The input.")


async def _payload(info: Info, payload_type: type[Payload], action: Awaitable[Recording]) -> Payload:
    make: Any = payload_type
    try:
        recording = await action
    except Refused as refused:
        payload: Payload = make(recording=None, errors=user_errors(refused))
    else:
        row = recording.to_row()
        if is_selected(info, "recording", "media", "url"):
            await presign(info.context, [row])
        payload = make(recording=row, errors=[])
    return payload


async def _bulk_payload(
    info: Info,
    types: tuple[type[Payload], type[Any]],
    input: inputs.BulkInput,
    act: Callable[[list[str]], Awaitable[list[Result]]],
) -> Payload:
    """Return the payload of an action on several recordings. `types` are those of the payload and of its results."""
    make, make_result = cast("tuple[Any, Any]", types)
    try:
        max_ids = info.context.max_page
        if len(input.ids) > max_ids:
            raise InvalidInput.of(("ids",), "maxItems", len(input.ids), f"at most {max_ids} ids")
        done = await act([plain(id, RECORDING) for id in input.ids])
    except Refused as refused:
        return cast("Payload", make(results=[], errors=user_errors(refused)))
    rows = [None if isinstance(result, Refused) else result.to_row() for result in done]
    if is_selected(info, "results", "recording", "media", "url"):
        await presign(info.context, [row for row in rows if row is not None])
    errors = [_errors_of(result, index) for index, result in enumerate(done)]
    results = [make_result(recording=row, errors=found) for row, found in zip(rows, errors, strict=True)]
    return cast("Payload", make(results=results, errors=[]))


def _errors_of(result: Result, index: int) -> list[Any]:
    errors = user_errors(result) if isinstance(result, Refused) else []
    for error in errors:
        if error.path == ["input", "id"]:
            error.path = ["input", "ids", str(index)]
    return errors


def _target(info: Info, input: inputs.RecordingInput) -> tuple[Principal, str, str | None]:
    return info.context.principal, plain(input.id, RECORDING), input.idempotency_key


async def _start_recording(info: Info, input: inputs.StartRecordingInput) -> Recording:
    recordings = info.context.recordings
    return await recordings.start(info.context.principal, input.request(recordings.url_prefixes))


def _use_cases(info: Info) -> Recordings:
    return info.context.recordings


async def _start(info: Info, input: Annotated[inputs.StartRecordingInput, _input]) -> payloads.StartRecordingPayload:
    return await _payload(info, payloads.StartRecordingPayload, _start_recording(info, input))


async def _stop(info: Info, input: Annotated[inputs.StopRecordingInput, _input]) -> payloads.StopRecordingPayload:
    return await _payload(info, payloads.StopRecordingPayload, _use_cases(info).stop(*_target(info, input)))


async def _answer_consent(
    info: Info, input: Annotated[inputs.AnswerConsentInput, _input]
) -> payloads.AnswerConsentPayload:
    principal, recording_id, key = _target(info, input)
    action = info.context.policy.consents.answer(principal, recording_id, given=input.given, key=key)
    return await _payload(info, payloads.AnswerConsentPayload, action)


async def _pause(info: Info, input: Annotated[inputs.PauseRecordingInput, _input]) -> payloads.PauseRecordingPayload:
    return await _payload(info, payloads.PauseRecordingPayload, _use_cases(info).pause(*_target(info, input)))


async def _resume(info: Info, input: Annotated[inputs.ResumeRecordingInput, _input]) -> payloads.ResumeRecordingPayload:
    return await _payload(info, payloads.ResumeRecordingPayload, _use_cases(info).resume(*_target(info, input)))


async def _mask(info: Info, input: Annotated[inputs.MaskRecordingInput, _input]) -> payloads.MaskRecordingPayload:
    return await _payload(info, payloads.MaskRecordingPayload, _use_cases(info).mask(*_target(info, input)))


async def _unmask(info: Info, input: Annotated[inputs.UnmaskRecordingInput, _input]) -> payloads.UnmaskRecordingPayload:
    return await _payload(info, payloads.UnmaskRecordingPayload, _use_cases(info).unmask(*_target(info, input)))


async def _delete(info: Info, input: Annotated[inputs.DeleteRecordingInput, _input]) -> payloads.DeleteRecordingPayload:
    return await _payload(
        info, payloads.DeleteRecordingPayload, _use_cases(info).delete(*_target(info, input), reason=input.reason)
    )


async def _restore(
    info: Info, input: Annotated[inputs.RestoreRecordingInput, _input]
) -> payloads.RestoreRecordingPayload:
    return await _payload(info, payloads.RestoreRecordingPayload, _use_cases(info).restore(*_target(info, input)))


async def _hold(info: Info, input: Annotated[inputs.HoldRecordingInput, _input]) -> payloads.HoldRecordingPayload:
    principal, recording_id, key = _target(info, input)
    return await _payload(
        info, payloads.HoldRecordingPayload, _use_cases(info).hold(principal, recording_id, input.reason, key)
    )


async def _release(
    info: Info, input: Annotated[inputs.ReleaseRecordingInput, _input]
) -> payloads.ReleaseRecordingPayload:
    return await _payload(info, payloads.ReleaseRecordingPayload, _use_cases(info).release(*_target(info, input)))


async def _redeliver(
    info: Info, input: Annotated[inputs.RedeliverRecordingInput, _input]
) -> payloads.RedeliverRecordingPayload:
    return await _payload(info, payloads.RedeliverRecordingPayload, _use_cases(info).redeliver(*_target(info, input)))


async def _update(info: Info, input: Annotated[inputs.UpdateRecordingInput, _input]) -> payloads.UpdateRecordingPayload:
    principal, recording_id, key = _target(info, input)
    return await _payload(
        info,
        payloads.UpdateRecordingPayload,
        _use_cases(info).update(principal, recording_id, input.changes(), key),
    )


async def _delete_many(
    info: Info, input: Annotated[inputs.DeleteRecordingsInput, _input]
) -> payloads.DeleteRecordingsPayload:
    def delete(ids: list[str]) -> Awaitable[list[Result]]:
        context = info.context
        return context.bulk.delete(context.principal, ids, input.idempotency_key, reason=input.reason)

    types = payloads.DeleteRecordingsPayload, payloads.DeleteRecordingPayload
    return await _bulk_payload(info, types, input, delete)


async def _restore_many(
    info: Info, input: Annotated[inputs.RestoreRecordingsInput, _input]
) -> payloads.RestoreRecordingsPayload:
    def restore(ids: list[str]) -> Awaitable[list[Result]]:
        return info.context.bulk.restore(info.context.principal, ids, input.idempotency_key)

    types = payloads.RestoreRecordingsPayload, payloads.RestoreRecordingPayload
    return await _bulk_payload(info, types, input, restore)


async def _hold_many(
    info: Info, input: Annotated[inputs.HoldRecordingsInput, _input]
) -> payloads.HoldRecordingsPayload:
    def hold(ids: list[str]) -> Awaitable[list[Result]]:
        return info.context.bulk.hold(info.context.principal, ids, input.reason, input.idempotency_key)

    types = payloads.HoldRecordingsPayload, payloads.HoldRecordingPayload
    return await _bulk_payload(info, types, input, hold)


_EACH = (
    "Each recording has a result of its own: an error of one does not stop the others. The order in which they are "
    "changed is not defined."
)


@strawberry.type(
    description="The mutations. A request that is rejected has its errors in the payload. Top-level errors of the "
    "response mean that the request is malformed or that the service failed."
)
class Mutation(AdminMutations):
    start_recording: payloads.StartRecordingPayload = strawberry.mutation(
        resolver=_start,
        description=(
            "Start to record a call in progress: now, or when it is answered or bridged (connected to another leg). If "
            "the call is already being recorded, the error is `AlreadyRecordingError`, which has the recording. Needs "
            "the scope CONTROL."
        ),
    )
    stop_recording: payloads.StopRecordingPayload = strawberry.mutation(
        resolver=_stop,
        description=(
            "Stop a recording in progress. The service then finalizes its audio. If it is not in progress, the "
            "error is `NotRecordingError`. Needs the scope CONTROL."
        ),
    )
    answer_consent: payloads.AnswerConsentPayload = strawberry.mutation(
        resolver=_answer_consent,
        description=(
            "Report whether the parties consent to a recording in progress. With consent, a recording that waits for "
            "it begins. Without, the recording ends as DISCARDED, and its audio is deleted. Needs the scope CONTROL."
        ),
    )
    set_recording_policy: SetRecordingPolicyPayload = strawberry.mutation(
        resolver=set_policy,
        description=(
            "Set a recording policy. It takes effect on every server within one second. Recordings in progress "
            "continue, unless `applyNow` is true. Needs the scope ADMIN."
        ),
    )
    pause_recording: payloads.PauseRecordingPayload = strawberry.mutation(
        resolver=_pause,
        description=(
            "Pause a recording: the following part of the call is cut out of the audio, until `resumeRecording`. If it "
            "is already paused, nothing changes. Needs the scope CONTROL."
        ),
    )
    resume_recording: payloads.ResumeRecordingPayload = strawberry.mutation(
        resolver=_resume,
        description=(
            "Resume a paused recording. If it is already recording, nothing changes. Needs the scope CONTROL."
        ),
    )
    mask_recording: payloads.MaskRecordingPayload = strawberry.mutation(
        resolver=_mask,
        description=(
            "Mask a recording: the audio has silence in the following part of the call, until `unmaskRecording`. If it "
            "is already masked, nothing changes. Needs the scope CONTROL."
        ),
    )
    unmask_recording: payloads.UnmaskRecordingPayload = strawberry.mutation(
        resolver=_unmask,
        description=(
            "Unmask a masked recording. If it is already recording, nothing changes. Needs the scope CONTROL."
        ),
    )
    delete_recording: payloads.DeleteRecordingPayload = strawberry.mutation(
        resolver=_delete,
        description=(
            "Move a recording to the trash. It can be restored until its `purgeAt`. If it is in progress or being "
            "finalized, the error is `RecordingInProgressError`. If it is already deleted, nothing changes. Needs the "
            "scope DELETE."
        ),
    )
    restore_recording: payloads.RestoreRecordingPayload = strawberry.mutation(
        resolver=_restore,
        description=(
            "Restore a recording from the trash, to the state that it had before. If it is not in the trash, the error "
            "is `NotTrashedError`. Needs the scope DELETE."
        ),
    )
    hold_recording: payloads.HoldRecordingPayload = strawberry.mutation(
        resolver=_hold,
        description=(
            "Put a recording on legal hold: until the hold is released, neither a client nor the retention policy can "
            "delete it. If it is already on hold, nothing changes. Needs the scope ADMIN."
        ),
    )
    release_recording: payloads.ReleaseRecordingPayload = strawberry.mutation(
        resolver=_release,
        description=(
            "Release a recording from its legal hold. If it is not on hold, nothing changes. Needs the scope ADMIN."
        ),
    )
    update_recording: payloads.UpdateRecordingPayload = strawberry.mutation(
        resolver=_update,
        description=(
            "Change the label, the name or the metadata of a recording. If it is in the trash, the error is "
            "`InvalidStateError`. Needs the scope CONTROL."
        ),
    )
    delete_recordings: payloads.DeleteRecordingsPayload = strawberry.mutation(
        resolver=_delete_many,
        description=f"Move recordings to the trash, as `deleteRecording` does. {_EACH} Needs the scope DELETE.",
    )
    restore_recordings: payloads.RestoreRecordingsPayload = strawberry.mutation(
        resolver=_restore_many,
        description=f"Restore recordings from the trash, as `restoreRecording` does. {_EACH} Needs the scope DELETE.",
    )
    hold_recordings: payloads.HoldRecordingsPayload = strawberry.mutation(
        resolver=_hold_many,
        description=f"Put recordings on legal hold, as `holdRecording` does. {_EACH} Needs the scope ADMIN.",
    )
    redeliver_recording: payloads.RedeliverRecordingPayload = strawberry.mutation(
        resolver=_redeliver,
        description=(
            "Send a stored recording to its `url` again, with a new delivery id. If it has no `url` or no stored "
            "audio, the error is `NotDeliverableError`. Needs the scope CONTROL."
        ),
    )
    rotate_delivery_secret: delivery_secret.RotateDeliverySecretPayload = strawberry.mutation(
        resolver=delivery_secret.rotate,
        description=(
            "Set the secret that signs the deliveries of an account to `url`, as Standard Webhooks defines it. "
            "Deliveries are also signed with the secret before, until `clearDeliverySecret` with `onlyOld`. Needs the "
            "scope ADMIN."
        ),
    )
    clear_delivery_secret: delivery_secret.ClearDeliverySecretPayload = strawberry.mutation(
        resolver=delivery_secret.clear,
        description="Delete the secret that signs the deliveries of an account. Needs the scope ADMIN.",
    )
    create_webhook: webhooks.CreateWebhookPayload = strawberry.mutation(
        resolver=webhooks.create,
        description="Create a webhook: a URL that gets the events of an account from now on. Its requests are signed "
        "as Standard Webhooks defines it. Needs the scope ADMIN, and credentials without an owner.",
    )
    update_webhook: webhooks.UpdateWebhookPayload = strawberry.mutation(
        resolver=webhooks.update,
        description="Change, enable or disable a webhook. Its secret stays the same. Needs the scope ADMIN.",
    )
    delete_webhook: webhooks.DeleteWebhookPayload = strawberry.mutation(
        resolver=webhooks.delete,
        description="Delete a webhook. Events that wait are not sent. Needs the scope ADMIN.",
    )
    test_webhook: webhooks.TestWebhookPayload = strawberry.mutation(
        resolver=webhooks.test,
        description="Send an event of the type `webhook.test` at once, also to a disabled webhook, and return the "
        "response. Needs the scope ADMIN.",
    )
    rotate_webhook_secret: webhooks.RotateWebhookSecretPayload = strawberry.mutation(
        resolver=webhooks.rotate,
        description="Give a webhook a new secret and a new key. For a while, its requests have the signatures of the "
        "former ones, too. Needs the scope ADMIN.",
    )
    replay_webhook: webhooks.ReplayWebhookPayload = strawberry.mutation(
        resolver=webhooks.replay,
        description="Send the events of a time range to a webhook again, with the same ids. Events that wait for "
        "another attempt are sent at once. If the webhook is disabled, or another replay is running, the error is "
        "`InvalidStateError`. Needs the scope ADMIN.",
    )
