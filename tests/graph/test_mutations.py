"""The mutations: success, repetition, wrong states, and each error type."""

from dataclasses import replace
from typing import Any

import pytest

from graph.schema.global_id import global_id
from recordings.model.errors import Conflict
from recordings.model.recording import State
from tests.graph.api import Api
from tests.support.memory_installation import ACCOUNT, CHILD, SIBLING

CALL = "call-1@switch"
START = """mutation($input: StartRecordingInput!) { startRecording(input: $input) {
  recording { id plainId state origin label options { format recordMinSec timeLimit } }
  errors { __typename ... on UserError { code message path }
    ... on InvalidInputError { given allowed }
    ... on AlreadyRecordingError { recording { plainId state } }
    ... on RecorderFailedError { recording { state reason reasonDetail } } }
} }"""


def act(action: str) -> str:
    return f"""mutation($input: {action.capitalize()}RecordingInput!) {{ {action}Recording(input: $input) {{
      recording {{ plainId state endCause purgeAt trashedBy trashedReason spans {{ kind durationMs }} }}
      errors {{ __typename ... on UserError {{ code message path }} }} }} }}"""


async def start(api: Api, caller: str = "me", **given: Any) -> dict[str, Any]:
    payload: dict[str, Any] = (await api.ask(START, caller, input={"callId": CALL} | given))["startRecording"]
    return payload


async def do(api: Api, action: str, recording_id: str, caller: str = "me", **given: Any) -> dict[str, Any]:
    answer = await api.ask(act(action), caller, input={"id": recording_id} | given)
    payload: dict[str, Any] = answer[f"{action}Recording"]
    return payload


async def started(api: Api, **given: Any) -> str:
    api.installation.recorder.ring(ACCOUNT, CALL, owner_id="ada")
    recording_id: str = (await start(api, **given))["recording"]["plainId"]
    return recording_id


def only(payload: dict[str, Any]) -> dict[str, Any]:
    assert payload["recording"] is None
    assert len(payload["errors"]) == 1
    error: dict[str, Any] = payload["errors"][0]
    return error


async def test_start_applies_the_recording_options(api: Api) -> None:
    api.installation.recorder.ring(ACCOUNT, CALL)
    payload = await start(api, label="sales", format="WAV", recordMinSec=3, url="https://example.org/in")
    assert payload["errors"] == []
    assert payload["recording"]["state"] == "RECORDING"
    assert payload["recording"]["origin"] == "inbound from 1001 to +14155550123 : sales"
    assert payload["recording"]["options"] == {"format": "WAV", "recordMinSec": 3, "timeLimit": 3_600}
    kept = await api.installation.store.load(payload["recording"]["plainId"])
    assert kept is not None
    assert kept.options.url == "https://example.org/in"


async def test_a_null_option_is_the_same_as_a_missing_one(api: Api) -> None:
    api.installation.recorder.ring(ACCOUNT, CALL)
    payload = await start(api, label=None, timeLimit=None, accountId=None, idempotencyKey=None, recordOnAnswer=None)
    assert payload["recording"]["options"]["timeLimit"] == 3_600


async def test_start_records_a_call_of_a_descendant_account(api: Api) -> None:
    api.installation.recorder.ring(CHILD, CALL)
    for given in (CHILD, global_id("Account", CHILD)):
        payload = await start(api, accountId=given, idempotencyKey="same")
        kept = await api.installation.store.load(payload["recording"]["plainId"])
        assert kept is not None
        assert kept.account_id == CHILD


async def test_start_records_a_call_by_its_global_id(api: Api) -> None:
    call = api.installation.recorder.ring(CHILD, CALL)
    api.installation.recorder.ring(ACCOUNT, CALL)
    found = await api.ask("query($id: ID!) { account(id: $id) { calls(first: 9) { nodes { id } } } }", id=CHILD)
    (node,) = found["account"]["calls"]["nodes"]
    payload = (await api.ask(START, input={"callId": node["id"]}))["startRecording"]
    kept = await api.installation.store.load(payload["recording"]["plainId"])
    assert kept is not None
    assert (kept.account_id, kept.call_id) == (CHILD, call.call_id)
    error = only((await api.ask(START, input={"callId": node["id"], "accountId": SIBLING}))["startRecording"])
    assert error["path"] == ["input", "accountId"]
    error = only((await api.ask(START, input={"callId": global_id("LiveCall", f"{SIBLING}:{CALL}")}))["startRecording"])
    assert error["code"] == "NOT_FOUND"


async def test_an_empty_account_id_is_not_found(api: Api) -> None:
    api.installation.recorder.ring(ACCOUNT, CALL)
    payload = await start(api, accountId="")
    assert payload["recording"] is None
    assert [(error["__typename"], error["path"]) for error in payload["errors"]] == [
        ("NotFoundError", ["input", "accountId"])
    ]
    assert (await api.ask('{ account(id: "") { name } }'))["account"] is None


async def test_every_invalid_option_has_an_error(api: Api) -> None:
    payload = await start(api, timeLimit=1, recordMinSec=-1, mediaName="../x", label="")
    assert payload["recording"] is None
    assert {error["__typename"] for error in payload["errors"]} == {"InvalidInputError"}
    assert {tuple(error["path"]): error["given"] for error in payload["errors"]} == {
        ("input", "timeLimit"): "1",
        ("input", "recordMinSec"): "-1",
        ("input", "mediaName"): '"../x"',
        ("input", "label"): '""',
    }
    error = next(error for error in payload["errors"] if error["path"] == ["input", "timeLimit"])
    assert error["allowed"] == "an integer from 5 to 10800"
    assert error["message"] == "timeLimit must be an integer from 5 to 10800, not 1"
    assert error["code"] == "INVALID_INPUT"


async def test_a_second_start_returns_the_recording_in_progress(api: Api) -> None:
    first = await started(api)
    error = only(await start(api))
    assert error["__typename"] == "AlreadyRecordingError"
    assert error["path"] == ["input", "callId"]
    assert error["recording"] == {"plainId": first, "state": "RECORDING"}
    # Without the scope READ the error has no recording.
    assert only(await start(api, "no_read"))["recording"] is None


async def test_a_second_start_with_the_same_key_returns_the_same_recording(api: Api) -> None:
    first = await started(api, idempotencyKey="k", label="a")
    again = await start(api, idempotencyKey="k", label="a")
    assert again["errors"] == []
    assert again["recording"]["plainId"] == first
    error = only(await start(api, idempotencyKey="k", label="b"))
    assert error["__typename"] == "IdempotencyKeyReusedError"
    assert error["path"] == ["input", "idempotencyKey"]
    error = only(await start(api, idempotencyKey="\n"))
    assert (error["__typename"], error["path"]) == ("InvalidInputError", ["input", "idempotencyKey"])


async def test_a_call_that_has_ended_or_belongs_to_others_is_not_found(api: Api) -> None:
    error = only(await start(api))
    assert (error["__typename"], error["code"]) == ("CallNotFoundError", "CALL_NOT_FOUND")
    api.installation.recorder.ring(ACCOUNT, CALL, owner_id="bob")
    assert only(await start(api, "ada"))["__typename"] == "CallNotFoundError"
    error = only(await start(api, accountId=SIBLING))
    assert (error["__typename"], error["path"]) == ("NotFoundError", ["input", "accountId"])


async def test_a_recorder_error_leaves_a_failed_recording(api: Api) -> None:
    api.installation.recorder.ring(ACCOUNT, CALL)
    api.installation.recorder.refusal = "no disk"
    error = only(await start(api))
    assert error["__typename"] == "RecorderFailedError"
    assert error["recording"] == {"state": "FAILED", "reason": "RECORDER_FAILED", "reasonDetail": "no disk"}


async def test_an_unsupported_action_is_rejected_before_the_recorder_is_called(api: Api) -> None:
    first = await started(api)
    api.installation.recorder.capabilities = frozenset()
    calls = list(api.installation.recorder.commands)
    assert only(await start(api, recordOnAnswer=True))["__typename"] == "UnsupportedByRecorderError"
    assert only(await do(api, "pause", first))["__typename"] == "UnsupportedByRecorderError"
    assert only(await do(api, "mask", first))["__typename"] == "UnsupportedByRecorderError"
    assert api.installation.recorder.commands == calls


async def test_a_recording_can_be_stopped_only_once(api: Api) -> None:
    first = await started(api)
    payload = await do(api, "stop", global_id("Recording", first), idempotencyKey="s")
    assert payload["errors"] == []
    assert payload["recording"]["state"] == "FINALIZING"
    assert payload["recording"]["endCause"] == "STOPPED"
    error = only(await do(api, "stop", first))
    assert (error["__typename"], error["code"]) == ("NotRecordingError", "NOT_RECORDING")
    # With its idempotency key, the same request succeeds again.
    assert (await do(api, "stop", first, idempotencyKey="s"))["errors"] == []
    assert only(await do(api, "pause", first, idempotencyKey="s"))["__typename"] == "IdempotencyKeyReusedError"


async def test_pause_resume_mask_and_unmask(api: Api) -> None:
    first = await started(api)
    assert (await do(api, "pause", first))["recording"]["state"] == "PAUSED"
    assert (await do(api, "pause", first))["recording"]["state"] == "PAUSED"
    error = only(await do(api, "mask", first))
    assert (error["__typename"], error["code"]) == ("InvalidStateError", "INVALID_STATE")
    api.installation.clock.move(250)
    assert (await do(api, "resume", first))["recording"]["spans"] == [{"kind": "PAUSED", "durationMs": 250}]
    assert (await do(api, "mask", first))["recording"]["state"] == "MASKED"
    assert (await do(api, "unmask", first))["recording"]["state"] == "RECORDING"
    assert (await do(api, "unmask", first))["recording"]["state"] == "RECORDING"
    api.installation.recorder.refusal = "gone"
    assert only(await do(api, "pause", first))["__typename"] == "RecorderFailedError"


async def test_a_recording_in_progress_cannot_be_deleted(api: Api) -> None:
    first = await started(api)
    error = only(await do(api, "delete", first))
    assert (error["__typename"], error["code"]) == ("RecordingInProgressError", "RECORDING_IN_PROGRESS")
    await do(api, "stop", first)
    assert only(await do(api, "delete", first))["__typename"] == "RecordingInProgressError"


async def test_delete_and_restore(api: Api) -> None:
    kept = await api.keep()
    for empty in ("", "  "):
        assert only(await do(api, "delete", kept.id, reason=empty))["code"] == "INVALID_INPUT"
    payload = await do(api, "delete", kept.id, reason="asked for")
    assert payload["recording"]["state"] == "TRASHED"
    assert (payload["recording"]["trashedBy"], payload["recording"]["trashedReason"]) == ("tester", "asked for")
    assert payload["recording"]["purgeAt"].endswith("Z")
    api.installation.clock.move(1_000)
    assert (await do(api, "delete", kept.id))["recording"] == payload["recording"]
    listed = "query($t: Boolean!) { recordings(first: 9, trashed: $t) { totalCount } }"
    assert (await api.ask(listed, t=False))["recordings"]["totalCount"] == 0
    assert (await api.ask(listed, t=True))["recordings"]["totalCount"] == 1
    assert (await do(api, "restore", kept.id))["recording"]["state"] == "STORED"
    error = only(await do(api, "restore", kept.id))
    assert (error["__typename"], error["code"]) == ("NotTrashedError", "NOT_TRASHED")


@pytest.mark.parametrize("action", ["stop", "pause", "resume", "mask", "unmask", "delete", "restore"])
async def test_a_mutation_needs_its_scope_and_an_existing_recording(api: Api, action: str) -> None:
    kept = await api.keep()
    error = only(await do(api, action, kept.id, "reader"))
    assert (error["__typename"], error["path"]) == ("ForbiddenError", [])
    assert "'delete'" in error["message"] or "'control'" in error["message"]
    for given in ("nothing", "", "x" * 999, global_id("Account", ACCOUNT)):
        error = only(await do(api, action, given))
        assert (error["__typename"], error["path"]) == ("NotFoundError", ["input", "id"])
    error = only(await do(api, action, kept.id, idempotencyKey="x" * 129))
    assert (error["__typename"], error["path"]) == ("InvalidInputError", ["input", "idempotencyKey"])


async def test_repeated_lost_races_are_a_conflict(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = await api.keep()

    async def lost(*_args: Any) -> bool:
        return False

    monkeypatch.setattr(api.installation.store, "save", lost)
    error = only(await do(api, "delete", kept.id))
    assert (error["__typename"], error["code"]) == ("ConflictError", Conflict.code)


async def test_the_mutations_of_a_document_run_in_order(api: Api) -> None:
    kept = await api.keep()
    answer = await api.ask(
        """mutation($id: ID!) {
          a: deleteRecording(input: {id: $id}) { recording { state } }
          b: restoreRecording(input: {id: $id}) { recording { state } }
          c: deleteRecording(input: {id: $id}) { recording { state } }
        }""",
        id=kept.id,
    )
    assert [answer[name]["recording"]["state"] for name in "abc"] == ["TRASHED", "STORED", "TRASHED"]


async def test_an_internal_error_of_a_mutation_is_a_top_level_error(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = await api.keep()

    async def broken(*_args: Any) -> bool:
        raise OSError("disk /secret is full")

    monkeypatch.setattr(api.installation.store, "save", broken)
    answer = await api.send(act("delete"), input={"id": kept.id})
    assert answer["data"] is None
    assert answer["errors"][0]["message"].startswith("internal error")
    assert "secret" not in str(answer)
    assert (await api.installation.store.load(kept.id)) == replace(kept, state=State.STORED)
